import IPsec

/// Request ids, which join SAs and policies: one for each child that is loaded, and, where a connection is for more than
/// one peer, one for each peer and set of selectors of a child: no two peers ever share one.
final class RequestIDs {
    private struct Key: Hashable {
        var connection: String
        var child: String
        /// The part; nil: the child's own.
        var part: Part?
    }

    /// One peer's part of a child.
    private struct Part: Hashable {
        var peer: Identity
        var selectors: [TrafficSelector]
    }

    private var ids: [Key: UInt32] = [:]
    private var keys: [UInt32: Key] = [:]
    /// SAs that have an id of `keys`.
    private var uses: [UInt32: Int] = [:]
    /// Written in the configuration, so never chosen.
    private var configured: Set<UInt32> = []
    /// Others have them, so never chosen.
    private let reserved: Set<UInt32>
    private var last: UInt32 = 0

    init(reserved: Set<UInt32> = []) { self.reserved = reserved }

    func configure(_ connections: [Connection]) {
        configured = Set(connections.flatMap(\.children).map(\.requestID).filter { $0 != 0 })
    }

    /// The child's own id, the configured one or one that stays until `release`.
    func own(connection: String, child: Child) -> UInt32 {
        if child.requestID != 0 { return child.requestID }
        let key = Key(connection: connection, child: child.name)
        return ids[key] ?? assign(key)
    }

    /// The child is not loaded any more.
    func release(connection: String, child: String) {
        guard let id = ids.removeValue(forKey: Key(connection: connection, child: child)) else { return }
        // SAs that still have the id keep it from being chosen again.
        if uses[id] == nil { keys[id] = nil }
    }

    /// The id for an SA with a peer.
    func association(
        of connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity
    ) -> UInt32 {
        guard connection.remote.identity.isPattern, child.requestID == 0 else {
            return own(connection: connection.name, child: child)
        }
        let key = Key(
            connection: connection.name, child: child.name, part: Part(peer: peer.folded, selectors: selectors))
        return ids[key] ?? assign(key)
    }

    /// An SA has come to use the id.
    func use(_ id: UInt32) {
        if keys[id] != nil { uses[id, default: 0] += 1 }
    }

    /// An SA has ceased to use it; the last one gives it back, unless a child has it.
    func endUse(_ id: UInt32) {
        guard let count = uses[id] else { return }
        uses[id] = count > 1 ? count - 1 : nil
        if count == 1 { abandon(id) }
    }

    /// Gives an id back that no SA came to use.
    func abandon(_ id: UInt32) {
        guard uses[id] == nil, let key = keys[id] else { return }
        let isCurrent = ids[key] == id
        if isCurrent, key.part == nil { return }
        if isCurrent { ids[key] = nil }
        keys[id] = nil
    }

    private func assign(_ key: Key) -> UInt32 {
        repeat {
            last = last == .max ? 1 : last + 1
        } while keys[last] != nil || configured.contains(last) || reserved.contains(last)
        ids[key] = last
        keys[last] = key
        return last
    }
}
