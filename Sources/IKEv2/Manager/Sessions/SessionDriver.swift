import IKEv2Messages
import Packets

/// The one place where sessions' actions are done: messages sent, CHILD_SAs installed and removed, reports taken, sessions
/// replaced and closed, in the order in which the session asks for it.
final class SessionDriver {
    let environment: ManagerEnvironment
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let admission: Admission
    private let reports: SessionReports
    private let attempts: ConnectionAttempts
    private let terminations: Terminations
    private let replacements: Replacements
    private let keepalives: Keepalives

    init(
        environment: ManagerEnvironment, context: ManagerContext, table: SessionTable, connections: Connections,
        installer: ChildInstaller, admission: Admission, reports: SessionReports, attempts: ConnectionAttempts,
        terminations: Terminations, replacements: Replacements, keepalives: Keepalives
    ) {
        self.environment = environment
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.admission = admission
        self.reports = reports
        self.attempts = attempts
        self.terminations = terminations
        self.replacements = replacements
        self.keepalives = keepalives
    }

    // MARK: Actions

    /// Does what a session asks for, in its order, and then looks when it wants to be called again.
    func apply(_ actions: [SessionAction], of record: SessionRecord) {
        let closing = actions.closeReason
        for action in actions {
            switch action {
            case .send(let message): send(message, of: record)
            case .installInbound(let sa): note(installer.installInbound(sa, of: record))
            case .installOutbound(let sa): note(installer.installOutbound(sa))
            case .installOutboundWhenUsed(let sa): note(installer.installOutboundWhenUsed(sa, of: record))
            case .removeOutbound(let sa): note(installer.removeOutbound(sa))
            case .removeInbound(let sa, let atOnce): note(installer.removeInbound(sa, atOnce: atOnce))
            case .releaseSPI(let spi): installer.releaseSPI(spi)
            case .move(let sa, let path, let isEncapsulated):
                installer.move(sa, to: path, isEncapsulated: isEncapsulated)
            case .report(let event): reports.take(event, of: record, closing: closing)
            case .explain, .remark: break
            case .replaced(let successor): replace(record, by: successor)
            case .accompanied(let companion): accompany(by: companion)
            case .departing(let status): record.departed[status.sa.id] = status
            case .ending(let status): reports.ending(record, status, closing)
            case .successorWanted(let names):
                record.replacement.refuse(names)
                context.later(.successorWanted(record, children: names))
            case .ask(let id, let question): context.output.ask(question, id)
            case .withdraw(let id): context.output.withdraw(id)
            case .closed(let reason): close(record, reason)
            }
        }
        record.departed = [:]
        schedule(record)
    }

    /// The same for actions of no session: an answer that leaves no state.
    func apply(_ actions: [SessionAction], path: Path) {
        let status = IKESAStatus.none(path: path)
        for action in actions {
            switch action {
            case .send(let message):
                emit(message)
                admission.report(message.line, path: path)
            case .report(.message(let line)): admission.report(line, path: path)
            case .releaseSPI(let spi): installer.releaseSPI(spi)
            case .explain(let explanation):
                if admission.mayComplain(of: path.remote.address) {
                    context.report(ManagerEvent(ike: status, event: .session(.failed(explanation()))))
                }
            case .remark(let text): admission.remark(text(), path)
            case .report(let event): context.report(ManagerEvent(ike: status, event: .session(event)))
            default: break
            }
        }
    }

    private func send(_ message: OutgoingMessage, of record: SessionRecord) {
        record.lastSentAt = context.now
        emit(message)
        context.report(ManagerEvent(ike: record.brief, event: .session(.message(message.line))))
    }

    private func emit(_ message: OutgoingMessage) {
        context.count.sent += UInt64(message.datagrams.count)
        for datagram in message.datagrams { context.output.send(datagram, path: message.path) }
    }

    // MARK: Time

    /// Brings the session's deadline into the queue. An entry for an earlier time will do: it looks again. What a
    /// session could not do at its time is looked at every 10 ms.
    private func schedule(_ record: SessionRecord) {
        guard table[record.id] != nil, let wanted = record.session.nextDeadline else { return }
        let deadline = max(wanted, context.now + .milliseconds(10))
        guard deadline < record.queuedDeadline ?? .never else { return }
        record.queuedDeadline = deadline
        context.wake(.session(record.id), at: deadline)
    }

    /// The time of an entry has come.
    func deadlineReached(_ record: SessionRecord) {
        record.queuedDeadline = nil
        if let deadline = record.session.nextDeadline, deadline <= context.now {
            apply(record.session.deadlineReached(environment: environment), of: record)
        } else {
            schedule(record)
        }
    }

    // MARK: Questions

    /// An answer has come; that the session may be gone meanwhile is nobody's fault.
    func answered(_ id: QuestionID, _ answer: Answer) {
        guard let record = table[id.session] else { return }
        apply(record.session.answered(id, answer, environment: environment), of: record)
    }

    // MARK: CHILD_SAs

    /// The time of a drain is over.
    func drained(_ spi: SPI) { note(installer.drained(spi)) }

    /// An outbound half waits for its turn.
    func takeOver(_ spi: SPI) {
        let look = installer.takeOverIfUsed(spi)
        note(look.failure)
        for record in look.questions.compactMap({ table[$0] }) {
            apply(record.session.probe(environment: environment), of: record)
        }
    }

