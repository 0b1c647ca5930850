import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// The boundary under a kernel that forwards, with a default route out of the WAN port: in no state of gateway, tunnel, peer or port
    /// does a packet leave in clear that a child covers, and none comes in clear that should be protected (RFC 4301 sections 4.4.1,
    /// 5.1 and 5.2).
    @Suite("boundary", .serialized)
    struct Boundary {
        private static let kinds = ["udp", "tcp", "icmp", "gre", "unknown", "fragment"]

        private static func configuration(_ action: String) -> IKEConfiguration {
            IKEConfiguration(
                IKEConnection(
                    children: [IKEChild(inner: IPVersion.allCases, settings: ["start_action = \(action)"])],
                    settings: ["dpd_delay = 1s", "keyingtries = 0"]))
        }

        /// A router with a way to everywhere, out of the WAN port, as the Internet's routers are for a gateway.
        private func makeRouter(_ namespace: NetworkNamespace) throws {
            try namespace.sysctl(
                "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
                "net.ipv4.conf.wan0.rp_filter=0", "net.ipv4.conf.lan0.rp_filter=0")
            try addDefaultRoute(namespace)
        }

        /// It goes with the port, so it has to be set again.
        private func addDefaultRoute(_ namespace: NetworkNamespace) throws {
            try namespace.ip(
                "neigh replace 10.99.0.254 lladdr 02:00:00:00:99:fe dev wan0 nud permanent",
                "neigh replace fd00:99::254 lladdr 02:00:00:00:99:fe dev wan0 nud permanent",
                "route replace default via 10.99.0.254 dev wan0", "route replace ::/0 via fd00:99::254 dev wan0")
        }

        private func sluice(_ arguments: String..., in namespace: NetworkNamespace) throws -> String {
            try run([SluiceGateway.binary] + arguments, in: namespace)
        }

        @Test("without guard and gateway everything is in clear: what the other tests look for can be seen")
        func control() throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                let clear = try ClearText(copy network, destinations: ["169.254.169.254"])
                defer { clear.stop() }
                let leaks = clear.leaks(during: .seconds(2))
                for version in IPVersion.allCases {
                    for kind in Self.kinds {
                        for mark in [
                            "lan \(kind) \(Side.a.host(version)) \(Side.b.host(version))",
                            "host \(kind) \(Side.a.router(version)) \(Side.b.host(version))",
                            "spoofed \(kind) \(Side.b.host(version)) \(Side.a.host(version))",
                        ] { #expect(leaks.contains(mark), "\(mark)") }
                    }
                }
                #expect(leaks.contains("lan udp \(Side.a.host(.ipv4)) 192.168.2.255"))
                #expect(leaks.contains("lan udp \(Side.a.host(.ipv4)) 169.254.169.254"))
            }
        }

        @Test("a guard closes before anything else is there, and `detach` opens on purpose and says what")
        func guardAlone() throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                let folder = try SwanctlFolder("a", Self.configuration("none"), .a)
                let ports = ["--lan", "lan0", "--wan", "wan0"]
                let text = try run(
                    [SluiceGateway.binary, "guard", "--config", folder.file] + ports, in: network.gatewayA)
                #expect(text.contains("site/net: 192.168.1.0/24 -> 192.168.2.0/24"), "\(text)")
                let clear = try ClearText(copy network)
                defer { clear.stop() }
                #expect(clear.leaks(during: .seconds(2)) == [])
                let status = try attempt(
                    [SluiceGateway.binary, "status", "--control", "/nowhere"], in: network.gatewayA)
                #expect(status.status == 1 && status.output.contains("192.168.1.0/24 -> 192.168.2.0/24"))
                #expect(status.output.contains("would have left in clear"), "\(status.output)")
                let opened = try sluice("detach", "--control", "/nowhere", in: network.gatewayA)
                #expect(opened.contains("Open from now on"), "\(opened)")
                #expect(!clear.leaks(during: .seconds(2)).isEmpty)
            }
        }

        /// One gateway's life, while everything is sent all the time.
        @Test("nothing leaves in clear in any state of a tunnel", arguments: ["none", "start", "trap"])
        func tunnelStates(action: String) throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                let configuration = Self.configuration(action)
                let folder = try SwanctlFolder("a", configuration, .a)
                _ = try run(
                    [SluiceGateway.binary, "guard", "--config", folder.file, "--lan", "lan0", "--wan", "wan0"],
                    in: network.gatewayA)
                let clear = try ClearText(copy network)
                defer { clear.stop() }
                func expectNone(_ state: String, during time: Duration = .seconds(1)) {
                    let leaks = clear.leaks(during: time)
                    #expect(leaks.isEmpty, "\(state): \(leaks.sorted().prefix(12))")
                }
                expectNone("before the first start")
                let gateway = try SluiceDaemon(folder, in: network.gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    expectNone("started, and no peer is there", during: .seconds(2))
                    let peer = try SluiceDaemon(
                        SwanctlFolder("b", Self.configuration("none"), .b), in: network.gatewayB)
                    defer { peer.stop() }
                    if action == "none" { try gateway.initiate() }
                    let pair = IKEPair(sluice: gateway, peer: peer, traffic: Traffic(copy network))
                    try pair.awaitTraffic()
                    expectNone("up")
                    try gateway.control("--rekey", "--child", "net")
                    try peer.control("--rekey", "--ike", "site")
                    expectNone("rekeyed", during: .seconds(2))
                    try gateway.terminate("site")
                    expectNone("terminated by us")
                    try gateway.initiate()
                    try peer.terminate("site")
                    expectNone("terminated by the peer")
                    try gateway.initiate()
                    peer.kill()
                    expectNone("the peer is dead", during: .seconds(2))
                    try gatewayStates(gateway, folder, configuration, network, expectNone)
                }
            }
        }

        /// What befalls the process and its ports.
        private func gatewayStates(
            _ gateway: SluiceDaemon, _ folder: SwanctlFolder, _ configuration: IKEConfiguration,
            _ network: borrowing TwoGateways, _ expectNone: (String, Duration) -> Void
        ) throws {
            try folder.write("connections { site { version = nonsense")
            gateway.gateway.process.signal(SIGHUP)
            expectNone("a broken file was loaded", .seconds(1))
            try folder.write(configuration, .a)
            gateway.gateway.process.signal(SIGHUP)
            expectNone("a file was loaded", .seconds(1))
            try network.gatewayA.ip("link set wan0 down")
            expectNone("WAN port down", .milliseconds(500))
            try network.gatewayA.ip("link set wan0 up", "addr replace \(Side.a.outer(.ipv6))/64 dev wan0 nodad")
            try addDefaultRoute(network.gatewayA)
            expectNone("WAN port up again", .seconds(1))
            try network.gatewayA.ip("link set lan0 down")
            try network.gatewayA.ip("link set lan0 up", "addr replace \(Side.a.router(.ipv6))/64 dev lan0 nodad")
            expectNone("LAN port down and up", .seconds(1))
            gateway.kill()
            expectNone("killed", .seconds(1))
            try gateway.start()
            expectNone("started again", .seconds(1))
            gateway.stop()
            expectNone("ended by SIGTERM", .seconds(1))
            try gateway.start()
            expectNone("and started again", .seconds(1))
        }

        /// A fault of the configuration costs what it stands in: that stays closed, the rest runs, and what ran goes on.
        @Test("a configuration with faults, at the start and at a reload")
        func faults() throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                var broken = IKEConnection(
                    children: [IKEChild("four", inner: [.ipv4]), IKEChild("six", inner: [.ipv6])],
                    settings: ["dpd_delay = 10s"])
                let whole = IKEConfiguration(broken)
                broken.children[1].settings = ["updown = /bin/true"]
                let folder = try SwanctlFolder("a", IKEConfiguration(broken), .a)
                let gateway = try SluiceDaemon(folder, in: network.gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    let clear = try ClearText(copy network)
                    defer { clear.stop() }
                    func expectNone(_ state: String) {
                        let leaks = clear.leaks(during: .seconds(1))
                        #expect(leaks.isEmpty, "\(state): \(leaks.sorted().prefix(12))")
                    }
                    func refused() throws -> [String] {
                        try gateway.gateway.status()["configuration"]["refused"].array.compactMap(\.string)
                    }
                    expectNone("started with a child that is refused")
                    #expect(try refused() == ["site/six"])
                    let peer = try SluiceDaemon(SwanctlFolder("b", whole, .b), in: network.gatewayB)
                    defer { peer.stop() }
                    try gateway.control("--initiate", "--child", "four")
                    try IKEPair(sluice: gateway, peer: peer, traffic: Traffic(copy network)).awaitTraffic()
                    let before = try gateway.associations().inboundSPIs

                    broken.settings = ["version = 1"]
                    try folder.write(IKEConfiguration(broken), .a)
                    gateway.gateway.process.signal(SIGHUP)
                    try gateway.awaitLog("goes on as it was before")
                    try gateway.awaitLog("as far as it can be served")
                    expectNone("loaded with a connection that is refused")
                    #expect(try gateway.associations().inboundSPIs == before)
                    #expect(try gateway.gateway.status()["configuration"]["errors"].array.count == 2)
                    try gateway.control("--rekey", "--child", "four")
                    try IKEPair(sluice: gateway, peer: peer, traffic: Traffic(copy network)).awaitTraffic()

                    try folder.write(whole, .a)
                    gateway.gateway.process.signal(SIGHUP)
                    try eventually("no faults", within: .seconds(10)) {
                        try gateway.gateway.status()["configuration"].value == nil
                    }
                    try gateway.control("--initiate", "--child", "six")
                    expectNone("mended")
                }
            }
        }

        /// The peer's name does not resolve and there is no route to anywhere: protection is no matter of DNS and routes.
        @Test("a trap for everything whose peer is not known yet", arguments: ["none", "start", "trap"])
        func everythingAndNoPeer(action: String) throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                var child = IKEChild(inner: [])
                child.settings = [
                    "local_ts = \(Side.a.prefix(.ipv4)), \(Side.a.prefix(.ipv6))", "remote_ts = 0.0.0.0/0, ::/0",
                    "start_action = \(action)",
                ]
                var hole = IKEChild("hole", inner: [])
                hole.settings = [
                    "local_ts = \(Side.a.prefix(.ipv4))", "remote_ts = 203.0.113.0/24", "mode = pass",
                ]
                var connection = IKEConnection(children: [child, hole])
                connection.addresses = [.a: ("%any", "no-such-peer.invalid"), .b: ("%any", "%any")]
                let gateway = try SluiceDaemon(
                    SwanctlFolder("a", IKEConfiguration(connection), .a), in: network.gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    let clear = try ClearText(
                        copy network, destinations: ["169.254.169.254", "240.0.0.1", "8.8.8.8", "203.0.113.7"],
                        guests: ["172.20.0.2"])
                    defer { clear.stop() }
                    func expectGuestsAlone(_ state: String) {
                        let leaks = clear.leaks(during: .seconds(2))
                        let others = leaks.filter { !$0.hasPrefix("guest ") && !$0.hasSuffix(" 203.0.113.7") }
                        #expect(others.isEmpty, "\(state): \(others.sorted().prefix(12))")
                        // What a child with `mode = pass` is for goes the kernel's way.
                        for origin in ["lan udp \(Side.a.host(.ipv4))", "host udp \(Side.a.router(.ipv4))"] {
                            #expect(leaks.contains("\(origin) 203.0.113.7"), "\(state): \(leaks.sorted().prefix(12))")
                        }
                        // The guest network keeps its Internet.
                        #expect(
                            leaks.contains("guest udp 172.20.0.2 8.8.8.8"), "\(state): \(leaks.sorted().prefix(12))")
                    }
                    expectGuestsAlone("running")
                    gateway.kill()
                    expectGuestsAlone("killed")
                    try gateway.start()
                    expectGuestsAlone("started again")
                }
            }
        }

        @Test("what no child covers by its protocol goes the kernel's way, whoever sends it")
        func otherProtocols() throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                var child = IKEChild(inner: [])
                func both(_ side: Side) -> String {
                    IPVersion.allCases.map { "\(side.prefix($0))[tcp]" }.joined(separator: ", ")
                }
                child.settings = ["local_ts = \(both(.a))", "remote_ts = \(both(.b))", "start_action = trap"]
                let gateway = try SluiceDaemon(
                    SwanctlFolder("a", IKEConfiguration(IKEConnection(children: [child])), .a), in: network.gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    let clear = try ClearText(copy network)
                    defer { clear.stop() }
                    func expectOthersAlone(_ state: String) {
                        let seen = clear.leaks(during: .seconds(2))
                        #expect(seen.filter { $0.contains(" tcp ") } == [], "\(state)")
                        for version in IPVersion.allCases {
                            for kind in ["udp", "icmp", "gre", "unknown"] {
                                for mark in [
                                    "lan \(kind) \(Side.a.host(version)) \(Side.b.host(version))",
                                    "host \(kind) \(Side.a.router(version)) \(Side.b.host(version))",
                                    "spoofed \(kind) \(Side.b.host(version)) \(Side.a.host(version))",
                                ] { #expect(seen.contains(mark), "\(state): \(mark)") }
                            }
                        }
                    }
                    expectOthersAlone("running")
                    gateway.kill()
                    expectOthersAlone("killed")
                    try gateway.start()
                    expectOthersAlone("started again")
                }
            }
        }

        @Test("ports that are removed and made again, and get more queues than the gateway has sockets")
        func newPorts() throws {
            try TwoGateways.with(queues: 4) { network in
                let gatewayA = network.gatewayA
                try makeRouter(gatewayA)
                for port in ["lan0", "wan0"] { try run(["ethtool", "-L", port, "rx", "1", "tx", "1"], in: gatewayA) }
                let gateway = try SluiceDaemon(
                    SwanctlFolder("a", Self.configuration("trap"), .a), in: gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    for port in ["lan0", "wan0"] {
                        try run(["ethtool", "-L", port, "rx", "4", "tx", "4"], in: gatewayA)
                    }
                    var clear = try ClearText(copy network)
                    #expect(clear.leaks(during: .seconds(2)) == [], "more queues")
                    clear.stop()
                    try gatewayA.ip("link del lan0", "link del wan0")
                    try gatewayA.connect("wan0", to: network.wire, TwoGateways.portA)
                    try gatewayA.connect("lan0", to: network.lanA, "eth0")
                    try network.wire.ip("link set portA master br0")
                    try gatewayA.addGatewayAddresses(.a)
                    try network.lanA.addHostAddresses(.a)
                    try addDefaultRoute(gatewayA)
                    clear = try ClearText(copy network)
                    #expect(clear.leaks(during: .seconds(2)) == [], "new ports")
                    clear.stop()
                }
            }
        }

        @Test("--open-on-exit opens at an orderly end, and not when the gateway is killed")
        func openOnExit() throws {
            try TwoGateways.with { network in
                try makeRouter(network.gatewayA)
                let folder = try SwanctlFolder("a", Self.configuration("none"), .a)
                let gateway = try SluiceDaemon(folder, in: network.gatewayA, extra: ["--open-on-exit"])
                defer { gateway.stop() }
                let clear = try ClearText(copy network)
                defer { clear.stop() }
                _ = clear.leaks(during: .milliseconds(200))
                gateway.kill()
                #expect(clear.leaks(during: .seconds(1)) == [])
                try gateway.start()
                #expect(clear.leaks(during: .seconds(1)) == [])
                gateway.stop()
                #expect(!clear.leaks(during: .seconds(2)).isEmpty)
                #expect(gateway.log.contains("the boundary is open"), "\(gateway.log)")
            }
        }
    }
}
