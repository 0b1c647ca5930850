import Packets

/// Calls of peers that go on with SAs that we do not have, as after a restart of ours: they would notice only by their own
/// liveness checks, if they have them. The packets may be anybody's, and prove nothing, so calls are few.
final class PeerCalls {
    /// Seconds between two calls of one peer.
    static let intervalInSeconds: UInt64 = 10
    /// Seconds that packets of deleted SAs may be under way.
    static let lateInSeconds: UInt64 = 30

    /// Connections of which a call came a moment ago, or whose SAs were deleted, so that packets are still under way; until
    /// then, nanoseconds.
    private var quietUntil: [String: UInt64] = [:]
    /// Children that an operator has ended, by connection.
    private var ended: [String: Set<String>] = [:]
    private var limiter = RateLimiter(perSecond: 200, burst: 1_000)

    /// Whether to call the peer of a connection now; then it is not called again for a while.
    func mayCall(_ connection: String, at now: UInt64) -> Bool {
        guard now >= quietUntil[connection] ?? 0, limiter.allow(now: now) else { return false }
        keepQuiet(connection, until: now.addingWithoutOverflow(.seconds(Self.intervalInSeconds)))
        return true
    }

    /// SAs of a connection were deleted.
    func sawDeletion(_ connection: String, at now: UInt64) {
        keepQuiet(connection, until: now.addingWithoutOverflow(.seconds(Self.lateInSeconds)))
    }

    private func keepQuiet(_ connection: String, until time: UInt64) {
        quietUntil[connection] = max(quietUntil[connection] ?? 0, time)
    }

    /// It is not to come up because of the peer's packets.
    func end(_ name: ChildName) { ended[name.connection, default: []].insert(name.child) }

    func isEnded(_ name: ChildName) -> Bool { ended[name.connection]?.contains(name.child) ?? false }

    /// It is wanted again. `child` nil: all of the connection.
    func allow(_ connection: String, _ child: String?) {
        quietUntil[connection] = nil
        guard !ended.isEmpty else { return }
        if let child { ended[connection]?.remove(child) }
        if child == nil || ended[connection]?.isEmpty == true { ended[connection] = nil }
    }

    /// Forgets connections that are not loaded any more: what comes by the control socket comes in any order, and what is
    /// not there yet has nothing to be kept.
    func keep(_ isLoaded: (String) -> Bool) {
        quietUntil = quietUntil.filter { isLoaded($0.key) }
        ended = ended.filter { isLoaded($0.key) }
    }
}
