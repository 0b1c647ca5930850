import Netlink
import Packets
import XDP

/// The part of the host's network configuration that the steering programs decide by, beside its addresses.
struct SteeringView: Equatable {
    /// A port, by the index that its interface has now.
    struct Port: Equatable {
        var number: Int
        var roles: PortRoles
    }

    /// The addresses that frames of each port may have, by the port's number: its own MAC address, and those of its
    /// VLANs and MAC-VLANs.
    var links: [Int: Set<PortLink>] = [:]
    /// Networks that are reached through LAN ports only. What goes there from the LAN stays on the protected side.
    var insideNetworks: Set<IPPrefix> = []

    init(_ state: NetworkState, ports: [UInt32: Port]) {
        var insideInterfaces: Set<UInt32> = []
        for link in state.links.values {
            guard let place = Self.place(of: link, in: state, ports: ports) else { continue }
            if place.port.roles == .lan { insideInterfaces.insert(link.index) }
            guard let address = link.macAddress else { continue }
            links[place.port.number, default: []].insert(
                PortLink(address, vlan: place.vlan, roles: place.port.roles))
        }
        for route in state.forwardingRoutes() where route.kind == .unicast && route.origin != .sluice {
            guard route.destination.length > 0, !route.hops.isEmpty,
                route.hops.allSatisfy({ insideInterfaces.contains($0.interfaceIndex) })
            else { continue }
            insideNetworks.insert(route.destination)
        }
    }

    /// The port below an interface, and the tag of its frames there. Of VLANs in VLANs the port sees the outer tag only.
    private static func place(
        of link: Link, in state: NetworkState, ports: [UInt32: Port]
    ) -> (port: Port, vlan: UInt16?)? {
        if let port = ports[link.index] { return (port, nil) }
        guard let lower = link.lower.flatMap({ state.links[$0] }), lower.index != link.index else { return nil }
        switch link.kind {
        case "vlan":
            guard let vlan = link.vlanIdentifier, let below = place(ofUntagged: lower, ports: ports) else { return nil }
            return (below, vlan)
        case "macvlan":
            if let port = ports[lower.index] { return (port, nil) }
            guard lower.kind == "vlan", let vlan = lower.vlanIdentifier,
                let port = lower.lower.flatMap({ ports[$0] })
            else { return nil }
            return (port, vlan)
        default: return nil
        }
    }

    /// The place of a port, or of a MAC-VLAN on it.
    private static func place(ofUntagged link: Link, ports: [UInt32: Port]) -> Port? {
        ports[link.index] ?? (link.kind == "macvlan" ? link.lower.flatMap { ports[$0] } : nil)
    }
}
