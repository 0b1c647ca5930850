import TestSupport
import Testing

extension LiveGateways {
    /// Two gateways over veth with real AF_XDP sockets.
    @Suite("Two gateways over veth", .serialized)
    struct Tunnel {
        struct Setting: Sendable, CustomTestStringConvertible {
            var queues: Int
            var mode: String
            var outer: IPVersion
            var udp: Bool

            var testDescription: String {
                "\(queues) queue\(queues == 1 ? "" : "s"), \(mode) XDP, ESP \(udp ? "in UDP " : "")over \(outer)"
            }

            var options: GatewayOptions { GatewayOptions(workers: queues, mode: mode) }
            var tunnel: ManualTunnel { ManualTunnel(outer: outer, udpEncapsulation: udp) }

            static let all = [1, 2].flatMap { queues in
                ["native", "generic"].flatMap { mode in
                    IPVersion.allCases.flatMap { outer in
                        [false, true].map { Setting(queues: queues, mode: mode, outer: outer, udp: $0) }
                    }
                }
            }
        }

        @Test("carry pings of every size and files, and only ESP crosses the WAN", arguments: Setting.all)
        func everything(setting: Setting) throws {
            try TwoGateways.with(queues: setting.queues) { network in
                try TunnelBetween.with(network, setting.tunnel, setting.options) { gateways in
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    let traffic = Traffic(network)
                    try traffic.echoEveryWay()
                    for version in IPVersion.allCases {
                        for side in Side.allCases { try traffic.transfer(2 << 20, from: side, version) }
                    }
                    try checkWire(capture.stop(), udp: setting.udp)
                    for gateway in [gateways.a, gateways.b] {
                        let status = try gateway.status()
                        for port in ["lan0", "wan0"] { #expect(status.mode(ofPort: port) == setting.mode) }
                        #expect(status.packets("in") > 1000 && status.packets("out") > 1000, "\(status)")
                    }
                }
            }
        }

        /// Everything that crossed the WAN was ESP of this encapsulation, or hosts asking for hardware addresses.
        private func checkWire(_ frames: [[UInt8]], udp: Bool) throws {
            let contents = frames.map { WireContent($0) }
            let wanted: WireContent = udp ? .udpEncapsulatedESP : .esp
            #expect(contents.filter { $0 == wanted }.count > 1000)
            let others = contents.filter { ![wanted, .addressResolution, .neighbourDiscovery].contains($0) }
            #expect(others.isEmpty, "\(others.prefix(5))")
        }

        @Test("carry several TCP streams of iperf3 at once", arguments: [1, 2])
        func iperf(queues: Int) throws {
            try TwoGateways.with(queues: queues) { network in
                try TunnelBetween.with(network, ManualTunnel(), GatewayOptions(workers: queues)) { _ in
                    let traffic = Traffic(network)
                    try traffic.echo(from: .a, .ipv4, sizes: [56])
                    let server = try RunningProcess(["iperf3", "-s"], in: network.lanB)
                    defer { server.terminate() }
                    let target = Side.b.host(.ipv4)
                    // The server may not listen yet when the first client asks; with -J that is no error for its exit status.
                    var report = JSON.null
                    try eventually("iperf3 run", within: .seconds(60), every: .milliseconds(200)) {
                        let result = try attempt(
                            ["iperf3", "-c", target, "-t", "3", "-P", "4", "-J"], in: network.lanA)
                        guard result.status == 0 else { return false }
                        report = try JSON(result.output)
                        return report["end"]["sum_received"]["bytes"].int != nil
                    }
                    let bytes = try #require(report["end"]["sum_received"]["bytes"].int)
                    #expect(bytes > 10 << 20, "\(report["end"])")
                }
            }
        }

        @Test("carry nothing at all without gateways")
        func nothingWithoutGateways() throws {
            try TwoGateways.with { network in
                let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                #expect(client.echo(payload: 56, attempts: 1, within: .milliseconds(500)) == .lost)
            }
        }

        @Test("drop what was sealed with another key, and say so")
        func wrongKey() throws {
            try TwoGateways.with { network in
                let gatewayA = try SluiceGateway(ManualTunnel(.aes256GCM).batch(.a), in: network.gatewayA)
                defer { gatewayA.process.terminate() }
                let wrong = ManualTunnel(.aes256GCM, keySeed: 1).batch(.b)
                let gatewayB = try SluiceGateway(wrong, in: network.gatewayB)
                defer { gatewayB.process.terminate() }
                let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                try SluiceGateway.explaining([gatewayA, gatewayB]) {
                    try eventually("drops for integrity failures") {
                        #expect(client.echo(payload: 56, attempts: 1, within: .milliseconds(200)) == .lost)
                        return try gatewayB.status().drops("integrity-failure") > 0
                    }
                }
            }
        }
    }
}
