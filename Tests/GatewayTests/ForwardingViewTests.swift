import Logging
import Netlink
import Packets
import Policy
import Testing

@testable import Gateway

/// A network configuration put together from the messages that the kernel sends.
private func network(_ messages: [NetlinkMessage]) -> NetworkState {
    var state = NetworkState()
    for message in messages { _ = state.apply(message) }
    return state
}

private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
private let mac = MACAddress(0x0200_0000_0001)
private let otherMAC = MACAddress(0x0200_0000_0002)

@Suite struct ForwardingViewTests {
    private let wan = Link(index: 7, name: "wan0", macAddress: mac)

    private func forwarding(_ messages: [NetlinkMessage]) -> ForwardingView {
        ForwardingView(network(messages), ports: [7: 1])
    }

    @Test func followsPortsAndTheirVLANs() throws {
        let vlan = Link(index: 9, name: "wan0.5", macAddress: mac, mtu: 1496, kind: "vlan", lower: 7, vlanIdentifier: 5)
        let elsewhere = Link(index: 8, name: "eth9", macAddress: otherMAC)
        let view = forwarding([
            .link(wan), .link(vlan), .link(elsewhere),
            .address(InterfaceAddress(interfaceIndex: 9, address: try address("192.0.2.1"), prefixLength: 24)),
            .address(InterfaceAddress(interfaceIndex: 8, address: try address("198.51.100.1"), prefixLength: 24)),
        ])
        #expect(view.interfaces.map(\.interfaceIndex) == [7, 9])
        #expect(view.interfaces.map(\.port) == [1, 1])
        #expect(view.interfaces.map(\.vlan) == [nil, 5])
        #expect(view.interfaces[1].addresses == [try address("192.0.2.1")])
        #expect(view.localAddresses == [try address("192.0.2.1"), try address("198.51.100.1")])
    }

    @Test func linkWithoutCarrierIsDown() {
        var down = wan
        down.hasCarrier = false
        #expect(forwarding([.link(wan)]).interfaces.map(\.isUp) == [true])
        #expect(forwarding([.link(down)]).interfaces.map(\.isUp) == [false])
    }

