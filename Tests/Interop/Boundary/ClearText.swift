import Foundation
import TestSupport

/// Packets that must never be seen in clear, sent all the time, and the captures that would see them.
final class ClearText {
    /// Where the packets come from.
    enum Origin: String, CaseIterable {
        /// A host on the LAN.
        case lan
        /// The gateway's host itself.
        case host
        /// A host on the LAN's link that is in no selector: it is to be seen.
        case guest
        /// A station on the WAN that claims to be the remote network.
        case spoofed
        /// A station on the WAN that claims to be the local network, and wants into the tunnel.
        case stranger
    }

    private let network: TwoGateways
    private var senders: [PythonPeer] = []
    private let wire: PacketCapture
    private let lanA: PacketCapture
    private let lanB: PacketCapture
    private var seen = (wire: 0, lanA: 0, lanB: 0)

    /// Starts to send and to record. `destinations` are further ones that LAN and host send to, in IPv4; `guests` are addresses
    /// on the LAN's link that no selector is about.
    init(_ network: TwoGateways, destinations: [String] = [], guests: [String] = []) throws {
        self.network = network
        wire = try PacketCapture(TwoGateways.portA, in: network.wire)
        lanA = try PacketCapture("eth0", in: network.lanA)
        lanB = try PacketCapture("eth0", in: network.lanB)
        let remote =
            IPVersion.allCases.map { (Side.a.host($0), Side.a.router($0), Side.b.host($0)) }
            // The broadcast address of the remote network is an ordinary one here.
            + (["192.168.2.255"] + destinations).map { (Side.a.host(.ipv4), Side.a.router(.ipv4), $0) }
        try start(
            ["link", "eth0", Side.a.lanHardwareAddress, "lan"] + remote.map { "\($0.0),\($0.2)" }, in: network.lanA)
        try start(["host", "host"] + remote.map { "\($0.1),\($0.2)" }, in: network.gatewayA)
        if !guests.isEmpty {
            let pairs = guests.flatMap { guest in destinations.map { "\(guest),\($0)" } }
            try start(["link", "eth0", Side.a.lanHardwareAddress, "guest"] + pairs, in: network.lanA)
        }
        let local = IPVersion.allCases.flatMap { version in
            [Side.a.host(version), Side.a.router(version)].map { "\(Side.b.host(version)),\($0)" }
        }
        try start(["link", "br0", Side.a.wanHardwareAddress, "spoofed"] + local, in: network.wire)
        let into = IPVersion.allCases.map { "\(Side.a.host($0)),\(Side.b.host($0))" }
        try start(["link", "br0", Side.a.wanHardwareAddress, "stranger"] + into, in: network.wire)
    }

    private func start(_ arguments: [String], in namespace: NetworkNamespace) throws {
        senders.append(try PythonPeer("clear_sender.py", arguments, in: namespace))
    }

    func stop() {
        senders.forEach { $0.process.terminate() }
        [wire, lanA, lanB].forEach { _ = $0.stop() }
    }

    /// What was seen in clear since the last call though it should not have been: on the WAN what LAN and host sent, on the LANs
    /// what came from a station of the WAN. One line of each kind.
    func leaks(during time: Duration) -> Set<String> {
        Thread.sleep(forTimeInterval: Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18)
        let frames = (wire: wire.frames, lanA: lanA.frames, lanB: lanB.frames)
        defer { seen = (frames.wire.count, frames.lanA.count, frames.lanB.count) }
        // The strangers' frames are on the wire because they were put there; what left again is addressed to somebody else.
        let onWire = frames.wire.dropFirst(seen.wire).filter { !Self.isTo(Side.a.wanHardwareAddress, $0) }
        return Self.marks(onWire, of: Origin.allCases)
            .union(Self.marks(frames.lanA.dropFirst(seen.lanA), of: [.spoofed]))
            .union(Self.marks(frames.lanB.dropFirst(seen.lanB), of: [.stranger]))
    }

    private static func isTo(_ address: String, _ frame: [UInt8]) -> Bool {
        frame.prefix(6).elementsEqual(address.split(separator: ":").compactMap { UInt8($0, radix: 16) })
    }

    /// The marks in frames, e.g. `lan udp 192.168.1.2 192.168.2.2`.
    private static func marks(_ frames: some Sequence<[UInt8]>, of origins: [Origin]) -> Set<String> {
        var found: Set<String> = []
        for frame in frames {
            let text = String(decoding: frame, as: UTF8.self)
            guard let start = text.range(of: "<<"),
                let end = text.range(of: ">>", range: start.upperBound..<text.endIndex)
            else { continue }
            let mark = String(text[start.upperBound..<end.lowerBound])
            if origins.contains(where: { mark.hasPrefix($0.rawValue + " ") }) { found.insert(mark) }
        }
        return found
    }
}
