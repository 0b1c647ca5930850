import IKEv2Messages

// What happens by itself: repetitions, liveness, rekeys, expiry. All times are nanoseconds of the manager's clock.

extension Session {
    /// When `deadlineReached` has something to do; nil: nothing happens by itself.
    public var nextDeadline: UInt64? {
        var deadline: UInt64?
        func consider(_ time: UInt64?) {
            if let time { deadline = min(deadline ?? time, time) }
        }
        if case .closed = phase { return nil }
        consider(window.outstanding?.deadline)
        consider(halfOpenUntil)
        consider(reassemblyEndsAt)
        if case .established(let state) = phase {
            consider(state.expiresAt)
            // A session on its way out begins nothing more.
            guard state.state == .established || state.state == .rekeying else { return deadline }
            if window.outstanding == nil {
                for queued in queue { consider(queued.notBefore) }
                consider(livenessAt)
            }
            // While the peer rekeys, ours waits for what comes of that.
            if state.state == .established { consider(state.rekeyAt) }
        }
        for record in childRecords {
            consider(record.rekeyAt)
            consider(record.expiresAt)
            consider(record.lookAt)
        }
        return deadline
    }

    /// Does what is due. Called too early, it does nothing.
    public func deadlineReached(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            if let until = halfOpenUntil, step.now >= until {
                if case .refused(_, let reason) = phase { step.close(reason) } else { step.close(.halfOpenTimeout) }
                return
            }
            if let end = reassemblyEndsAt, step.now >= end { forgetFragments() }
            repeatRequest(&step)
            guard step.closing == nil, case .established(let state) = phase else { return }
            if let expiresAt = state.expiresAt, step.now >= expiresAt {
                expire(&step)
                return
            }
            guard state.state == .established || state.state == .rekeying else { return }
            if state.state == .established, let rekeyAt = state.rekeyAt, step.now >= rekeyAt { beginIKERekey(&step) }
            checkChildren(&step)
            checkLiveness(&step)
        }
    }

    /// The time at which silence becomes a question; nil: never.
    private var livenessAt: UInt64? {
        guard let delay = connection?.dpdDelay, delay > 0 else { return nil }
        return lastHeardAt.addingWithoutOverflow(.seconds(delay))
    }

    private func repeatRequest(_ step: inout Step) {
        let environment = step.environment
        let verdict = window.overdue(at: step.now, settings: step.settings) {
            // Who waits for the end of a deletion wants it now, and before there are SAs nobody sends by them.
            active is DeleteIKEExchange ? nil : lastInbound(environment)
        }
        switch verdict {
        case .notYet: break
        case .again(let message, let repetition):
            step.act(.send(message.outgoing(path: path, repetition: Int(repetition))))
        case .dead: peerIsDead(&step)
        }
    }

    private func peerIsDead(_ step: inout Step) {
        switch phase {
        case .initial(let exchange): exchange.unanswered(in: self, &step)
        case .authenticating:
            let explanation = Explanation(
                "the peer does not answer IKE_AUTH", details: ["from \(path.local) to \(path.remote)"],
                remedy: "see that UDP port 4500 is open on the way, and set fragmentation = yes for long certificates",
                cause: .unanswered)
            step.report(.failed(explanation))
            step.close(.peerDead)
        default:
            // Who waits for the end of a deletion has it now.
            if let delete = active as? DeleteIKEExchange { step.close(delete.reason) } else { step.close(.peerDead) }
        }
    }

    /// The hard limit of time: the peer is told, but not waited for.
    private func expire(_ step: inout Step) {
        if window.outstanding == nil { sendOnce(.informational, [.delete(.ikeSA)], &step) }
        // One that is being deleted already ends for the reason of that.
        let delete = active as? DeleteIKEExchange
        if delete == nil, !isSpare { askForSuccessor(&step) }
        step.close(delete?.reason ?? (isSpare ? .rekeyed : .expired))
    }

    private func checkChildren(_ step: inout Step) {
        for record in childRecords {
            if let expiresAt = record.expiresAt, step.now >= expiresAt {
                if let index = childIndex(id: record.sa.id) { childRecords[index].expiresAt = nil }
                expireChild(record, &step)
                continue
            }
            if let lookAt = record.lookAt, step.now >= lookAt { promoteIfUsed(childID: record.sa.id, &step) }
            if let rekeyAt = record.rekeyAt, step.now >= rekeyAt {
                if let index = childIndex(id: record.sa.id) { childRecords[index].rekeyAt = nil }
                beginRekey(childID: record.sa.id, isDue: true, &step)
            }
        }
    }

    /// When ESP of the peer last came, nanoseconds; nil: never.
    private func lastInbound(_ environment: any SessionEnvironment) -> UInt64? {
        childRecords.compactMap { environment.usage(of: $0.sa)?.lastInbound }.max()
    }

    /// Asks the peer only when its ESP was silent too (RFC 7296 section 2.4).
    private func checkLiveness(_ step: inout Step) {
        guard let due = livenessAt, step.now >= due, window.outstanding == nil else { return }
        lastHeardAt = max(lastHeardAt, lastInbound(step.environment) ?? 0)
        if let due = livenessAt, step.now >= due { enqueueLiveness() }
    }
}
