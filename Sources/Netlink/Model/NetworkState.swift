import Packets

/// The host's network configuration: a value that messages from the kernel are applied to.
///
/// Pure: no socket, no clock. Copies are cheap until changed.
package struct NetworkState: Hashable, Sendable {
    /// All links, by index.
    package private(set) var links: [UInt32: Link] = [:]
    package private(set) var neighbours: [Neighbour.Key: Neighbour] = [:]
    private var addresses: [AddressKey: InterfaceAddress] = [:]
    private var routesByKey: [RouteKey: [Route]] = [:]

    private struct AddressKey: Hashable {
        var interfaceIndex: UInt32
        var address: IPAddress
        var prefixLength: UInt8
    }

    /// The fields that the kernel compares to decide whether two routes are the same.
    private struct RouteKey: Hashable {
        var destination: IPPrefix
        var table: Route.Table
        var metric: UInt32
        var typeOfService: UInt8

        init(_ route: Route) {
            destination = route.destination
            table = route.table
            metric = route.metric
            typeOfService = route.typeOfService
        }
    }

    package init() {}

    /// Applies one message; tells what it changed, and what has become uncertain.
    package mutating func apply(_ message: NetlinkMessage) -> NetworkChange {
        switch message {
        case .link(let link): return apply(link)
        case .linkRemoved(let link): return remove(link)
        case .address(let address):
            return addresses.updateValue(address, forKey: key(address)) == address ? [] : .addresses
        case .addressRemoved(let address):
            guard addresses.removeValue(forKey: key(address)) != nil else { return [] }
            return [.addresses, .routesUncertain]
        case .route(let route, let replaces): return apply(route, replaces: replaces)
        case .routeRemoved(let route): return remove(route)
        case .neighbour(let neighbour):
            return change(neighbours.updateValue(neighbour, forKey: neighbour.key), neighbour)
        case .neighbourRemoved(let neighbour):
            return change(neighbours.removeValue(forKey: neighbour.key), nil)
        case .overrun, .malformed: return .everythingUncertain
        case .acknowledged, .refused, .dumpEnd, .ignored: return []
        }
    }

    /// Forgets all routes, and takes these.
    package mutating func replaceRoutes(with routes: [Route]) -> NetworkChange {
        let old = routesByKey
        routesByKey = [:]
        for route in routes { _ = apply(route, replaces: false) }
        return old == routesByKey ? [] : .routes
    }

    private func change(_ old: Neighbour?, _ new: Neighbour?) -> NetworkChange {
        if old == new { return [] }
        return old?.usableMACAddress == new?.usableMACAddress ? .neighbourStates : .neighbours
    }

    private func key(_ address: InterfaceAddress) -> AddressKey {
        AddressKey(
            interfaceIndex: address.interfaceIndex, address: address.address, prefixLength: address.prefixLength)
    }

    private mutating func apply(_ link: Link) -> NetworkChange {
        let old = links.updateValue(link, forKey: link.index)
        guard old != link else { return [] }
        let lost = old.map { $0.isUsable && !link.isUsable } ?? false
        let found = old.map { !$0.isUsable && link.isUsable } ?? false
        return lost || found ? [.links, .routesUncertain] : .links
    }

    /// Removes a link with everything that was on it, which the kernel does not name in full.
    private mutating func remove(_ link: Link) -> NetworkChange {
        guard links.removeValue(forKey: link.index) != nil else { return [] }
        addresses = addresses.filter { $0.key.interfaceIndex != link.index }
        neighbours = neighbours.filter { $0.key.interfaceIndex != link.index }
        return [.links, .addresses, .neighbours, .routesUncertain]
    }

    private mutating func apply(_ route: Route, replaces: Bool) -> NetworkChange {
        let key = RouteKey(route)
        let known = routesByKey[key] ?? []
        if known.contains(route) { return [] }
        if known.isEmpty {
            routesByKey[key] = [route]
            return .routes
        }
        if known.count == 1, replaces || Self.isLargerMultipath(route, than: known[0]) {
            routesByKey[key] = [route]
            return .routes
        }
        if replaces {
            // Which of several it replaces depends on the kernel's order.
            return .routesUncertain
        }
        routesByKey[key] = known + [route]
        return .routes
    }

    /// IPv6 appends a hop to a route by sending the whole route again, with all hops.
    private static func isLargerMultipath(_ new: Route, than old: Route) -> Bool {
        new.destination.address.family == .ipv6 && new.kind == old.kind && new.hops.count > old.hops.count
            && Set(new.hops.map(\.gateway)).isSuperset(of: old.hops.map(\.gateway))
    }

    private mutating func remove(_ route: Route) -> NetworkChange {
        let key = RouteKey(route)
        guard var known = routesByKey[key] else { return [] }
        if let index = known.firstIndex(where: { $0.kind == route.kind && $0.hops == route.hops }) {
            known.remove(at: index)
        } else if known.count == 1, known[0].hops.count <= 1 {
            // The kernel leaves out what it did not compare (a dead hop's flags, for instance).
            known.removeAll()
        } else {
            // One hop of a multipath route has gone, and the rest stays.
            return .routesUncertain
        }
        routesByKey[key] = known.isEmpty ? nil : known
        return .routes
    }
}

/// Questions.
extension NetworkState {
    package func link(named name: String) -> Link? { links.values.first { $0.name == name } }

    package func link(index: UInt32) -> Link? { links[index] }

    /// All routes of all tables.
    package var allRoutes: some Sequence<Route> { routesByKey.values.joined() }

    /// The usable addresses of one interface, or of all: primary before secondary, wider scope first.
    package func localAddresses(interface index: UInt32? = nil, family: AddressFamily? = nil) -> [InterfaceAddress] {
        addresses.values
            .filter { address in
                !address.isTentative && (index == nil || address.interfaceIndex == index)
                    && (family == nil || address.address.family == family)
            }
            .sorted {
                (Int($0.isSecondary ? 1 : 0), $0.scope.rawValue, $0.interfaceIndex, $0.address)
                    < (Int($1.isSecondary ? 1 : 0), $1.scope.rawValue, $1.interfaceIndex, $1.address)
            }
    }

    /// The neighbour's link-layer address, when it is known and may be used.
    package func macAddress(interface index: UInt32, address: IPAddress) -> MACAddress? {
        neighbours[Neighbour.Key(interfaceIndex: index, address: address)]?.usableMACAddress
    }
}
