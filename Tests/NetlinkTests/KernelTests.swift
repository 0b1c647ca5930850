import Dispatch
import Packets
import Testing

@testable import Netlink

/// Against the real kernel, in namespaces of the test's own.
@Suite(.timeLimit(.minutes(15))) struct KernelTests {
    /// A monitor and what it has reported, in a fresh pair of namespaces.
    private static func following<Value: Sendable>(
        _ body: @escaping @Sendable (TestNamespace, Recorder, Link) throws -> Value
    ) async throws -> Value {
        try await TestNamespace.run { namespace in
            let recorder = Recorder()
            let monitor = try NetworkMonitor { recorder.record($0, $1) }
            defer { monitor.stop() }
            recorder.record([], monitor.initialState)
            let port = try recorder.wait("carrier") { $0.link(named: "port")?.isUsable == true }.link(named: "port")
            guard let port else { throw CheckFailure(description: "no port") }
            return try body(namespace, recorder, port)
        }
    }

    /// The kernel's IPsec SAs, as `ip xfrm state` makes them.
    @Test func securityAssociations() async throws {
        let counts = try await TestNamespace.run { namespace in
            let before = try KernelSecurityAssociations.count()
            for spi in ["0x1001", "0x1002"] {
                // They wait for their keys, which needs no ESP in the kernel.
                _ = try namespace.output(
                    "ip xfrm state allocspi src 10.9.0.2 dst 10.9.0.1 proto esp mode tunnel min \(spi) max \(spi)")
            }
            return [before, try KernelSecurityAssociations.count()]
        }
        #expect(counts == [0, 2])
    }

    @Test func dump() async throws {
        let state = try await TestNamespace.run { _ in try NetlinkSession().networkState() }
        let port = try #require(state.link(named: "port"))
        #expect(port.macAddress == MACAddress("02:00:00:00:00:01"))
        #expect(port.kind == "veth" && port.mtu == 1500 && port.isUp && !port.isLoopback)
        #expect(state.link(named: "lo")?.isLoopback == true)
        let ours = state.localAddresses(interface: port.index, family: .ipv4)
        #expect(ours.map(\.address) == [IPAddress("10.9.0.1")] && ours.first?.prefixLength == 24)
        // Whether the carrier is there already is another test's matter.
        let onLink = state.route(to: try #require(IPAddress("10.9.0.77")))?.hops
        #expect(onLink?.map(\.interfaceIndex) == [port.index] && onLink?.first?.gateway == nil)
        #expect(state.route(to: try #require(IPAddress("10.9.0.1")))?.kind == .local)
        #expect(state.route(to: try #require(IPAddress("10.9.0.255")))?.kind == .broadcast)
        #expect(state.route(to: try #require(IPAddress("2001:db8:9::77")))?.hops.first?.interfaceIndex == port.index)
        #expect(state.route(to: try #require(IPAddress("2001:db8:9::1")))?.kind == .local)
    }

    /// Rules for the host's own packets, as `ip rule` reads them; twice is no error, and what a dead process left is removed.
    @Test func rules() async throws {
        let source = try address("10.9.0.1")
        let texts = try await TestNamespace.run { namespace in
            let session = try NetlinkSession()
            let everything = RoutingRule(
                family: .ipv4, priority: 17_300, table: .main, ignoredLength: 0, source: source)
            let web = RoutingRule(
                family: .ipv6, priority: 17_301, table: Route.Table(rawValue: 17_300), protocol: 6,
                sourcePorts: 1...1023, destinationPorts: 80...80)
            for rule in [everything, web, web] { try session.add(rule) }
            let before = try namespace.output("ip rule show") + namespace.output("ip -6 rule show")
            try session.remove(web)
            try session.add(
                RoutingRule(family: .ipv6, priority: 17_309, table: Route.Table(rawValue: 17_300), protocol: 17))
            try session.replace(
                Route(destination: IPPrefix(host: source), kind: .throw, table: Route.Table(rawValue: 17_300)))
            try session.removeRules(priorities: 17_300..<17_310, tables: 17_300..<17_310)
            let after = try namespace.output("ip rule show") + namespace.output("ip -6 rule show")
            return (before, after, try session.routes().filter { $0.origin == .sluice }.count)
        }
        #expect(
            texts.0.contains("17300:\tfrom 10.9.0.1 iif lo lookup main suppress_prefixlength 0 proto 173"), "\(texts.0)"
        )
        #expect(
            texts.0.contains("17301:\tfrom all iif lo ipproto tcp sport 1-1023 dport 80 lookup 17300 proto 173"),
            "\(texts.0)")
        #expect(!texts.1.contains("173") && texts.2 == 0, "\(texts.1)")
    }

    @Test func linkDownAndUp() async throws {
        try await Self.following { namespace, recorder, port in
            try namespace.run("ip route add 10.50.0.0/16 via 10.9.0.2")
            let remote = try address("10.50.0.1")
            try recorder.wait("route") { $0.route(to: remote) != nil }
            // IPv4 routes disappear without a message when the interface goes down.
            try namespace.run("ip link set port down")
            try recorder.wait("down") { $0.link(index: port.index)?.isUsable == false && $0.route(to: remote) == nil }
            try namespace.run("ip link set port up")
            try recorder.wait("up") { $0.link(index: port.index)?.isUsable == true }
            // The other end goes down: no carrier here, and the interface stays up.
            try namespace.inFar { try namespace.run("ip link set peer down") }
            try recorder.wait("no carrier") {
                $0.link(index: port.index).map { $0.isUp && !$0.hasCarrier && !$0.isUsable } ?? false
            }
            try namespace.run("ip link del port")
            try recorder.wait("gone") {
                $0.link(index: port.index) == nil && $0.localAddresses(family: .ipv4).count <= 1
            }
        }
    }

    @Test func addressMTUAndMAC() async throws {
        try await Self.following { namespace, recorder, port in
            let added = try address("10.9.1.1")
            try namespace.run("ip addr add 10.9.1.1/24 dev port")
            try recorder.wait("address") { $0.localAddresses(interface: port.index).contains { $0.address == added } }
            try namespace.run("ip route add 10.51.0.0/16 dev port src 10.9.1.1")
            let remote = try address("10.51.0.1")
            try recorder.wait("route") { $0.route(to: remote)?.preferredSource == added }
            // The route goes silently with its source address.
            try namespace.run("ip addr del 10.9.1.1/24 dev port")
            try recorder.wait("no address, no route") {
                !$0.localAddresses().contains { $0.address == added } && $0.route(to: remote) == nil
            }
            try namespace.run("ip link set port mtu 1400 address 02:00:00:00:00:11")
            try recorder.wait("MTU and MAC") {
                let link = $0.link(index: port.index)
                return link?.mtu == 1400 && link?.macAddress == MACAddress("02:00:00:00:00:11")
            }
        }
    }

    @Test func routesOfAllKinds() async throws {
        try await Self.following { namespace, recorder, port in
            let remote = try address("10.60.0.1")
            try namespace.run("ip route add 10.60.0.0/16 via 10.9.0.2 metric 100")
            try recorder.wait("added") { $0.route(to: remote)?.metric == 100 }
            try namespace.run("ip route replace 10.60.0.0/16 via 10.9.0.3 metric 100")
            let gateway = try address("10.9.0.3")
            try recorder.wait("replaced") { $0.route(to: remote)?.hops.first?.gateway == gateway }
            try namespace.run("ip route add 10.60.0.0/16 via inet6 2001:db8:9::2 dev port metric 50")
            let gateway6 = try address("2001:db8:9::2")
            try recorder.wait("better metric") { $0.route(to: remote)?.hops.first?.gateway == gateway6 }
            try namespace.run("ip route del 10.60.0.0/16 metric 50")
            try recorder.wait("deleted") { $0.route(to: remote)?.metric == 100 }
            try namespace.run("ip route add blackhole 10.61.0.0/16")
            try namespace.run("ip -6 route add unreachable 2001:db8:61::/48")
            try namespace.run("ip route add 10.62.0.0/16 nexthop via 10.9.0.2 weight 3 nexthop via 10.9.0.3")
            let others = (try address("10.61.0.1"), try address("2001:db8:61::1"), try address("10.62.0.1"))
            try recorder.wait("other kinds") {
                $0.route(to: others.0)?.kind == .blackhole && $0.route(to: others.1)?.kind == .unreachable
                    && $0.route(to: others.2)?.hops.map(\.weight) == [3, 1]
            }
            try namespace.run("ip nexthop add id 7 via 10.9.0.2 dev port")
            try namespace.run("ip route add 10.63.0.0/16 nhid 7")
            let byObject = try address("10.63.0.1")
            try recorder.wait("nexthop object") {
                let route = $0.route(to: byObject)
                return route?.nextHopID == 7 && route?.hops.first?.interfaceIndex == port.index
            }
        }
    }

    @Test func ipv6MultipathByAppending() async throws {
        try await Self.following { namespace, recorder, _ in
            let remote = try address("2001:db8:70::1")
            try namespace.run("ip -6 route add 2001:db8:70::/48 via 2001:db8:9::2")
            try namespace.run("ip -6 route append 2001:db8:70::/48 via 2001:db8:9::3")
            try recorder.wait("two hops") { $0.route(to: remote)?.hops.count == 2 }
            try namespace.run("ip -6 route del 2001:db8:70::/48 via 2001:db8:9::2")
            let remaining = try address("2001:db8:9::3")
            try recorder.wait("one hop") { $0.route(to: remote)?.hops.map(\.gateway) == [remaining] }
        }
    }

    @Test(arguments: ["10.9.0.2", "2001:db8:9::2"])
    func probeResolvesAndVerifies(neighbour text: String) async throws {
        try await Self.following { namespace, recorder, port in
            let neighbour = try address(text)
            let key = Neighbour.Key(interfaceIndex: port.index, address: neighbour)
            let family = neighbour.family == .ipv4 ? "ipv4" : "ipv6"
            try namespace.run("sysctl -qw net.\(family).neigh.port.delay_first_probe_time=1")
            let session = try NetlinkSession()
            try session.probeNeighbour(interface: port.index, address: neighbour)
            try recorder.wait("resolved") {
                $0.macAddress(interface: port.index, address: neighbour) == MACAddress("02:00:00:00:00:02")
            }
            try namespace.run("ip neigh change \(text) dev port lladdr 02:00:00:00:00:02 nud stale")
            try recorder.wait("stale, usable") {
                $0.neighbours[key]?.state == .stale && $0.neighbours[key]?.usableMACAddress != nil
            }
            try session.probeNeighbour(interface: port.index, address: neighbour)
            try recorder.wait("verified") { $0.neighbours[key]?.state == .reachable }
            // The neighbour gets another MAC: an announcement is enough.
            try namespace.run("ip neigh replace \(text) dev port lladdr 02:00:00:00:00:99 nud reachable")
            try recorder.wait("changed") { $0.neighbours[key]?.macAddress == MACAddress("02:00:00:00:00:99") }
            try namespace.run("ip neigh del \(text) dev port")
            try recorder.wait("gone") { $0.macAddress(interface: port.index, address: neighbour) == nil }
        }
    }

    @Test func probeOfNobodyFails() async throws {
        try await Self.following { namespace, recorder, port in
            try namespace.run("sysctl -qw net.ipv4.neigh.port.retrans_time_ms=50")
            let nobody = try address("10.9.0.200")
            try NetlinkSession().probeNeighbour(interface: port.index, address: nobody)
            let key = Neighbour.Key(interfaceIndex: port.index, address: nobody)
            try recorder.wait("failed") { $0.neighbours[key]?.state == .failed }
        }
    }

    @Test func overflowIsMadeUpFor() async throws {
        try await TestNamespace.run { namespace in
            // The observer holds the monitor up while more routes come than the socket can keep.
            let gate = DispatchSemaphore(value: 0)
            let recorder = Recorder()
            let monitor = try NetworkMonitor { change, state in
                gate.wait()
                gate.signal()
                recorder.record(change, state)
            }
            defer {
                gate.signal()
                monitor.stop()
            }
            try namespace.run("ip addr add 10.9.3.1/24 dev port")
            try namespace.run(
                "awk 'BEGIN { for (i = 0; i < 20000; i++)"
                    + " printf \"route add 10.%d.%d.%d/32 via 10.9.0.2\\n\", 80 + i / 65536, i / 256 % 256, i % 256 }'"
                    + " | ip -batch -")
            gate.signal()
            try recorder.wait("all routes", seconds: 60) {
                $0.allRoutes.count { $0.hops.first?.gateway != nil && $0.destination.length == 32 } == 20_000
            }
            guard recorder.reported.contains([.links, .addresses, .routes, .neighbours]) else {
                throw CheckFailure(description: "the socket did not overflow")
            }
        }
    }

    @Test func ownRoutesAreRecognisedAndRemoved() async throws {
        let removed = try await Self.following { namespace, recorder, port -> [String] in
            let session = try NetlinkSession()
            guard let network = IPPrefix("10.90.0.0/16"), let network6 = IPPrefix("2001:db8:90::/48") else { return [] }
            try session.replace(
                Route(
                    destination: network,
                    hops: [.init(interfaceIndex: port.index, gateway: try address("10.9.0.2"))]))
            try session.replace(Route(destination: network6, metric: 7, hops: [.init(interfaceIndex: port.index)]))
            try namespace.run("ip route add 10.91.0.0/16 via 10.9.0.2")
            let foreign = try address("10.91.0.1")
            try recorder.wait("all routes") {
                $0.route(to: network.first)?.origin == .sluice && $0.route(to: network6.first)?.metric == 7
                    && $0.route(to: foreign) != nil
            }
            let own = try session.routes().filter { $0.origin == .sluice }
            for route in own { try session.remove(route) }
            try recorder.wait("own routes gone") {
                $0.route(to: network.first) == nil && $0.route(to: network6.first) == nil
                    && $0.route(to: foreign) != nil
            }
            return own.map(\.destination.description).sorted()
        }
        #expect(removed == ["10.90.0.0/16", "2001:db8:90::/48"])
    }

    @Test func refusalsCarryTheKernelsReason() async throws {
        let error = try await TestNamespace.run { _ -> NetlinkError? in
            do throws(NetlinkError) {
                guard let network = IPPrefix("10.0.0.0/8") else { return nil }
                try NetlinkSession().replace(
                    Route(destination: network, hops: [.init(interfaceIndex: 0, gateway: IPAddress("192.0.2.1"))]))
                return nil
            } catch {
                return error
            }
        }
        #expect(error?.errno == .networkUnreachable)
        #expect(error?.description.contains("Nexthop has invalid gateway") == true)
    }

    @Test func stopIsPromptAndFinal() async throws {
        let reported = try await Self.following { namespace, recorder, _ in
            let second = Recorder()
            let monitor = try NetworkMonitor { second.record($0, $1) }
            monitor.stop()
            monitor.stop()
            try namespace.run("ip addr add 10.9.2.1/24 dev port")
            let added = try address("10.9.2.1")
            try recorder.wait("address") { $0.localAddresses().contains { $0.address == added } }
            return second.reported
        }
        #expect(reported.isEmpty)
    }
}

/// Parses an address that a test has written down.
func address(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else { throw CheckFailure(description: "\(text) is no address") }
    return address
}
