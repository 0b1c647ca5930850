import Packets

/// Peers that go on with SAs that we do not have, and when we call them for that.
struct PeerCalls {
    /// Connections of which a call came a moment ago, or whose SAs were deleted, so that packets are still under way; until
    /// then, nanoseconds.
    private var quietUntil: [String: UInt64] = [:]
    /// Children that an operator has ended.
    private var ended: Set<CoverTable.Owner> = []
    private var limiter = RateLimiter(perSecond: 200, burst: 1_000)

    /// Whether to call the peer of a connection now.
    mutating func mayCall(_ connection: String, at now: UInt64) -> Bool {
        now >= quietUntil[connection] ?? 0 && limiter.allow(now: now)
    }

    mutating func keepQuiet(_ connection: String, until time: UInt64) {
        quietUntil[connection] = max(quietUntil[connection] ?? 0, time)
    }

    /// It is not to come up because of the peer's packets.
    mutating func end(_ owner: CoverTable.Owner) { ended.insert(owner) }

    func isEnded(_ owner: CoverTable.Owner) -> Bool { ended.contains(owner) }

    /// It is wanted again. `child` nil: all of the connection.
    mutating func allow(_ connection: String, _ child: String?) {
        quietUntil[connection] = nil
        guard !ended.isEmpty else { return }
        ended = ended.filter { $0.connection != connection || child != nil && $0.child != child }
    }

    /// Forgets connections that are not loaded any more.
    mutating func keep(_ isLoaded: (String) -> Bool) {
        quietUntil = quietUntil.filter { isLoaded($0.key) }
        ended = ended.filter { isLoaded($0.connection) }
    }
}

extension SessionManager {
    /// Seconds between two calls of one peer.
    private static let callInterval: UInt64 = 10
    /// Seconds that packets of deleted SAs may be under way.
    static let lateInSeconds: UInt64 = 30

    /// A configured peer sends by an SA that we do not have, as after a restart of ours: it would notice only by its own
    /// liveness check, if it has one. So an IKE SA is negotiated with it at once. Only for what the configuration wants, or
    /// what was up: the packet may be anybody's, and proves nothing.
    func answerUnknownESP(from address: IPAddress) {
        guard !isShuttingDown, connectionTable.names(address) || names.holds(address) else { return }
        for connection in connectionTable.naming(address, resolved: names.addresses) {
            call(connection, at: address)
        }
    }

    private func call(_ connection: Connection, at address: IPAddress) {
        guard usableSession(of: connection, at: nil) == nil else { return }
        let wishes = connection.negotiated.filter { child in
            let owner = CoverTable.Owner(connection: connection.name, child: child.name)
            if peerCalls.isEnded(owner) || backoffs.isPausing(connection.name, child: child.name, at: now) {
                return false
            }
            return child.startAction.starts || covers.trapped.contains(owner) || tunnelMemory.has(owner)
        }
        if wishes.isEmpty { return }
        let key = ConnectionAttempt.Key(connection: connection.name, remote: nil)
        // It is there: what waits for its next attempt need not wait.
        if attempts[key] != nil { return nudge(connection, isThere: true) }
        guard peerCalls.mayCall(connection.name, at: now) else { return }
        peerCalls.keepQuiet(connection.name, until: after(seconds: Self.callInterval))
        count.peersCalled += 1
        note(
            .info, "\(address) goes on with an SA that is not known here: a new one is negotiated",
            connection: connection.name)
        bringUp(connection, wishes.map { ConnectionAttempt.Wish($0.name) }, isStanding: true)
    }
}
