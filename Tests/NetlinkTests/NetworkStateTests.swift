import Packets
import Testing

@testable import Netlink

/// What the state says after messages, and what it knows that it does not know.
@Suite struct NetworkStateTests {
    private var state = NetworkState()

    init() throws {
        apply(.link(Link(index: 2, name: "lan", macAddress: MACAddress("02:00:00:00:00:02"))))
        apply(.link(Link(index: 3, name: "wan", macAddress: MACAddress("02:00:00:00:00:03"))))
    }

    @discardableResult
    private mutating func apply(_ message: NetlinkMessage) -> NetworkChange { state.apply(message) }

    private func route(
        _ destination: String, kind: Route.Kind = .unicast, table: Route.Table = .main, metric: UInt32 = 0,
        via gateway: String? = nil, interface: UInt32 = 3
    ) throws -> Route {
        Route(
            destination: try #require(IPPrefix(destination)), kind: kind, table: table, metric: metric,
            hops: kind == .unicast || kind == .local
                ? [.init(interfaceIndex: interface, gateway: gateway.flatMap { IPAddress($0) })] : [])
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func linksByNameAndIndex() {
        #expect(state.link(named: "wan")?.index == 3)
        #expect(state.link(index: 2)?.name == "lan")
        #expect(state.link(named: "dmz") == nil)
    }

    @Test mutating func onlyUsableAddressesAreLocal() throws {
        let tentative = InterfaceAddress(
            interfaceIndex: 3, address: try address("2001:db8::1"), prefixLength: 64, isTentative: true)
        let secondary = InterfaceAddress(
            interfaceIndex: 3, address: try address("10.0.0.1"), prefixLength: 24, isSecondary: true)
        let primary = InterfaceAddress(interfaceIndex: 3, address: try address("10.0.0.7"), prefixLength: 24)
        for address in [tentative, secondary, primary] { apply(.address(address)) }
        #expect(state.localAddresses(interface: 3) == [primary, secondary])
        #expect(state.localAddresses(family: .ipv6).isEmpty)

        var ready = tentative
        ready.isTentative = false
        #expect(apply(.address(ready)) == .addresses)
        #expect(state.localAddresses(family: .ipv6) == [ready])
        #expect(apply(.addressRemoved(ready)) == [.addresses, .routesUncertain])
        #expect(apply(.addressRemoved(ready)) == [])
    }

    @Test mutating func repeatedMessagesChangeNothing() throws {
        let route = try route("10.0.0.0/8")
        let neighbour = Neighbour(
            key: .init(interfaceIndex: 3, address: try address("10.0.0.1")), macAddress: nil, state: .incomplete)
        for message in [NetlinkMessage.route(route, replaces: false), .neighbour(neighbour)] {
            #expect(apply(message) != [])
            #expect(apply(message) == [])
        }
    }

    @Test mutating func lowestMetricWins() throws {
        let worse = try route("10.0.0.0/8", metric: 100, via: "10.1.0.1")
        let better = try route("10.0.0.0/8", metric: 50, via: "10.1.0.2")
        apply(.route(worse, replaces: false))
        apply(.route(better, replaces: false))
        #expect(state.forwardingRoutes() == [better])
        apply(.routeRemoved(better))
        #expect(state.forwardingRoutes() == [worse])
    }

    @Test mutating func routeWithoutCarrierGivesWay() throws {
        let first = try route("0.0.0.0/0", metric: 10, interface: 2)
        let second = try route("0.0.0.0/0", metric: 20, interface: 3)
        apply(.route(first, replaces: false))
        apply(.route(second, replaces: false))
        #expect(state.forwardingRoutes() == [first])
        let down = Link(index: 2, name: "lan", hasCarrier: false, operationalState: .lowerLayerDown)
        #expect(apply(.link(down)) == [.links, .routesUncertain])
        #expect(state.forwardingRoutes() == [second])
        #expect(state.usableHops(first).isEmpty)
    }

    @Test mutating func replacement() throws {
        let old = try route("10.0.0.0/8", via: "10.1.0.1")
        let new = try route("10.0.0.0/8", via: "10.1.0.2")
        apply(.route(old, replaces: false))
        #expect(apply(.route(new, replaces: true)) == .routes)
        #expect(state.forwardingRoutes() == [new])
        // Two of the same key: which of them a replacement hits, only the kernel knows.
        apply(.route(old, replaces: false))
        #expect(apply(.route(try route("10.0.0.0/8", via: "10.1.0.3"), replaces: true)) == .routesUncertain)
    }

    @Test mutating func ipv6RouteGrowsAndShrinksByOneHop() throws {
        var route = try route("2001:db8::/32", via: "fe80::1")
        apply(.route(route, replaces: false))
        let first = route
        route.hops.append(.init(interfaceIndex: 2, gateway: try address("fe80::2")))
        #expect(apply(.route(route, replaces: false)) == .routes)
        #expect(Array(state.allRoutes) == [route])
        #expect(apply(.routeRemoved(first)) == .routesUncertain)
        #expect(state.replaceRoutes(with: [first]) == .routes)
        #expect(state.replaceRoutes(with: [first]) == [])
        #expect(Array(state.allRoutes) == [first])
    }

    @Test mutating func earlierTableDecides() throws {
        let local = try route("10.0.0.1/32", kind: .local, table: .local)
        let loopback = try route("127.0.0.0/8", kind: .local, table: .local)
        let hidden = try route("127.1.0.0/16")
        let shadowed = try route("10.0.0.1/32")
        let network = try route("10.0.0.0/24")
        let thrown = try route("172.16.0.0/12", kind: .throw)
        let last = try route("172.16.1.0/24", table: .default)
        for route in [local, loopback, hidden, shadowed, network, thrown, last] {
            apply(.route(route, replaces: false))
        }
        #expect(state.forwardingRoutes() == [network, local, loopback, last])
        #expect(state.route(to: try address("10.0.0.1")) == local)
        #expect(state.route(to: try address("10.0.0.2")) == network)
        #expect(state.route(to: try address("192.0.2.1")) == nil)
    }

    @Test mutating func whatWasOnALinkGoesWithIt() throws {
        let neighbour = Neighbour(
            key: .init(interfaceIndex: 3, address: try address("10.0.0.1")),
            macAddress: MACAddress("02:00:00:00:00:09"), state: .stale)
        apply(.neighbour(neighbour))
        apply(.address(.init(interfaceIndex: 3, address: try address("10.0.0.7"), prefixLength: 24)))
        #expect(state.macAddress(interface: 3, address: try address("10.0.0.1")) == neighbour.macAddress)
        let change = apply(.linkRemoved(Link(index: 3, name: "wan")))
        #expect(change == [.links, .addresses, .neighbours, .routesUncertain])
        #expect(state.macAddress(interface: 3, address: try address("10.0.0.1")) == nil)
        #expect(state.localAddresses().isEmpty)
    }

    @Test(arguments: [NetlinkMessage.overrun, .malformed])
    mutating func lossMakesEverythingUncertain(message: NetlinkMessage) {
        #expect(apply(message) == .everythingUncertain)
    }

    /// Only what was asked counts as asked: with more that are due than may be asked at once, all have their turn.
    @Test mutating func proberLeavesNobodyOut() throws {
        var prober = NeighbourProber()
        let keys = (0..<10).map { Neighbour.Key(interfaceIndex: 3, address: IPAddress(ipv4: UInt32($0))) }
        for key in keys {
            apply(.neighbour(.init(key: key, macAddress: MACAddress("02:00:00:00:00:09"), state: .stale)))
        }
        var asked: [Neighbour.Key] = []
        for step in 0..<3 {
            let due = prober.due(keys, in: state, now: Instant(nanoseconds: UInt64(step)), atMost: 4)
            #expect(due.count == (step < 2 ? 4 : 2))
            asked += due
        }
        #expect(Set(asked) == Set(keys) && asked.count == 10)
    }

    @Test mutating func proberAsksNoMoreThanNeeded() throws {
        let second = Duration.seconds(1)
        let key = Neighbour.Key(interfaceIndex: 3, address: try address("10.0.0.1"))
        var prober = NeighbourProber()
        func set(_ neighbourState: Neighbour.State) {
            apply(.neighbour(.init(key: key, macAddress: nil, state: neighbourState)))
        }
        #expect(prober.due([key, key], in: state, now: 0) == [key])
        #expect(prober.due([key], in: state, now: .start + second - .nanoseconds(1)) == [])
        #expect(prober.due([key], in: state, now: .start + second) == [key])
        set(.reachable)
        #expect(prober.due([key], in: state, now: .start + second * 20) == [])
        set(.stale)
        #expect(prober.due([key], in: state, now: .start + second * 21) == [key])
        #expect(prober.due([key], in: state, now: .start + second * 25) == [])
        #expect(prober.due([key], in: state, now: .start + second * 26) == [key])
        set(.failed)
        #expect(prober.due([key], in: state, now: .start + second * 28) == [])
        #expect(prober.due([key], in: state, now: .start + second * 29) == [key])
        // Not in use any more: forgotten, so that the next use asks at once.
        #expect(prober.due([], in: state, now: .start + second * 29) == [])
        #expect(prober.due([key], in: state, now: .start + second * 29) == [key])
    }
}
