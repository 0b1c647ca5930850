import Packets

/// All connection attempts, one for each connection and peer, and the commands that wait for their outcomes. It says when
/// the next try comes and when there is none; the tries themselves are the `Initiator`'s.
final class ConnectionAttempts {
    /// The subject of a command that waits.
    private struct Subject: Hashable {
        var connection: String
        /// The child; nil: the IKE SA alone.
        var child: String?
    }

    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let backoffs: BackoffTable
    private let memory: TunnelMemory
    private let replacements: Replacements
    private var attempts: [ConnectionAttempt.Key: ConnectionAttempt] = [:]
    private var byConnection: [String: [ConnectionAttempt.Key]] = [:]
    private var waiters: [Subject: [(Result<Void, Explanation>) -> Void]] = [:]

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, backoffs: BackoffTable,
        memory: TunnelMemory, replacements: Replacements
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.backoffs = backoffs
        self.memory = memory
        self.replacements = replacements
    }

    // MARK: The table

    var isEmpty: Bool { attempts.isEmpty }
    var all: [ConnectionAttempt] { Array(attempts.values) }

    subscript(key: ConnectionAttempt.Key) -> ConnectionAttempt? { attempts[key] }

    /// The attempts for one connection: to where it says, and to peers that are elsewhere.
    func all(of connection: String) -> [ConnectionAttempt] {
        (byConnection[connection] ?? []).compactMap { attempts[$0] }
    }

    func isCurrent(_ attempt: ConnectionAttempt) -> Bool { attempts[attempt.key] === attempt }

    /// Whether a child is waited for or being negotiated.
    func wants(_ name: ChildName) -> Bool {
        all(of: name.connection).contains { $0.wishes.contains { $0.child == name.child } }
    }

    /// Whether it is to replace an IKE SA that is still there: one try, after which that one goes on.
    func isReplacing(_ attempt: ConnectionAttempt) -> Bool { attempt.predecessor.flatMap { table[$0] } != nil }

    func add(_ attempt: ConnectionAttempt) {
        if attempts.updateValue(attempt, forKey: attempt.key) == nil {
            byConnection[attempt.key.connection, default: []].append(attempt.key)
        }
    }

    /// Forgets an attempt that is over.
    func remove(_ attempt: ConnectionAttempt) {
        guard attempts.removeValue(forKey: attempt.key) != nil else { return }
        let name = attempt.key.connection
        byConnection[name]?.removeAll { $0 == attempt.key }
        if byConnection[name]?.isEmpty == true { byConnection[name] = nil }
    }

    /// The IKE SA that some of them are to replace was rekeyed.
    func follow(_ old: SessionRecord, to new: SessionRecord) {
        for attempt in all(of: old.filedUnder ?? "") where attempt.predecessor == old.id {
            attempt.predecessor = new.id
        }
    }

    // MARK: After a try

    /// There is no way to the peer, yet: at a start routes and resolver may be late, and a link may be down. That counts as
    /// no try, and is looked at again when the network changes or the name is known, else in 1, 2 and then every 3 seconds.
    func findsNoWay(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        guard isCurrent(attempt), attempt.isStanding, !isReplacing(attempt),
            let connection = connections[attempt.key.connection], !context.isShuttingDown
        else { return failed(attempt, explanation) }
        attempt.foundNoWay()
        connections.takeNextTurn(of: connection)
        disappoint(attempt, explanation)
        pause(attempt)
        context.note(
            attempt.looks == 1 ? .warning : .debug, "waits for a way to the peer: \(explanation)",
            connection: attempt.key.connection)
    }

    /// A try came to nothing.
    func failed(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        guard isCurrent(attempt) else { return }
        // A reauthentication leaves the IKE SA that is there.
        if !isReplacing(attempt) {
            attempt.backoffInSeconds = backoffs.failed(attempt.key.connection, explanation.cause, at: context.now)
        }
        connections[attempt.key.connection].map(connections.takeNextTurn)
        if !context.isShuttingDown, attempt.takeOwedTry() { return pause(attempt) }
        guard let connection = connections[attempt.key.connection], !context.isShuttingDown,
            attempt.isEndless || connections.hasTries(of: connection, after: attempt.tries), !isReplacing(attempt)
        else { return giveUp(attempt, explanation) }
        // Who waits is not kept waiting forever.
        if attempt.isEndless || connection.keyingTries == 0 { disappoint(attempt, explanation) }
        pause(attempt)
        context.note(
            .info, "attempt \(attempt.tries) failed, the next one comes in \(attempt.pauseInSeconds) s",
            connection: connection.name, path: attempt.path)
    }

    /// Puts the next try off.
    func pause(_ attempt: ConnectionAttempt) {
        let time = context.after(seconds: attempt.pauseInSeconds)
        attempt.wait(until: time)
        context.wake(.attempt(attempt.key), at: time)
    }

    func giveUp(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        remove(attempt)
        if let predecessor = attempt.predecessor { replacements.failed(predecessor) }
        let isCalled = attempt.wishes.contains { $0.hint != nil }
        let pause = attempt.backoffInSeconds.flatMap { isCalled ? "; packets ask again in \($0) s" : nil } ?? ""
        let tries = attempt.tries == 1 ? "1 attempt" : "\(attempt.tries) attempts"
        forgetUnreached(attempt)
        context.note(
            .warning, "given up after \(tries): \(explanation)\(pause)", connection: attempt.key.connection,
            path: attempt.path)
        disappoint(attempt, explanation)
    }

    /// A peer of which nothing but its last address is known, and that is not there any more.
    private func forgetUnreached(_ attempt: ConnectionAttempt) {
        guard let remote = attempt.key.remote, !context.isShuttingDown, !isReplacing(attempt) else { return }
        for wish in attempt.wishes {
            memory.remove(
                RememberedTunnel(connection: attempt.key.connection, child: wish.child, peer: remote))
        }
    }

    // MARK: Commands

    /// Whether a filter is about an attempt, or about one of its children.
    func isMeant(_ attempt: ConnectionAttempt, by filter: SAFilter) -> Bool {
        guard filter.ikeID == nil, filter.childID == nil else { return false }
        return filter.connection ?? attempt.key.connection == attempt.key.connection
            && (filter.child == nil || attempt.wishes.contains { $0.child == filter.child })
    }

    /// The attempts that a filter is about.
    func matching(_ filter: SAFilter) -> [ConnectionAttempt] {
        let all = filter.connection.map(all(of:)) ?? self.all
        return all.filter { isMeant($0, by: filter) }
    }

    /// Takes a child out of attempts that wait for their time, and ends those that are for nothing else; their number.
    func stopWaiting(for filter: SAFilter) -> Int {
        let explanation = Explanation("terminated")
        let waiting = matching(filter).filter { $0.state != .negotiating }
        for attempt in waiting {
            if attempt.wishes.allSatisfy({ $0.child == filter.child }) {
                giveUp(attempt, explanation)
            } else {
                attempt.leave(filter.child)
                settle(connection: attempt.key.connection, child: filter.child, .failure(explanation))
            }
        }
        return waiting.count
    }

    var hasWaiters: Bool { !waiters.isEmpty }

    /// `outcome` is called once: when a child, or the IKE SA alone, is up, or does not come up.
    func addWaiter(connection: String, child: String?, _ outcome: @escaping (Result<Void, Explanation>) -> Void) {
        waiters[Subject(connection: connection, child: child), default: []].append(outcome)
    }

    /// Tells those who wait. `child` nil: for the IKE SA.
    func settle(connection: String, child: String?, _ result: Result<Void, Explanation>) {
        if waiters.isEmpty { return }
        let outcomes = waiters.removeValue(forKey: Subject(connection: connection, child: child)) ?? []
        for outcome in outcomes { outcome(result) }
    }

    private func disappoint(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        settle(connection: attempt.key.connection, child: nil, .failure(explanation))
        for wish in attempt.wishes {
            settle(connection: attempt.key.connection, child: wish.child, .failure(explanation))
        }
    }
}
