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

    /// - Parameters:
    ///   - ports: the number of each port in the dataplane by its interface index.
    ///   - before: the last view.
    ///   - peers: neighbours that lead to peers.
    init(
        _ state: NetworkState, ports: [UInt32: UInt16], before: ForwardingView? = nil, peers: Set<Neighbour.Key> = []
    ) {
        interfaces = Self.interfaces(state, ports: ports)
        routes = Self.routes(state)
        neighbours = Self.neighbours(
            state, interfaces: interfaces, before: before?.neighbours ?? [], peers: peers)
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

    /// The neighbours that can be sent to, and of those that could be before, the ones that do not answer any more.
    /// What the kernel is only asking for is left out: a scan of a network makes no new view.
    ///
    /// A neighbour that leads to a peer stays when the kernel forgets it, which it does for want of room while somebody
    /// else's neighbours fill its table (RFC 4861 section 7.3.3 takes an entry away when it does not answer, and so do we).
    private static func neighbours(
        _ state: NetworkState, interfaces: [PortInterface], before: [NeighbourEntry], peers: Set<Neighbour.Key>
    ) -> [NeighbourEntry] {
        let usable = Dictionary(interfaces.map { ($0.interfaceIndex, $0.isUp) }) { _, later in later }
        var entries: [NeighbourEntry] = state.neighbours.values.compactMap { neighbour in
            guard usable[neighbour.key.interfaceIndex] != nil, let address = neighbour.usableMACAddress else {
                return nil
            }
            return entry(neighbour.key, .resolved(address))
        }
        for old in before where old.state != .unresolved {
            let key = Neighbour.Key(interfaceIndex: old.interfaceIndex, address: old.address)
            guard let isUp = usable[key.interfaceIndex] else { continue }
            if let now = state.neighbours[key] {
                if now.usableMACAddress == nil, now.state == .failed || old.state == .failed {
                    entries.append(entry(key, .failed))
                }
            } else if isUp, peers.contains(key), case .resolved = old.state {
                entries.append(old)
            }
        }
        return entries.sorted { ($0.interfaceIndex, $0.address) < ($1.interfaceIndex, $1.address) }
    }

    private static func entry(_ key: Neighbour.Key, _ state: NeighbourEntry.State) -> NeighbourEntry {
        NeighbourEntry(interfaceIndex: key.interfaceIndex, address: key.address, state: state)
    }
}
