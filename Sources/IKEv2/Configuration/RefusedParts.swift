extension [Connection] {
    /// Connections (`site`) and children (`site/net`) that are not served, for faults in their configuration.
    package var refusedParts: [String] {
        flatMap { connection in
            connection.isRefused
                ? [connection.name]
                : connection.children.filter(\.isRefused).map { "\(connection.name)/\($0.name)" }
        }
    }
}

extension Connection {
    /// The connection to run when this is loaded in the place of `loaded`: a connection or child that has been served, and has a fault
    /// now, goes on as it was. What its new text covers beside that is closed.
    func keeping(_ loaded: Connection?) -> Connection {
        guard let loaded, !loaded.isRefused else { return self }
        if isRefused {
            var kept = loaded
            kept.children.removeAll(where: \.isRefused)
            kept.children += children.flatMap { $0.uncovered(by: loaded) }
            return kept
        }
        var kept = self
        kept.children = children.flatMap { child in
            let served = loaded.children.filter { $0.name == child.name && !$0.isRefused }
            return child.isRefused && !served.isEmpty ? served + child.uncovered(by: loaded) : [child]
        }
        return kept
    }
}

extension Child {
    /// The part of this refused child beside one of its name that goes on; none if that covers the same.
    fileprivate func uncovered(by loaded: Connection) -> [Child] {
        guard let served = loaded.children.first(where: { $0.name == name && !$0.isRefused }) else { return [self] }
        let isCovered =
            Set(localSelectors).isSubset(of: served.localSelectors)
            && Set(remoteSelectors).isSubset(of: served.remoteSelectors)
        if isCovered { return [] }
        var rest = self
        rest.name += " (refused)"
        return [rest]
    }
}