    @Test func translatesRoutes() throws {
        func route(
            _ destination: String, _ kind: Route.Kind, _ hops: [Route.Hop] = [], _ origin: Route.Origin = .static
        )
            throws -> NetlinkMessage
        {
            .route(Route(destination: try prefix(destination), kind: kind, origin: origin, hops: hops), replaces: false)
        }
        let gateway = try address("192.0.2.254")
        let routes = forwarding([
            .link(wan),
            try route("10.1.0.0/16", .unicast, [.init(interfaceIndex: 7, gateway: gateway)]),
            try route("10.2.0.0/16", .blackhole), try route("10.3.0.0/16", .prohibit),
            try route("10.4.0.0/16", .unreachable), try route("10.5.0.0/16", .local),
            // The gateway's own route to the host's slow path.
            try route("10.6.0.0/16", .unicast, [.init(interfaceIndex: 99)], .sluice),
            try route(
                "10.7.0.0/16", .unicast,
                [.init(interfaceIndex: 7, gateway: gateway, isDown: true), .init(interfaceIndex: 7)]),
        ]).routes
        let kinds = Dictionary(uniqueKeysWithValues: routes.map { ($0.prefix.description, $0.kind) })
        #expect(
            kinds == [
                "10.1.0.0/16": .unicast(interfaceIndex: 7, gateway: gateway), "10.2.0.0/16": .blackhole,
                "10.3.0.0/16": .prohibit, "10.4.0.0/16": .unreachable, "10.5.0.0/16": .local,
                "10.7.0.0/16": .unicast(interfaceIndex: 7, gateway: nil),
            ])
    }

    @Test func translatesNeighbours() throws {
        func neighbour(_ text: String, _ interface: UInt32, _ state: Neighbour.State) throws -> NetlinkMessage {
            .neighbour(
                Neighbour(
                    key: .init(interfaceIndex: interface, address: try address(text)), macAddress: otherMAC,
                    state: state))
        }
        let neighbours = forwarding([
            .link(wan), try neighbour("192.0.2.3", 7, .failed), try neighbour("192.0.2.2", 7, .stale),
            try neighbour("192.0.2.4", 7, .incomplete), try neighbour("192.0.2.5", 8, .reachable),
        ]).neighbours
        #expect(neighbours.map(\.address.description) == ["192.0.2.2"])
        #expect(neighbours.map(\.state) == [.resolved(otherMAC)])
    }

    /// Neighbours that were never found make no new view; one that was known and does not answer any more is told apart.
    @Test func scannedNeighboursChangeNothing() throws {
        let known = try address("192.0.2.2")
        func neighbour(_ address: IPAddress, _ state: Neighbour.State) -> NetlinkMessage {
            .neighbour(
                Neighbour(
                    key: .init(interfaceIndex: 7, address: address), macAddress: state.isValid ? otherMAC : nil,
                    state: state))
        }
        var state = network([.link(wan), neighbour(known, .reachable)])
        let first = ForwardingView(state, ports: [7: 1])
        for number in UInt32(0)..<1000 {
            let scanned = IPAddress(ipv4: 0x0A00_0000 + number)
            #expect(state.apply(neighbour(scanned, .incomplete)) == .neighbourStates)
            #expect(state.apply(neighbour(scanned, .failed)) == .neighbourStates)
        }
        #expect(state.apply(neighbour(known, .stale)) == .neighbourStates)
        #expect(ForwardingView(state, ports: [7: 1], before: first) == first)
        #expect(state.apply(neighbour(known, .failed)) == .neighbours)
        let second = ForwardingView(state, ports: [7: 1], before: first)
        #expect(second.neighbours.map(\.state) == [.failed])
        #expect(state.apply(neighbour(known, .incomplete)) == .neighbourStates)
        #expect(ForwardingView(state, ports: [7: 1], before: second) == second)
        #expect(state.apply(neighbour(known, .reachable)) == .neighbours)
        #expect(ForwardingView(state, ports: [7: 1], before: second) == first)
    }

    /// The kernel's table is full and it forgets the neighbour that leads to a peer: it is still sent to.
    @Test func forgottenNeighboursOfPeersStay() throws {
        let key = Neighbour.Key(interfaceIndex: 7, address: try address("192.0.2.2"))
        let neighbour = Neighbour(key: key, macAddress: otherMAC, state: .stale)
        var state = network([.link(wan), .neighbour(neighbour)])
        let first = ForwardingView(state, ports: [7: 1])
        #expect(state.apply(.neighbourRemoved(neighbour)) == .neighbours)
        let kept = ForwardingView(state, ports: [7: 1], before: first, peers: [key])
        #expect(kept == first)
        #expect(ForwardingView(state, ports: [7: 1], before: first).neighbours == [])
        _ = state.apply(.neighbour(Neighbour(key: key, macAddress: nil, state: .failed)))
        #expect(ForwardingView(state, ports: [7: 1], before: kept, peers: [key]).neighbours.map(\.state) == [.failed])
        var down = wan
        down.hasCarrier = false
        let without = network([.link(down)])
        #expect(ForwardingView(without, ports: [7: 1], before: kept, peers: [key]).neighbours == [])
    }

    @Test func sameConfigurationIsEqual() throws {
        let messages: [NetlinkMessage] = [
            .link(wan),
            .address(InterfaceAddress(interfaceIndex: 7, address: try address("192.0.2.1"), prefixLength: 24)),
        ]
        #expect(forwarding(messages) == forwarding(messages.reversed()))
        #expect(forwarding(messages) != forwarding([messages[0]]))
    }
}

@Suite struct PortChangesTests {
    private let port = PortInterface(interfaceIndex: 7, port: 0, linkAddress: mac)

    private func lines(_ change: (inout PortInterface) -> Void) -> [String] {
        var changed = port
        change(&changed)
        return PortChanges.differences(port, changed).map { "\($0.0) \($0.1)" }
    }

    @Test func saysWhatChanged() throws {
        let new = try address("192.0.2.9")
        #expect(lines { _ in } == [])
        #expect(lines { $0.isUp = false } == ["warning port is down"])
        #expect(lines { $0.mtu = 9000 } == ["notice port's MTU is 9000, was 1500"])
        #expect(lines { $0.linkAddress = otherMAC } == ["notice port's link address is \(otherMAC), was \(mac)"])
        #expect(lines { $0.addresses = [new] } == ["notice port's addresses are 192.0.2.9"])
        #expect(PortChanges.differences(port, nil).map(\.0) == [.error])
        #expect(PortChanges.differences(nil, port).map(\.0) == [.notice])
        #expect(PortChanges.differences(nil, nil).isEmpty)
    }
}
