import Foundation
import Synchronization

/// Records every frame on an interface, in its own thread, until it is told to stop.
public final class PacketCapture: Sendable {
    private struct State {
        var frames: [[UInt8]] = []
        var stopped = false
    }

    private let socket: PacketSocket
    private let state = Mutex(State())
    private let finished = DispatchSemaphore(value: 0)

    /// Recording has begun when this returns. `limit` bounds what is kept.
    public init(_ interface: String, in namespace: NetworkNamespace, limit: Int = 200_000) throws {
        let socket = try PacketSocket(interface, in: namespace)
        self.socket = socket
        Thread { [self] in
            while !state.withLock({ $0.stopped }) {
                guard let frame = socket.receive(within: .milliseconds(50)) else { continue }
                state.withLock { if $0.frames.count < limit { $0.frames.append(frame) } }
            }
            finished.signal()
        }.start()
    }

    /// What was recorded so far.
    public var frames: [[UInt8]] { state.withLock { $0.frames } }

    /// Waits until what was sent before this call has been recorded, stops, and returns everything.
    public func stop() -> [[UInt8]] {
        Thread.sleep(forTimeInterval: 0.1)
        state.withLock { $0.stopped = true }
        finished.wait()
        return frames
    }

    /// Writes frames as a capture file that tshark and scapy read (pcap 2.4, Ethernet).
    public static func write(_ frames: [[UInt8]], to path: String) throws {
        var data = Data()
        func append(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) } }
        [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1].forEach(append)
        for (number, frame) in frames.enumerated() {
            [UInt32(number / 1000), UInt32(number % 1000), UInt32(frame.count), UInt32(frame.count)].forEach(append)
            data.append(contentsOf: frame)
        }
        try data.write(to: URL(filePath: path))
    }
}

/// What an Ethernet frame carries, as far as the question "what crossed the WAN" needs to know.
public enum WireContent: Equatable, Sendable {
    case esp, udpEncapsulatedESP, addressResolution, neighbourDiscovery, other(String)

    public init(_ frame: [UInt8]) {
        guard frame.count >= 34 else { self = .other("\(frame.count) bytes"); return }
        switch (frame[12], frame[13]) {
        case (0x08, 0x06): self = .addressResolution
        case (0x08, 0x00): self = Self.upper(frame, protocolNumber: frame[23], offset: 14 + Int(frame[14] & 15) * 4)
        case (0x86, 0xdd) where frame.count >= 54: self = Self.upper(frame, protocolNumber: frame[20], offset: 54)
        default: self = .other("ethertype \(frame[12]) \(frame[13])")
        }
    }

    private static func upper(_ frame: [UInt8], protocolNumber: UInt8, offset: Int) -> WireContent {
        switch protocolNumber {
        case 50: return .esp
        case 17 where frame.count >= offset + 8:
            let ports = (frame[offset], frame[offset + 1], frame[offset + 2], frame[offset + 3])
            return ports == (0x11, 0x94, 0x11, 0x94) ? .udpEncapsulatedESP : .other("UDP \(ports)")
        case 58 where frame.count > offset && (133...137).contains(frame[offset]): return .neighbourDiscovery
        case 58 where frame.count > offset && frame[offset] == 143: return .neighbourDiscovery
        // Multicast listener reports stand behind a hop-by-hop header with the router alert option (RFC 3810).
        case 0 where frame.count > offset + 8 && frame[offset] == 58 && [131, 132, 143].contains(frame[offset + 8]):
            return .neighbourDiscovery
        default: return .other("protocol \(protocolNumber)")
        }
    }
}
