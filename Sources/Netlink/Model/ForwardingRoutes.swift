import Packets

/// The routes that result when the tables are asked one after the other, as the kernel's default rules do.
extension NetworkState {
    /// One route per prefix, ready for a single longest-prefix table: sorted by family, then prefix.
    ///
    /// 1. In a table, the lowest metric of those whose way out works; a route with no way out counts only when there is no
    ///    other. Routes limited to a TOS are left out (the gateway looks up by destination).
    /// 2. Of several tables, the earlier one decides, also for all longer prefixes inside (the kernel does not look at the
    ///    next table once one has matched), unless its answer is `throw`.
    ///
    /// - Parameter tables: in the order of lookup.
    package func forwardingRoutes(tables: [Route.Table] = [.local, .main, .default]) -> [Route] {
        var chosen: [IPPrefix: Route] = [:]
        var deciding = PrefixCover()
        for table in tables {
            var best: [IPPrefix: Route] = [:]
            for route in allRoutes where route.table == table && route.typeOfService == 0 {
                guard let old = best[route.destination] else {
                    best[route.destination] = route
                    continue
                }
                if isBetter(route, than: old) { best[route.destination] = route }
            }
            for (prefix, route) in best where !deciding.covers(prefix) {
                if route.kind != .throw { chosen[prefix] = route }
            }
            for (prefix, route) in best where route.kind != .throw { deciding.insert(prefix) }
        }
        return chosen.values.sorted { $0.destination.isOrdered(before: $1.destination) }
    }

    /// The route for one destination. For questions now and then; packets are looked up in a snapshot.
    package func route(to destination: IPAddress) -> Route? {
        forwardingRoutes()
            .filter { $0.destination.contains(destination) }
            .max { $0.destination.length < $1.destination.length }
    }

    /// The route's hops whose interface is there and has carrier.
    package func usableHops(_ route: Route) -> [Route.Hop] {
        route.hops.filter { hop in !hop.isDown && (links[hop.interfaceIndex]?.isUsable ?? false) }
    }

    private func isBetter(_ new: Route, than old: Route) -> Bool {
        let newWorks = works(new)
        let oldWorks = works(old)
        if newWorks != oldWorks { return newWorks }
        if new.metric != old.metric { return new.metric < old.metric }
        // Same metric: any order that stays the same will do.
        return (new.hops.first?.interfaceIndex ?? 0) < (old.hops.first?.interfaceIndex ?? 0)
    }

    private func works(_ route: Route) -> Bool {
        route.hops.isEmpty || !usableHops(route).isEmpty
    }
}

/// A set of prefixes that answers whether one of them covers another prefix.
private struct PrefixCover {
    private var prefixes: Set<IPPrefix> = []
    private var lengths: Set<Int> = []

    mutating func insert(_ prefix: IPPrefix) {
        prefixes.insert(prefix)
        lengths.insert(prefix.length)
    }

    func covers(_ prefix: IPPrefix) -> Bool {
        lengths.contains { length in
            length <= prefix.length && prefixes.contains(IPPrefix(address: prefix.address, length: length))
        }
    }
}

extension IPPrefix {
    fileprivate func isOrdered(before other: IPPrefix) -> Bool {
        let families = (address.family.rawValue, other.address.family.rawValue)
        if families.0 != families.1 { return families.0 < families.1 }
        return address == other.address ? length < other.length : address < other.address
    }
}
