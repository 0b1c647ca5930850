import IPsec

/// Request ids, which join SAs and policies: one for each configured id, each trap, and each set of selectors of a child.
struct RequestIDs {
    private struct Key: Hashable {
        var connection: String
        var child: String
        /// nil: the trap's.
        var selectors: [TrafficSelector]?
    }

    /// What a request id is for.
    struct Owner: Hashable {
        var connection: String
        var child: String
    }

    private var ids: [Key: UInt32] = [:]
    private var keys: [UInt32: Key] = [:]
    /// SAs that have an id of `ids`.
    private var uses: [UInt32: Int] = [:]
    /// Written in the configuration, so never chosen.
    private var configured: [UInt32: Owner] = [:]
    /// Others have them, so never chosen.
    private let reserved: Set<UInt32>
    private var last: UInt32 = 0

    init(reserved: Set<UInt32> = []) { self.reserved = reserved }

    mutating func configure(_ connections: [Connection]) {
        configured = [:]
        for connection in connections {
            for child in connection.children where child.requestID != 0 {
                configured[child.requestID] = Owner(connection: connection.name, child: child.name)
            }
        }
    }

    func owner(of id: UInt32) -> Owner? {
        configured[id] ?? keys[id].map { Owner(connection: $0.connection, child: $0.child) }
    }

    /// The id of a trap, until `releaseTrap`.
    mutating func trap(connection: String, child: Child) -> UInt32 {
        if child.requestID != 0 { return child.requestID }
        let key = Key(connection: connection, child: child.name)
        return ids[key] ?? assign(key)
    }

    mutating func releaseTrap(connection: String, child: String) {
        guard let id = ids.removeValue(forKey: Key(connection: connection, child: child)) else { return }
        // SAs that still have the id keep it from being chosen again.
        if uses[id] == nil { keys[id] = nil }
    }

    /// The id for an SA: the configured one, the trap's, that of the same selectors, or a new one.
    mutating func association(connection: String, child: Child, selectors: [TrafficSelector]) -> UInt32 {
        if child.requestID != 0 { return child.requestID }
        if let id = ids[Key(connection: connection, child: child.name)] { return id }
        let key = Key(connection: connection, child: child.name, selectors: selectors)
        return ids[key] ?? assign(key)
    }

    /// An SA has come to use the id.
    mutating func use(_ id: UInt32) {
        if keys[id] != nil { uses[id, default: 0] += 1 }
    }

    /// An SA has ceased to use it; the last one gives back an id that no trap has.
    mutating func endUse(_ id: UInt32) {
        guard let count = uses[id] else { return }
        uses[id] = count > 1 ? count - 1 : nil
        guard count == 1, let key = keys[id], key.selectors != nil || ids[key] != id else { return }
        if ids[key] == id { ids[key] = nil }
        keys[id] = nil
    }

    private mutating func assign(_ key: Key) -> UInt32 {
        repeat {
            last = last == .max ? 1 : last + 1
        } while keys[last] != nil || configured[last] != nil || reserved.contains(last)
        ids[key] = last
        keys[last] = key
        return last
    }
}
