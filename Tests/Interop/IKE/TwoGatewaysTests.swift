import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// `sluice run` as an operator meets it: with a file, without one, reloaded, ended.
    @Suite("two Sluices", .serialized)
    struct TwoSluices {
        static let outers = IPVersion.allCases

        @Test("carry pings and files as soon as they are ready, and nothing else crosses the WAN", arguments: outers)
        func start(outer: IPVersion) throws {
            try TwoGateways.with { network in
                var connection = IKEConnection(
                    children: [IKEChild(inner: IPVersion.allCases, settings: ["start_action = start"])])
                if outer == .ipv6 { connection.useIPv6() }
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    // Before that a host without gateway has said that its port 500 is closed.
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    try pair.awaitTraffic()
                    try pair.traffic.echoEveryWay(sizes: [0, 56, 1000, 1300, 1400, 2000])
                    for version in IPVersion.allCases { try pair.traffic.transfer(1 << 20, from: .b, version) }
                    let others = capture.stop().map(WireContent.init).filter { !Self.belongs($0) }
                    #expect(others.isEmpty, "\(others.prefix(5))")
                }
            }
        }

        /// ESP, IKE on port 500, hosts that ask for hardware addresses.
        private static func belongs(_ content: WireContent) -> Bool {
            if case .other(let text) = content { return text == "UDP (1, 244, 1, 244)" }
            return content != .udpEncapsulatedESP
        }

        @Test("a gateway without a file takes everything from swanctl")
        func empty() throws {
            try TwoGateways.with { network in
                let configuration = IKEConfiguration(IKEConnection())
                let other = try SluiceDaemon(SwanctlFolder("b", configuration, .b), in: network.gatewayB)
                defer { other.stop() }
                let gateway = try SluiceDaemon(
                    SwanctlFolder("a", configuration, .a), in: network.gatewayA, startsEmpty: true)
                defer { gateway.stop() }
                try explaining([other, gateway]) {
                    #expect(try gateway.control("--list-conns").isEmpty)
                    try gateway.control("--load-all")
                    #expect(try gateway.control("--list-conns").contains("site:"))
                    try gateway.initiate()
                    try Traffic(copy network).echo(from: .b, .ipv4, sizes: [56])
                }
            }
        }

        @Test("the peer's address may lie in the protected network: IKE stays outside of the tunnel")
        func peerWithinSelector() throws {
            try TwoGateways.with { network in
                var child = IKEChild(inner: [])
                child.settings = ["local_ts = 0.0.0.0/0", "remote_ts = 0.0.0.0/0"]
                let connection = IKEConnection(children: [child], settings: ["dpd_delay = 1s"])
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let before = try pair.sluice.associations()
                    for daemon in [pair.sluice, pair.peer] { try daemon.control("--rekey", "--ike", "site") }
                    try eventually("another IKE SA", within: .seconds(60)) {
                        Set(try pair.sluice.associations().ikeSPIs).isDisjoint(with: before.ikeSPIs)
                    }
                    // Both ask each other whether they live, and would be given up within this time.
                    Thread.sleep(forTimeInterval: 15)
                    try pair.traffic.echo(from: .b, .ipv4, sizes: [56])
                    #expect(try pair.sluice.associations().inboundSPIs == before.inboundSPIs)
                }
            }
        }

        @Test("a route into a tunnel does not catch what IKE answers to a peer that no address was named for")
        func trapForThePeer() throws {
            try TwoGateways.with { network in
                let pairs = Side.allCases.map { "\($0.outer(.ipv4))/32, \($0.prefix(.ipv4))" }
                func folder(_ side: Side, remote: String, _ action: String) throws -> SwanctlFolder {
                    var child = IKEChild(inner: [])
                    child.settings = [
                        "local_ts = \(pairs[side.rawValue - 1])", "remote_ts = \(pairs[side.other.rawValue - 1])",
                        "start_action = \(action)",
                    ]
                    var connection = IKEConnection(children: [child])
                    connection.addresses[side] = (side.outer(.ipv4), remote)
                    return try SwanctlFolder("\(side)", IKEConfiguration(connection), side)
                }
                let twin = try SluiceDaemon(folder(.b, remote: Side.a.outer(.ipv4), "none"), in: network.gatewayB)
                defer { twin.stop() }
                let trapping = try folder(.a, remote: "10.99.0.99, 10.99.0.0/24", "trap")
                try IKEPair.with(trapping, in: network.gatewayA, peer: twin, Traffic(copy network)) { pair in
                    try eventually("a route into the tunnel") {
                        try run(["ip", "-n", network.gatewayA.name, "route", "show", "table", "all"]).contains(
                            "\(Side.b.outer(.ipv4)) dev sluice")
                    }
                    try pair.peer.initiate()
                    try pair.awaitTraffic()
                    try pair.awaitChildren(1)
                }
            }
        }

        @Test("SIGHUP changes what has changed; a broken file changes nothing, and the log says why")
        func reload() throws {
            try TwoGateways.with { network in
                var connection = IKEConnection()
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    try pair.sluice.initiate()
                    let before = try pair.sluice.associations()

                    try pair.sluice.folder.write("connections {\n  site {\n    nonsense = 1\n")
                    pair.sluice.gateway.process.signal(SIGHUP)
                    try pair.sluice.awaitLog("configuration not reloaded", "swanctl.conf:")
                    #expect(try pair.sluice.control("--list-conns").contains("site:"))
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])

                    connection.children.append(IKEChild("more", inner: [.ipv6]))
                    try pair.sluice.folder.write(IKEConfiguration(connection), .a)
                    pair.sluice.gateway.process.signal(SIGHUP)
                    try pair.sluice.awaitLog("configuration reloaded")
                    #expect(try pair.sluice.control("--list-conns").contains("more:"))
                    let after = try pair.sluice.associations()
                    #expect(after.inboundSPIs == before.inboundSPIs && after.ikeSPIs == before.ikeSPIs)
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])

                    try pair.sluice.folder.write("")
                    pair.sluice.gateway.process.signal(SIGHUP)
                    try pair.awaitChildren(0)
                    try pair.expectNoTraffic()
                }
            }
        }

        @Test("SIGTERM deletes the SAs at the peer, at once")
        func end() throws {
            try TwoGateways.with { network in
                try IKEPair.twins(network, IKEConfiguration(IKEConnection())) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitChildren(1)
                    let clock = ContinuousClock()
                    let begun = clock.now
                    pair.sluice.stop()
                    #expect(clock.now - begun < .seconds(10))
                    #expect(pair.sluice.gateway.process.poll() == .exited(0))
                    try eventually("no SA at the peer", within: .seconds(5)) {
                        try pair.peer.associations().count("ESTABLISHED") == 0
                    }
                    try pair.peer.awaitLog("IKE SA is closed: ended by the peer")
                }
            }
        }

        @Test("an end that nobody acknowledges is still an end")
        func endWithoutPeer() throws {
            try TwoGateways.with { network in
                try IKEPair.twins(network, IKEConfiguration(IKEConnection())) { pair in
                    try pair.sluice.initiate()
                    try network.cut()
                    let end = pair.sluice.gateway.process.terminate(within: .seconds(10))
                    #expect(end == .exited(0))
                }
            }
        }
    }
}
