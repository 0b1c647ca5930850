import IPsec
import Packets

/// Packets that call for an SA: our own, which what a child covers has no SA for, and those of peers, by SAs that we do not
/// have.
final class Demand {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let covers: Covers
    private let backoffs: BackoffTable
    private let memory: TunnelMemory
    private let peerCalls: PeerCalls
    private let attempts: ConnectionAttempts
    private let initiator: Initiator

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, installer: ChildInstaller,
        covers: Covers, backoffs: BackoffTable, memory: TunnelMemory, peerCalls: PeerCalls,
        attempts: ConnectionAttempts, initiator: Initiator
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.covers = covers
        self.backoffs = backoffs
        self.memory = memory
        self.peerCalls = peerCalls
        self.attempts = attempts
        self.initiator = initiator
    }

    // MARK: Our packets

    /// A packet calls for an SA: of all children that it may be for, since the peer of one may be gone.
    func acquire(_ requestID: UInt32, _ packet: TrafficSelector?) {
        guard !context.isShuttingDown else { return }
        for cover in covers.called(by: requestID, packet) {
            let name = ChildName(connection: cover.connectionName, child: cover.child.name)
            guard let connection = connections[name.connection], connections.child(name) != nil else { continue }
            let pair = covers.pair(of: name, holding: packet)
            if isUnderWay(name, packet)
                || backoffs.isPausing(name.connection, child: name.child, pair: pair, at: context.now)
            {
                context.count.acquiresSuppressed += 1
                initiator.nudge(connection)
            } else {
                initiator.bringUp(connection, [ConnectionAttempt.Wish(name.child, hint: packet)], isStanding: true)
            }
        }
    }

    /// Whether an SA for the packet is being negotiated, or came up while the event was on its way.
    private func isUnderWay(_ name: ChildName, _ packet: TrafficSelector?) -> Bool {
        if attempts.wants(name) { return true }
        return table.newestSession(of: name.connection) { record in
            if record.asked.awaited.contains(name.child) { return true }
            if record.isUnwanted { return false }
            return installer.live(name.child, in: record).contains { sa in
                packet.map { packet in sa.selectors.contains { $0.contains(packet) } } ?? true
            }
        } != nil
    }

    // MARK: Packets of peers

    /// A configured peer sends by an SA that we do not have: an IKE SA is negotiated with it at once. Only for what the
    /// configuration wants, or what was up.
    func unknownESP(from address: IPAddress) {
        guard !context.isShuttingDown, connections.isNamed(address) else { return }
        for connection in connections.naming(address) { call(connection, at: address) }
    }

    private func call(_ connection: Connection, at address: IPAddress) {
        guard initiator.usableSession(of: connection, at: nil) == nil else { return }
        let wanted = connection.negotiated.filter { child in
            let name = ChildName(connection: connection.name, child: child.name)
            if peerCalls.isEnded(name)
                || backoffs.isPausing(connection.name, child: child.name, at: context.now)
            {
                return false
            }
            return child.startAction.starts || covers.isTrapped(name) || memory.has(name)
        }
        if wanted.isEmpty { return }
        // It is there: what waits for its next try need not wait.
        if attempts[ConnectionAttempt.Key(connection: connection.name, remote: nil)] != nil {
            return initiator.nudge(connection, isThere: true)
        }
        guard peerCalls.mayCall(connection.name, at: context.now) else { return }
        context.count.peersCalled += 1
        context.note(
            .info, "\(address) goes on with an SA that is not known here: a new one is negotiated",
            connection: connection.name)
        initiator.bringUp(connection, wanted.map { ConnectionAttempt.Wish($0.name) }, isStanding: true)
    }
}

/// Calls of peers that go on with SAs that we do not have, as after a restart of ours: they would notice only by their own
/// liveness checks, if they have them. The packets may be anybody's, and prove nothing, so calls are few.
final class PeerCalls {
    /// Seconds between two calls of one peer.
    static let intervalInSeconds: UInt64 = 10
    /// Seconds that packets of deleted SAs may be under way.
    static let lateInSeconds: UInt64 = 30

    /// Connections of which a call came a moment ago, or whose SAs were deleted, so that packets are still under way; until
    /// then.
    private var quietUntil: [String: Instant] = [:]
    /// Children that an operator has ended, by connection.
    private var ended: [String: Set<String>] = [:]
    private var limiter = RateLimiter(perSecond: 200, burst: 1_000)

    /// Whether to call the peer of a connection now; then it is not called again for a while.
    func mayCall(_ connection: String, at now: Instant) -> Bool {
        guard now >= quietUntil[connection] ?? .start, limiter.allow(at: now) else { return false }
        keepQuiet(connection, until: now + .seconds(Self.intervalInSeconds))
        return true
    }

    /// SAs of a connection were deleted.
    func sawDeletion(_ connection: String, at now: Instant) {
        keepQuiet(connection, until: now + .seconds(Self.lateInSeconds))
    }

    private func keepQuiet(_ connection: String, until time: Instant) {
        quietUntil[connection] = max(quietUntil[connection] ?? .start, time)
    }

    /// Notes that it is not to come up because of the peer's packets.
    func end(_ name: ChildName) { ended[name.connection, default: []].insert(name.child) }

    func isEnded(_ name: ChildName) -> Bool { ended[name.connection]?.contains(name.child) ?? false }

    /// Notes that it is wanted again. `child` nil: all of the connection.
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
