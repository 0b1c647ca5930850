import IKEv2Messages
import Packets

/// Everything that a session does by itself: repetitions, liveness, rekeys, expiry.
struct SessionTimer {
    let session: Session

    /// The time at which there is something to do; nil: nothing happens by itself.
    var next: Instant? {
        var deadline: Instant?
        func consider(_ time: Instant?) {
            if let time { deadline = min(deadline ?? time, time) }
        }
        if case .closed = session.phase { return nil }
        consider(session.window.outstanding?.deadline)
        consider(session.lifecycle.halfOpenUntil)
        consider(session.opener.endsAt)
        consider(session.questions.open?.deadline)
        if case .established(let state) = session.phase {
            consider(state.expiresAt)
            // A session on its way out begins nothing more.
            guard session.lifecycle.isInUse else { return deadline }
            if session.window.outstanding == nil {
                consider(session.exchanges.nextStart)
                consider(livenessAt)
            }
            // While the peer rekeys, ours waits for what comes of that.
            if session.lifecycle.isUp { consider(state.rekeyAt) }
        }
        consider(session.childTable.nextDeadline)
        return deadline
    }

    /// Does what is due. Called too early, it does nothing.
    func run(_ step: inout Step) {
        if let until = session.lifecycle.halfOpenUntil, step.now >= until {
            if case .refused(_, let reason) = session.phase { step.close(reason) } else { step.close(.halfOpenTimeout) }
            return
        }
        if let end = session.opener.endsAt, step.now >= end { session.opener.forget() }
        if let end = session.questions.open?.deadline, step.now >= end { session.giveUpQuestion(&step) }
        repeatRequest(&step)
        guard step.closing == nil, case .established(let state) = session.phase else { return }
        if let expiresAt = state.expiresAt, step.now >= expiresAt {
            expire(&step)
            return
        }
        guard session.lifecycle.isInUse else { return }
        if session.lifecycle.isUp, let rekeyAt = state.rekeyAt, step.now >= rekeyAt {
            RekeyIKEExchange.begin(in: session)
        }
        checkChildren(&step)
        checkLiveness(&step)
    }

    // MARK: - Repetitions

    private func repeatRequest(_ step: inout Step) {
        let environment = step.environment
        let isLast = session.exchanges.active?.endsIKE != nil
        let verdict = session.window.overdue(at: step.now, settings: step.settings) {
            // Who waits for the end of a deletion wants it now, and before there are SAs nobody sends by them.
            isLast ? nil : session.childTable.lastInbound(environment)
        }
        switch verdict {
        case .notYet: break
        case .again(let message, let repetition):
            step.act(.send(message.outgoing(path: session.path, repetition: Int(repetition))))
        case .dead: peerIsDead(&step)
        }
    }

    private func peerIsDead(_ step: inout Step) {
        switch session.phase {
        case .initial(let exchange): exchange.unanswered(in: session, &step)
        case .authenticating:
            let explanation = Explanation(
                "the peer does not answer IKE_AUTH",
                details: ["from \(session.path.local) to \(session.path.remote)"],
                remedy: "see that UDP port 4500 is open on the way, and set fragmentation = yes for long certificates",
                cause: .unanswered)
            step.report(.failed(explanation))
            step.close(.peerDead)
        default:
            // Who waits for the end of a deletion has it now.
            step.close(session.exchanges.active?.endsIKE ?? .peerDead)
        }
    }

    // MARK: - Limits

    /// The hard limit of time: the peer is told, but not waited for.
    private func expire(_ step: inout Step) {
        let isSpare = session.lifecycle.isSpare
        if session.window.outstanding == nil { session.sender.once(.informational, [.delete(.ikeSA)], &step) }
        // One that is being deleted already ends for the reason of that.
        let reason = session.exchanges.active?.endsIKE
        if reason == nil, !isSpare { step.askForSuccessors(of: session.currentChildren) }
        step.close(reason ?? (isSpare ? .rekeyed : .expired))
    }

    private func checkChildren(_ step: inout Step) {
        for entry in session.childTable.entries {
            let id = entry.sa.id
            if session.childTable.takeExpiry(id, at: step.now) {
                expire(entry, &step)
                continue
            }
            session.childTable.look(id, underRekey: session.exchanges.active?.rekeyedChild, &step)
            if session.childTable.takeRekey(id, at: step.now) {
                RekeyChildExchange.begin(childID: id, isDue: true, in: session)
            }
        }
    }

    /// A child has reached its hard limit. What is wanted is made anew, before the old one is deleted.
    func expire(_ entry: ChildTable.Entry, _ step: inout Step) {
        let sa = entry.sa
        if entry.state.isCurrent, session.lifecycle.isInUse, step.environment.isWanted(sa),
            !session.exchanges.willDelete(child: sa.id)
        {
            session.exchanges.add(CreateChildExchange(successorOf: sa))
        }
        session.enqueueDelete(childID: sa.id, reason: "expired")
    }

    // MARK: - Liveness

    /// The time at which silence becomes a question; nil: never.
    private var livenessAt: Instant? { session.liveness.asks(after: session.connection?.dpdDelay ?? 0) }

    /// Asks the peer only when its ESP was silent too (RFC 7296 section 2.4).
    private func checkLiveness(_ step: inout Step) {
        guard let due = livenessAt, step.now >= due, session.window.outstanding == nil else { return }
        session.liveness.heard(at: session.childTable.lastInbound(step.environment) ?? 0)
        if let due = livenessAt, step.now >= due { session.askForLife() }
    }
}
