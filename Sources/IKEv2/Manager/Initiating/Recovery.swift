import IPsec
import Packets

/// The sequel of a CHILD_SA that ended although nobody wanted that (`close_action`, `dpd_action`): nothing, a trap, or a
/// start.
final class Recovery {
    private let context: ManagerContext
    private let connections: Connections
    private let installer: ChildInstaller
    private let covers: Covers
    private let initiator: Initiator
    private var restarts = Restarts()

    init(
        context: ManagerContext, connections: Connections, installer: ChildInstaller, covers: Covers,
        initiator: Initiator
    ) {
        self.context = context
        self.connections = connections
        self.installer = installer
        self.covers = covers
        self.initiator = initiator
    }

    /// A child's session ended.
    func sessionClosed(_ sa: ChildSA, of record: SessionRecord, _ reason: CloseReason) {
        guard let child = connections.child(sa.child.name, of: sa.connectionName) else { return }
        switch reason {
        case .peerDead: act(child.deadPeerAction.action, for: sa, child, record)
        case .deletedByPeer, .expired: act(child.closeAction, for: sa, child, record)
        case .negotiationFailed:
            // It was up until the two sides fell out: the peer is no better than a dead one, and has closed it too.
            for action in [child.deadPeerAction.action, child.closeAction] {
                act(action, for: sa, child, record, afterAPause: true)
            }
        case .terminated, .rekeyed, .reauthenticated, .superseded, .halfOpenTimeout: break
        }
    }

    /// A child ended alone.
    func childClosed(_ sa: ChildSA, _ child: Child, of record: SessionRecord) {
        act(child.closeAction, for: sa, child, record)
    }

    /// - Parameter afterAPause: not at once, since two sides that fall out again and again would go on without rest.
    private func act(
        _ action: Child.Action, for sa: ChildSA, _ child: Child, _ record: SessionRecord, afterAPause: Bool = false
    ) {
        guard !context.isShuttingDown, let connection = connections[sa.connectionName] else { return }
        if action.traps, case .failure(let explanation) = covers.setTrap(child, of: connection) {
            context.note(.warning, explanation.description, connection: connection.name)
        }
        // A peer that has authenticated anew, or began when we did, has made another one before it deleted this.
        guard action.starts, !installer.isUp(connection, child) else { return }
        if afterAPause {
            initiator.bringUp(
                connection, [ConnectionAttempt.Wish(child.name)], towards: record.session.path.remote,
                afterAPause: true, isStanding: true, isEndless: true)
        } else {
            restart(child, of: connection, after: sa, in: record)
        }
    }

    /// A child starts again in the place of an SA that has ended.
    private func restart(_ child: Child, of connection: Connection, after sa: ChildSA, in record: SessionRecord) {
        let name = ChildName(connection: connection.name, child: child.name)
        let remote = record.session.path.remote
        let life = context.now - sa.establishedAt
        guard let pause = restarts.pause(of: name, life: life, at: context.now) else { return }
        if pause == 0 { return start(child, of: connection, towards: remote) }
        context.wake(.restart(name, towards: remote), at: context.after(seconds: pause))
        context.note(
            .info, "child \(child.name) has ended soon after it came up, and starts again in \(pause) s",
            connection: connection.name)
    }

    /// The pause is over.
    func restart(_ name: ChildName, towards remote: Endpoint) {
        guard restarts.end(name), let connection = connections[name.connection],
            let child = connection.negotiated.first(where: { $0.name == name.child })
        else { return }
        start(child, of: connection, towards: remote)
    }

    private func start(_ child: Child, of connection: Connection, towards remote: Endpoint) {
        if context.isShuttingDown || installer.isUp(connection, child) { return }
        initiator.bringUp(
            connection, [ConnectionAttempt.Wish(child.name)], towards: remote, isStanding: true, isEndless: true)
    }

    func isWaiting(_ name: ChildName) -> Bool { restarts.isWaiting(name) }

    /// The child is not loaded any more.
    func forget(_ name: ChildName) { restarts.forget(name) }
}

extension Child.DeadPeerAction {
    fileprivate var action: Child.Action {
        switch self {
        case .clear: .none
        case .trap: .trap
        case .restart: .start
        case .trapAndRestart: .trapAndStart
        }
    }
}

/// Children that start again because they have lost their SA (`close_action`, `dpd_action`): at once, but where that
/// happens again and again after a short life, after pauses that grow. A peer that deletes what it has just agreed to
/// would otherwise be negotiated with as fast as messages go back and forth.
struct Restarts {
    private struct Entry {
        var backoff = Backoff()
        /// Whether it has started again at once, since an SA lived long.
        var hasStartedAtOnce = false
        var isWaiting = false
    }

    private var entries: [ChildName: Entry] = [:]

    private static let longestPauseInSeconds: UInt64 = 64

    /// Seconds until the child of an SA that has lived for `life` starts again: 0, 1, 2, 4, … up to 64. nil:
    /// it waits for that already.
    mutating func pause(of name: ChildName, life: Duration, at now: Instant) -> UInt64? {
        var entry = entries[name] ?? Entry()
        if entry.isWaiting { return nil }
        if life >= .seconds(Backoff.steadyInSeconds) { entry = Entry() }
        let pause =
            entry.hasStartedAtOnce
            ? entry.backoff.failed(at: now, longestInSeconds: Self.longestPauseInSeconds) : 0
        entry.hasStartedAtOnce = true
        entry.isWaiting = pause > 0
        entries[name] = entry
        return pause
    }

    /// Its time has come. False: it was not waiting any more.
    mutating func end(_ name: ChildName) -> Bool {
        guard entries[name]?.isWaiting == true else { return false }
        entries[name]?.isWaiting = false
        return true
    }

    func isWaiting(_ name: ChildName) -> Bool { entries[name]?.isWaiting ?? false }

    /// The child is not loaded any more, or not as it was.
    mutating func forget(_ name: ChildName) { entries[name] = nil }
}