    private func note(_ failures: [ChildInstaller.Failure]) { for failure in failures { note(failure) } }

    /// The dataplane did not take an SA that the peer believes in: it is deleted at the peer, and nothing follows from
    /// that.
    private func note(_ failure: ChildInstaller.Failure?) {
        guard let failure, let record = table[failure.sessionID] else { return }
        context.count.installationsFailed += 1
        record.unwantedChildren.insert(failure.sa.id)
        let explanation = Explanation(
            "CHILD_SA \(failure.sa.child.name) could not be installed", details: [failure.error.description],
            remedy: "the CHILD_SA is deleted; bring it up again once that is solved")
        context.later(.notInstalled(failure.sa, record, explanation))
    }

    func notInstalled(_ sa: ChildSA, of record: SessionRecord, _ explanation: Explanation) {
        reports.take(.childFailed(name: sa.child.name, explanation), of: record, closing: nil)
        if table[record.id] != nil {
            apply(record.session.deleteChild(id: sa.id, environment: environment), of: record)
        }
    }

    /// Ends one CHILD_SA because we want it.
    func end(_ sa: ChildSA, of record: SessionRecord) {
        guard table[record.id] != nil else { return }
        record.unwantedChildren.insert(sa.id)
        apply(record.session.deleteChild(id: sa.id, environment: environment), of: record)
    }

    /// The connection of an IKE SA has other children now: it goes on with those, and loses its CHILD_SAs of children
    /// that are not there as they were.
    func adopt(_ connection: Connection, in record: SessionRecord) {
        let kept = Set(connection.children)
        for sa in record.session.children where !kept.contains(sa.child) {
            record.asked.forget(sa.child.name)
            end(sa, of: record)
        }
        record.session.connection = connection
    }

    // MARK: Rekeyed IKE SAs

    /// The new IKE SA of a rekey takes over all that the old one had.
    private func replace(_ record: SessionRecord, by successor: Session) {
        let new = table[successor.id] ?? SessionRecord(successor, beganAt: 0)
        guard table[successor.id] != nil || table.add(new) else { return }
        table.setEstablished(new, between: record.identities)
        new.lastSentAt = context.now
        new.beganAt = record.beganAt
        new.establishedAt = record.establishedAt
        new.asked = record.asked.handOver()
        new.unwantedChildren = record.unwantedChildren
        attempts.follow(record, to: new)
        replacements.follow(record, to: new)
        installer.inherit(successor.children, from: record, to: new)
        terminations.follow(record.id, to: new.id)
        // What is to end is the IKE SA with the peer, whatever its SPIs.
        if record.isUnwanted { context.later(.end(new)) }
        record.isUnwanted = true
        keepalives.begin(new)
        replacements.schedule(new)
        schedule(new)
    }

    /// Two rekeys of one IKE SA crossed: the new one that may lose has to be found by its SPI, and no more.
    private func accompany(by companion: Session) {
        let new = SessionRecord(companion, beganAt: 0)
        guard table.add(new) else { return }
        new.lastSentAt = context.now
        schedule(new)
    }

    // MARK: The end

    /// Ends a session because we want it: nothing follows for its children. An established one is deleted at the peer.
    func end(_ record: SessionRecord, _ reason: CloseReason) {
        guard table[record.id] != nil, !record.isUnwanted else { return }
        record.isUnwanted = true
        if let attempt = record.attempt, attempts.isCurrent(attempt) { attempts.giveUp(attempt, reason.explanation) }
        apply(record.session.delete(reason, environment: environment), of: record)
    }

    /// Ends an IKE SA without a word: nobody would answer.
    func drop(_ record: SessionRecord) {
        record.isUnwanted = true
        apply(record.session.abandon(.superseded, environment: environment), of: record)
    }

    /// The peer keeps its address as long as it has an IKE SA of the connection: the next one may be there already.
    private func releaseLease(of record: SessionRecord) {
        guard let identities = record.identities, let connection = record.session.connection?.name else { return }
        let isLast = !table.sessions(between: identities).contains { $0.session.connection?.name == connection }
        if isLast { context.leases.release(AddressLeases.Holder(connection: connection, identities: identities)) }
    }

    /// The session is over.
    private func close(_ record: SessionRecord, _ reason: CloseReason) {
        guard table[record.id] != nil else { return }
        // Sessions take back what they installed. If anything is left it goes now, before the session is forgotten.
        let left = installer.removeAll(of: record)
        note(left.failures)
        for sa in left.removed {
            reports.take(.childDown(sa, reason: reason.explanation.what), of: record, closing: reason)
        }
        table.remove(record)
        releaseLease(of: record)
        keepalives.end(record)
        switch reason {
        case .peerDead:
            context.count.peersDead += 1
            // It was the last that was tried: the next try goes to another one, if there is any.
            if record.isEstablished, let connection = record.session.connection {
                connections.takeNextTurn(of: connection)
            }
        case .negotiationFailed: context.count.failed += 1
        case .halfOpenTimeout: context.count.halfOpenTimeouts += 1
        default: break
        }
        terminations.settle(session: record.id)
        context.later(.closed(record, reason))
    }
}

extension [SessionAction] {
    /// Why the session is over after these actions, if it is.
    fileprivate var closeReason: CloseReason? {
        for case .closed(let reason) in reversed() { return reason }
        return nil
    }
}

extension CloseReason {
    /// For those who wanted the session.
    package var explanation: Explanation {
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
