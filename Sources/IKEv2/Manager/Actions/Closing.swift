import IKEv2Messages

// How sessions end, and what comes after.
extension SessionManager {
    /// Ends a session because we want it: nothing follows for its children. An established one is deleted at the peer.
    func end(_ record: SessionRecord, _ reason: CloseReason) {
        guard table[record.id] != nil, !record.isUnwanted else { return }
        record.isUnwanted = true
        if let attempt = record.attempt, attempts[attempt.key] === attempt {
            giveUp(attempt, reason.explanation)
        }
        apply(record.session.delete(reason, environment: self), of: record)
    }

    /// The session is about to end; that its children go is told after that.
    func ending(_ record: SessionRecord, _ status: IKESAStatus, _ reason: CloseReason?) {
        guard let reason, table[record.id] != nil else { return }
        record.last = status
        // Of strangers that never came back not all are told.
        if reason != .halfOpenTimeout || strangerLines.allow(now: now) {
            output.report(ManagerEvent(ike: status, event: .closed(reason)))
        }
    }

    /// The session is over.
    func close(_ record: SessionRecord, _ reason: CloseReason) {
        guard table[record.id] != nil else { return }
        // Sessions take back what they installed. If anything is left it goes now, before the session is forgotten.
        for child in record.installed.compactMap({ children[$0] }) {
            remove(child)
            conclude(.childDown(child.sa, reason: reason.explanation.summary), of: record, closing: reason)
        }
        table.remove(record)
        switch reason {
        case .peerDead:
            count.peersDead += 1
            // It was the last that was tried: the next attempt goes to another one, if there is any.
            if record.isEstablished, let connection = record.session.connection { takeNextTurn(of: connection) }
        case .negotiationFailed: count.failed += 1
        case .halfOpenTimeout: count.halfOpenTimeouts += 1
        default: break
        }
        settleTerminations(session: record.id)
        afterwards { [self] in closed(record, reason) }
    }

    /// What comes after: the next attempt, or bad news for those who waited.
    private func closed(_ record: SessionRecord, _ reason: CloseReason) {
        leaveSuccessor(of: record, reason)
        if let attempt = record.attempt {
            record.attempt = nil
            attempt.isUnanswered = reason == .peerDead
            return failed(attempt, attempt.explanation ?? reason.explanation)
        }
        let name = record.session.connection?.name ?? ""
        for child in record.awaitedChildren { settle(connection: name, child: child, .failure(reason.explanation)) }
        if let predecessor = record.predecessor { leaveUnreplaced(predecessor) }
    }

    /// A child's session ended, and that was not our wish.
    func recover(_ sa: ChildSA, of record: SessionRecord, _ reason: CloseReason) {
        guard let child = connectionTable.child(sa.child.name, of: sa.connectionName) else { return }
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

    /// Does what an action says for a child that has lost its SA. `afterAPause`: not at once, since two sides that fall
    /// out again and again would go on without rest.
    func act(
        _ action: Child.Action, for sa: ChildSA, _ child: Child, _ record: SessionRecord, afterAPause: Bool = false
    ) {
        guard !isShuttingDown, let connection = connectionTable[sa.connectionName] else { return }
        if action.traps, case .failure(let explanation) = setTrap(child, of: connection) {
            note(.warning, explanation.description, connection: connection.name)
        }
        // A peer that has authenticated anew, or began when we did, has made another one before it deleted this.
        guard action.starts, !isUp(connection, child) else { return }
        if afterAPause {
            bringUp(
                connection, [ConnectionAttempt.Wish(child.name)], towards: record.session.path.remote,
                afterAPause: true, isStanding: true, isEndless: true)
        } else {
            restart(child, of: connection, after: sa, in: record)
        }
    }

    /// - Parameter path: where the peer is, as far as that is known.
    func note(_ level: NoteLevel, _ text: String, connection: String, path: Path? = nil) {
        output.report(ManagerEvent(ike: .none(connection: connection, path: path), event: .note(level, text)))
    }
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

extension CloseReason {
    /// For those who wanted the session.
    public var explanation: Explanation {
        switch self {
        case .terminated: Explanation("the IKE SA was terminated")
        case .deletedByPeer: Explanation("the peer deleted the IKE SA")
        case .rekeyed, .reauthenticated: Explanation("the IKE SA was replaced by a new one")
        case .superseded: Explanation("another IKE SA with the same peer took its place")
        case .peerDead:
            Explanation(
                "the peer does not answer", remedy: "check its address, that UDP 500 and 4500 reach it, and its log",
                cause: .unanswered)
        case .negotiationFailed(let explanation): explanation
        case .halfOpenTimeout: Explanation("the negotiation was not finished in time")
        case .expired: Explanation("the IKE SA has reached the end of its life")
        }
    }
}
