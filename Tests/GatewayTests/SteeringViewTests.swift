import Netlink
import Packets
import Testing
import XDP

@testable import Gateway

/// What the steering programs are told of the host's network.
@Suite struct SteeringViewTests {
    private static let lan: UInt32 = 5
    private static let wan: UInt32 = 7
    private static let both: UInt32 = 8
    private static let mac = MACAddress(0x0200_0000_0005)

    private func view(_ messages: [NetlinkMessage]) -> SteeringView {
        var state = NetworkState()
        let ports = [
            Link(index: Self.lan, name: "lan0", macAddress: Self.mac),
            Link(index: Self.wan, name: "wan0", macAddress: MACAddress(0x0200_0000_0007)),
            Link(index: Self.both, name: "one0", macAddress: MACAddress(0x0200_0000_0008)),
        ]
        for message in ports.map(NetlinkMessage.link) + messages { _ = state.apply(message) }
        return SteeringView(
            state,
            ports: [
                Self.lan: .init(number: 0, roles: .lan), Self.wan: .init(number: 1, roles: .wan),
                Self.both: .init(number: 2, roles: [.lan, .wan]),
            ])
    }

    private func link(_ index: UInt32, _ kind: String, on lower: UInt32, _ mac: UInt64, vlan: UInt16? = nil)
        -> NetlinkMessage
    {
        .link(
            Link(
                index: index, name: "\(kind)\(index)", macAddress: MACAddress(mac), kind: kind, lower: lower,
                vlanIdentifier: vlan))
    }

    private func route(_ destination: String, _ hops: [UInt32], _ origin: Route.Origin = .static) throws
        -> NetlinkMessage
    {
        .route(
            Route(
                destination: try #require(IPPrefix(destination)), kind: .unicast, origin: origin,
                hops: hops.map { .init(interfaceIndex: $0) }), replaces: false)
    }

    @Test func linksOfAPort() {
        let view = view([
            link(20, "vlan", on: Self.lan, 0x0200_0000_0005, vlan: 10), link(21, "macvlan", on: Self.lan, 0x5e00_0101),
            link(22, "macvlan", on: 20, 0x5e00_0102), link(23, "vlan", on: 21, 0x5e00_0103, vlan: 11),
            // In a VLAN, in a tag of another kind, below somebody else's interface, and the other end of a cable.
            link(24, "vlan", on: 20, 0x0200_0000_0005, vlan: 12), link(25, "vlan", on: Self.lan, 0x0200_0000_0005),
            link(26, "vlan", on: 99, 0x0200_0000_0005, vlan: 13), link(27, "veth", on: Self.lan, 0x0200_0000_0099),
        ])
        #expect(
            view.links[0] == [
                PortLink(Self.mac, roles: .lan), PortLink(Self.mac, vlan: 10, roles: .lan),
                PortLink(MACAddress(0x5e00_0101), roles: .lan),
                PortLink(MACAddress(0x5e00_0102), vlan: 10, roles: .lan),
                PortLink(MACAddress(0x5e00_0103), vlan: 11, roles: .lan),
            ])
        #expect(view.links[1] == [PortLink(MACAddress(0x0200_0000_0007), roles: .wan)])
        #expect(view.links[2]?.map(\.roles) == [[.lan, .wan]])
    }

    @Test func insideIsWhatLANPortsLeadTo() throws {
        let view = view([
            link(20, "vlan", on: Self.lan, 0x0200_0000_0005, vlan: 10),
            try route("10.1.0.0/16", [Self.lan], .kernel), try route("10.2.0.0/16", [20], .kernel),
            try route("10.3.0.0/16", [Self.lan, 20]), try route("2001:db8:1::/64", [Self.lan], .kernel),
            // By a WAN port, by both ways, by a port that is both, by no port, our own, and the default route.
            try route("10.4.0.0/16", [Self.wan]), try route("10.5.0.0/16", [Self.lan, Self.wan]),
            try route("10.6.0.0/16", [Self.both]), try route("10.7.0.0/16", [99]),
            try route("10.8.0.0/16", [Self.lan], .sluice), try route("0.0.0.0/0", [Self.lan]),
        ])
        #expect(
            Set(view.insideNetworks.map(\.description))
                == ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "2001:db8:1::/64"])
    }
}
