import Packets

/// The routes of both families. A value of the tables is the index of a next hop, with the top bit set when the
/// neighbour depends on the destination.
final class RouteTables: Sendable {
    let ipv4: LongestPrefixTables
    let ipv6: LongestPrefixTables
    /// What each next hop is, independent of neighbours and of the state of links.
    let targets: [RouteEntry.Kind?]

    init(_ routes: [RouteEntry]) {
        // Index 0: no route.
        var targets: [RouteEntry.Kind?] = [nil]
        var indices: [RouteEntry.Kind: UInt32] = [:]
        var best: [IPPrefix: RouteEntry] = [:]
        for route in Self.builtIn + routes {
            if let other = best[route.prefix], other.metric <= route.metric { continue }
            best[route.prefix] = route
        }
        let values = best.mapValues { route -> UInt32 in
            let index =
                indices[route.kind]
                ?? {
                    targets.append(route.kind)
                    indices[route.kind] = UInt32(targets.count - 1)
                    return UInt32(targets.count - 1)
                }()
            if case .unicast(_, gateway: nil) = route.kind { return index | LongestPrefixTable.onLinkFlag }
            return index
        }
        ipv4 = LongestPrefixTables(values.filter { $0.key.family == .ipv4 }, family: .ipv4, none: 0)
        ipv6 = LongestPrefixTables(values.filter { $0.key.family == .ipv6 }, family: .ipv6, none: 0)
        self.targets = targets
    }

    /// Multicast and broadcast are not forwarded: nothing here takes part in multicast routing (RFC 1812 section 5.3.4).
    static let builtIn: [RouteEntry] = [
        RouteEntry(prefix: IPPrefix(address: IPAddress(ipv4: 0xE000_0000), length: 4), kind: .blackhole),
        RouteEntry(prefix: IPPrefix(host: IPAddress(ipv4: 0xFFFF_FFFF)), kind: .blackhole),
        RouteEntry(
            prefix: IPPrefix(address: IPAddress(ipv6High: 0xFF00_0000_0000_0000, low: 0), length: 8), kind: .blackhole),
    ]

    /// The next hops as they are now, in the order of the indices.
    func nextHops(interfaces: [UInt32: PortInterface], neighbours: NeighbourTables) -> HotArray<NextHop> {
        HotArray(
            targets.map { target in
                switch target {
                case nil: return NextHop(.noRoute)
                case .local?: return NextHop(.local)
                case .unreachable?: return NextHop(.unreachable)
                case .blackhole?: return NextHop(.blackhole)
                case .prohibit?: return NextHop(.prohibited)
                case .unicast(let index, let gateway)?:
                    guard let interface = interfaces[index] else {
                        return NextHop(notAPort: index, address: gateway ?? .unspecified(.ipv4))
                    }
                    return Self.nextHop(gateway, on: interface, neighbours: neighbours)
                }
            })
    }

    private static func nextHop(
        _ gateway: IPAddress?, on interface: PortInterface, neighbours: NeighbourTables
    ) -> NextHop {
        guard let gateway else {
            return NextHop(interface: interface, address: .unspecified(.ipv4), state: .unresolved, destination: nil)
        }
        var steps = NoSteps()
        let slot = neighbours.table.find(gateway, interfaceIndex: interface.interfaceIndex, steps: &steps)
        if slot.pointee.nextHop != NeighbourTable.Slot.free {
            return neighbours.nextHops.base[Int(slot.pointee.nextHop)]
        }
        return NextHop(interface: interface, address: gateway, state: .unresolved, destination: nil)
    }
}
