import Netlink
import Packets
import Policy

/// The part of the host's network configuration that workers forward by: the ports and their VLANs, routes, neighbours.
struct ForwardingView: Equatable {
    var interfaces: [PortInterface]
    var routes: [RouteEntry]
    var neighbours: [NeighbourEntry]
    /// All addresses of the host, whatever interface they are on: ESP may arrive for any of them.
    var localAddresses: Set<IPAddress>

    /// - Parameter ports: the number of each port in the dataplane by its interface index.
    init(_ state: NetworkState, ports: [UInt32: UInt16]) {
        interfaces = Self.interfaces(state, ports: ports)
        routes = Self.routes(state)
        let indices = Set(interfaces.map(\.interfaceIndex))
        neighbours = state.neighbours.values
            .filter { indices.contains($0.key.interfaceIndex) }
            .map(Self.entry)
            .sorted { ($0.interfaceIndex, $0.address) < ($1.interfaceIndex, $1.address) }
        localAddresses = Set(state.localAddresses().map(\.address))
    }

    /// A port itself, and each VLAN interface on top of it: the kernel puts addresses and routes on those.
    private static func interfaces(_ state: NetworkState, ports: [UInt32: UInt16]) -> [PortInterface] {
        state.links.values.sorted { $0.index < $1.index }.compactMap { link in
            if let port = ports[link.index] { return interface(link, port: port, vlan: nil, in: state) }
            guard let vlan = link.vlanIdentifier, let lower = link.lower, let port = ports[lower] else { return nil }
            return interface(link, port: port, vlan: vlan, in: state)
        }
    }

    private static func interface(
        _ link: Link, port: UInt16, vlan: UInt16?, in state: NetworkState
    ) -> PortInterface? {
        guard let address = link.macAddress else { return nil }
        return PortInterface(
            interfaceIndex: link.index, port: port, vlan: vlan, linkAddress: address, mtu: Int(link.mtu),
            isUp: link.isUsable, addresses: state.localAddresses(interface: link.index).map(\.address))
    }

    /// Routes that the gateway added itself lead to the host's slow path; a worker must not follow them.
    private static func routes(_ state: NetworkState) -> [RouteEntry] {
        state.forwardingRoutes().filter { $0.origin != .sluice }.map { route in
            RouteEntry(prefix: route.destination, kind: kind(of: route, in: state), metric: route.metric)
        }
    }

    private static func kind(of route: Route, in state: NetworkState) -> RouteEntry.Kind {
        switch route.kind {
        case .local: return .local
        case .blackhole, .broadcast, .multicast, .anycast: return .blackhole
        case .unreachable, .throw: return .unreachable
        case .prohibit: return .prohibit
        case .unicast:
            // Of a multipath route one hop carries everything: packets of a flow must not overtake each other.
            guard let hop = state.usableHops(route).first ?? route.hops.first, hop.interfaceIndex != 0 else {
                return .unreachable
            }
            return .unicast(interfaceIndex: hop.interfaceIndex, gateway: hop.gateway)
        }
    }

    private static func entry(_ neighbour: Neighbour) -> NeighbourEntry {
        let state: NeighbourEntry.State =
            if let address = neighbour.usableMACAddress {
                .resolved(address)
            } else if neighbour.state == .failed {
                .failed
            } else {
                .unresolved
            }
        return NeighbourEntry(
            interfaceIndex: neighbour.key.interfaceIndex, address: neighbour.key.address, state: state)
    }
}
