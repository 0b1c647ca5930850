import Foundation
import TestSupport
import Testing

extension LiveGateways {
    /// Frames that nobody should send, at a running gateway: it neither ends nor loses frames, and carries on.
    @Suite("Bad input", .serialized)
    struct BadInput {
        /// Where hostile frames enter gateway A.
        enum Entrance: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case wan, lan
            var testDescription: String { rawValue }

            func socket(_ network: borrowing TwoGateways) throws -> PacketSocket {
                self == .wan
                    ? try PacketSocket(TwoGateways.portA, in: network.wire, receive: false)
                    : try PacketSocket("eth0", in: network.lanA, receive: false)
            }

            func capture(_ network: borrowing TwoGateways) throws -> PacketCapture {
                self == .wan
                    ? try PacketCapture(TwoGateways.portA, in: network.wire)
                    : try PacketCapture("eth0", in: network.lanA)
            }

            /// The hardware address that hostile frames are sent to.
            var hardwareAddress: String { self == .wan ? Side.a.wanHardwareAddress : Side.a.lanHardwareAddress }
        }

        @Test("every malformed frame of the fuzzers' corpus, many times", arguments: Entrance.allCases, [false, true])
        func corpus(entrance: Entrance, udp: Bool) throws {
            let tunnel = ManualTunnel(udpEncapsulation: udp)
            let frames = try corpus(for: tunnel, entrance)
            #expect(frames.count > 200)
            try withHealthyTunnel(tunnel, GatewayOptions()) { network, _ in
                let socket = try entrance.socket(network)
                for _ in 0..<50 {
                    for frame in frames { socket.send(frame) }
                    usleep(1000)
                }
            }
        }

        @Test("a million hostile frames", arguments: Entrance.allCases, ["native", "generic"])
        func million(entrance: Entrance, mode: String) throws {
            let seed = UInt64.random(in: .min ... .max)
            let options = GatewayOptions(workers: 2, mode: mode)
            try withHealthyTunnel(ManualTunnel(), options, queues: 2) { network, gateways in
                let templates = try realFrames(network, entrance)
                var mutator = FrameMutator(templates: templates, seed: seed)
                let received = try gateways.a.status().receivedPackets
                let sent = try entrance.socket(network).sendMany(500_000) { _, frame in mutator.next(into: frame) }
                #expect(sent > 400_000, "seed \(seed)")
                // Most of them are steered to the gateway; what its rings cannot hold in time the kernel drops.
                try eventually("hostile frames in the gateway, seed \(seed)") {
                    try gateways.a.status().receivedPackets - received > 50_000
                }
            }
        }

        /// Frames as gateway A takes them at this entrance, of several sizes and both families.
        private func realFrames(_ network: borrowing TwoGateways, _ entrance: Entrance) throws -> [[UInt8]] {
            let capture = try entrance.capture(network)
            for version in IPVersion.allCases {
                try Traffic(copy network).echo(from: .b, version, sizes: [0, 56, 300, 1300])
                try Traffic(copy network).echo(from: .a, version, sizes: [0, 56, 300, 1300])
            }
            try Traffic(copy network).transfer(10_000, from: .a, .ipv4)
            let target = entrance.hardwareAddress.split(separator: ":").compactMap { UInt8($0, radix: 16) }
            let frames = capture.stop().filter { $0.starts(with: target) && $0.count >= 62 }
            try #require(frames.count > 10)
            return frames
        }

        /// The corpus, addressed to gateway A.
        private func corpus(for tunnel: ManualTunnel, _ entrance: Entrance) throws -> [[UInt8]] {
            let directory = URL(filePath: TestRun.current.scratchPath("frames"))
            try run([
                "python3", PythonPeer.packageDirectory.appending(path: "Tests/Fuzz/make-corpus.py").path,
                "--frames", directory.path, "--destination-mac", entrance.hardwareAddress,
                "--gateway", Side.a.outer(.ipv4), "--gateway6", Side.a.outer(.ipv6),
                "--protected", Side.b.host(.ipv4), "--protected6", Side.b.host(.ipv6),
                "--spi", tunnel.spi(from: .b).digits,
            ])
            let committed = PythonPeer.packageDirectory.appending(path: "Tests/Fuzz/Corpus/frames")
            return try [directory, committed].flatMap { directory in
                try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
                    .filter { $0.pathExtension == "bin" }.map { [UInt8](try Data(contentsOf: $0)) }
            }
        }

        /// Runs `attack` between two checks that the tunnel is whole; afterwards no frame may be missing.
        private func withHealthyTunnel(
            _ tunnel: ManualTunnel, _ options: GatewayOptions, queues: Int = 1,
            _ attack: (borrowing TwoGateways, borrowing TunnelBetween) throws -> Void
        ) throws {
            try TwoGateways.with(queues: queues) { network in
                try TunnelBetween.with(network, tunnel, options) { gateways in
                    let traffic = Traffic(copy network)
                    try traffic.echoEveryWay(sizes: [56, 1300])
                    let before = try gateways.a.status().freeFrames
                    try attack(network, gateways)
                    try #require(gateways.a.isAlive, "\(gateways.a.process.outputForHumans)")
                    try #require(gateways.b.isAlive, "\(gateways.b.process.outputForHumans)")
                    try traffic.echoEveryWay(sizes: [56, 1300])
                    try traffic.transfer(1 << 20, from: .a, .ipv4)
                    // Frames that wait for a neighbour or for their completion come back by themselves. Only packets
                    // from the host bring frames in, or take as many out when they are paid back.
                    try eventually("all of \(before) frames back") {
                        let after = try gateways.a.status()
                        let brought = after.counter("fromHost") + after.counter("reassembled")
                        return abs(after.freeFrames - before) <= brought
                    }
                    let drops = try gateways.a.status().allDrops.filter { $0.value > 0 }
                    #expect(drops.count > 3, "\(drops)")
                }
            }
        }
    }
}
