import Foundation
import TestSupport
import Testing

extension LiveGateways {
    /// How a gateway comes and goes, and what it leaves behind.
    @Suite("Start and end of a gateway", .serialized)
    struct Lifecycle {
        /// The identifier of the XDP program on an interface; nil when there is none.
        private func program(on interface: String, in namespace: NetworkNamespace) throws -> Int? {
            let link = try JSON(run(["ip", "-n", namespace.name, "-j", "-d", "link", "show", "dev", interface]))[0]
            return link["xdp"]["prog"]["id"].int
        }

        /// The programs stay, so that nothing of what was protected leaves in clear.
        @Test(
            "SIGTERM and SIGINT leave nothing behind but the steering programs", arguments: [SIGTERM, SIGINT],
            ["native", "generic"])
        func leavesNothing(signal: Int32, mode: String) throws {
            try TwoGateways.with { network in
                let gateway = try SluiceGateway(
                    ManualTunnel().batch(.a), in: network.gatewayA, GatewayOptions(mode: mode))
                for port in ["lan0", "wan0"] { #expect(try program(on: port, in: network.gatewayA) != nil) }
                #expect(access(gateway.controlSocket, F_OK) == 0)
                gateway.process.signal(signal)
                #expect(gateway.process.wait(atMost: .seconds(30)) == .exited(0), "\(gateway.process.outputForHumans)")
                for port in ["lan0", "wan0"] { #expect(try program(on: port, in: network.gatewayA) != nil) }
                #expect(access(gateway.controlSocket, F_OK) != 0)
                let files = try run(["ip", "-n", network.gatewayA.name, "-br", "link"])
                #expect(!files.contains("sluice"), "\(files)")
            }
        }

        /// The best of a few starts: a busy machine may hold up any one of them.
        @Test("ready within a second, in little memory")
        func isReadySoon() throws {
            try TwoGateways.with { network in
                var best = Int.max
                for _ in 0..<5 where best >= 1000 {
                    let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
                    defer { gateway.process.terminate() }
                    let line = gateway.process.output.split(separator: "\n").first { $0.hasPrefix("ready in ") }
                    let words = try #require(line).split(separator: " ")
                    best = min(best, try #require(Int(words[2])))
                    #expect(try #require(try gateway.status()["gateway"]["resident_bytes"].int) < 64 << 20)
                }
                #expect(best < 1000, "milliseconds")
            }
        }

        /// Deleted and made again while packets flow, time after time: traffic is back within seconds, and so is every frame.
        @Test("ports that are removed and made again are served again", arguments: ["native", "generic"])
        func portsComeBack(mode: String) throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel(), GatewayOptions(mode: mode)) { gateways in
                    let traffic = Traffic(network)
                    try traffic.echoEveryWay(sizes: [56, 1400])
                    let before = try gateways.a.status().freeFrames
                    #expect(before > 0)
                    for _ in 0..<3 {
                        let flood = try RunningProcess(
                            ["ping", "-f", "-w", "60", Side.b.host(.ipv4)], in: network.lanA)
                        let inbound = try RunningProcess(
                            ["ping", "-f", "-w", "60", Side.a.router(.ipv4)], in: network.lanB)
                        defer { [flood, inbound].forEach { $0.terminate() } }
                        Thread.sleep(forTimeInterval: 0.3)
                        try remakePorts(network)
                        try eventually("traffic through the new ports", within: .seconds(20)) {
                            let client = try EchoClient(
                                from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                            return client.echo(payload: 56, attempts: 1, within: .milliseconds(300)) == .reply
                        }
                    }
                    try traffic.echoEveryWay(sizes: [56, 1400])
                    try eventually("all frames are back", within: .seconds(20)) {
                        try traffic.echo(from: .a, .ipv4, sizes: [56])
                        return try gateways.a.status().freeFrames >= before - 8
                    }
                    #expect(gateways.a.process.errors.contains("port is back and served again"))
                }
            }
        }

        private func remakePorts(_ network: borrowing TwoGateways) throws {
            let gatewayA = network.gatewayA
            try gatewayA.ip("link del lan0", "link del wan0")
            try gatewayA.connect("wan0", to: network.wire, TwoGateways.portA)
            try gatewayA.connect("lan0", to: network.lanA, "eth0")
            try network.wire.ip("link set portA master br0")
            try gatewayA.addGatewayAddresses(.a)
            try network.lanA.addHostAddresses(.a)
        }

        /// A card that takes the tags away hands over frames of all VLANs alike: answers would go back untagged.
        @Test("ports keep the tags of VLANs", arguments: ["lan0", "wan0"])
        func keepsTags(port: String) throws {
            try TwoGateways.with { network in
                func tagsStripped() throws -> String? {
                    try run(["ethtool", "-k", port], in: network.gatewayA).split(separator: "\n")
                        .first { $0.hasPrefix("rx-vlan-offload:") }.map(String.init)
                }
                try run(["ethtool", "-K", port, "rxvlan", "on"], in: network.gatewayA)
                #expect(try tagsStripped() == "rx-vlan-offload: on")
                let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
                defer { gateway.process.terminate() }
                #expect(try tagsStripped() == "rx-vlan-offload: off")
                #expect(!gateway.process.errors.contains("rxvlan"), "nothing to warn of")
            }
        }

        @Test("IPsec SAs of the kernel's own are named at the start: their packets do not reach the kernel")
        func kernelHasSAs() throws {
            try TwoGateways.with { network in
                // One that waits for its keys needs no ESP in the kernel.
                try network.gatewayA.ip(
                    "xfrm state allocspi src 192.0.2.9 dst \(Side.a.outer(.ipv4)) proto esp mode tunnel min 0x5001 max 0x5001"
                )
                let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
                defer { gateway.process.terminate() }
                #expect(gateway.process.errors.contains("the kernel has 1 IPsec SA of its own"))
                let other = try SluiceGateway(ManualTunnel().batch(.b), in: network.gatewayB)
                defer { other.process.terminate() }
                #expect(!other.process.errors.contains("of its own"))
            }
        }

        @Test("a killed gateway is replaced and traffic resumes", arguments: ["native", "generic"], [0, 64])
        func killed(mode: String, replayWindow: Int) throws {
            let tunnel = ManualTunnel(replayWindow: replayWindow)
            let options = GatewayOptions(mode: mode)
            try TwoGateways.with { network in
                try TunnelBetween.with(network, tunnel, options) { gateways in
                    let traffic = Traffic(network)
                    try traffic.echo(from: .a, .ipv4, sizes: [56, 1000])
                    gateways.a.process.kill()
                    let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                    #expect(client.echo(payload: 56, attempts: 1, within: .milliseconds(300)) == .lost)

                    let leftover = try program(on: "wan0", in: network.gatewayA)
                    let successor = try SluiceGateway(tunnel.batch(.a), in: network.gatewayA, options)
                    defer { successor.process.terminate() }
                    #expect(try program(on: "wan0", in: network.gatewayA) != nil)
                    if let leftover { #expect(try program(on: "wan0", in: network.gatewayA) != leftover) }
                    // Manual keys start again at sequence number 1, so a peer's replay window refuses the first packets.
                    try SluiceGateway.explaining([successor, gateways.b]) {
                        try eventually("traffic after the restart", within: .seconds(60)) {
                            client.echo(payload: 56, attempts: 1, within: .milliseconds(300)) == .reply
                        }
                        try traffic.echoEveryWay(sizes: [56, 1400])
                    }
                }
            }
        }

        @Test("somebody else's XDP program is reported and stays, unless forced")
        func foreignProgram() throws {
            try TwoGateways.with { network in
                let foreign = try compileForeignProgram()
                try network.gatewayA.ip("link set wan0 xdpgeneric obj \(foreign) sec xdp")
                let identifier = try #require(try program(on: "wan0", in: network.gatewayA))
                let refused = #expect(throws: CommandFailure.self) {
                    try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA, GatewayOptions(mode: "generic"))
                }
                let text = try #require(refused).output
                #expect(text.contains("wan0") && text.contains("--force"), "\(text)")
                #expect(try program(on: "wan0", in: network.gatewayA) == identifier)
                #expect(try program(on: "lan0", in: network.gatewayA) == nil, "a failed start leaves nothing")

                let forced = try SluiceGateway(
                    ManualTunnel().batch(.a), in: network.gatewayA,
                    GatewayOptions(mode: "generic", extra: ["--force"]))
                defer { forced.process.terminate() }
                #expect(try program(on: "wan0", in: network.gatewayA) != identifier)
            }
        }

        /// The smallest XDP program that is not ours, compiled with the toolchain's clang.
        private func compileForeignProgram() throws -> String {
            let source = try TestRun.current.scratchFile(
                "foreign.c",
                """
                __attribute__((section("xdp"), used)) int foreign(void *context) { return 2; /* XDP_PASS */ }
                char _license[] __attribute__((section("license"), used)) = "GPL";
                """)
            let object = TestRun.current.scratchPath("foreign.o")
            try run(["clang", "-target", "bpf", "-O2", "-g", "-c", source, "-o", object])
            return object
        }

        @Test("without the second gateway's answer nothing hangs: the control socket still answers")
        func peerAbsent() throws {
            try TwoGateways.with { network in
                let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
                defer { gateway.process.terminate() }
                let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                for _ in 0..<5 { #expect(client.echo(payload: 56, attempts: 1, within: .milliseconds(100)) == .lost) }
                #expect(try gateway.status().object.isEmpty == false)
            }
        }
    }
}
