import Cryptography
import IKEv2Messages
import Packets

/// History of a CREATE_CHILD_SA before this try: other groups, busy peers.
struct CreateChildRetry {
    /// The method that the peer asked for; nil: our first.
    private(set) var method: KeyExchangeMethod?
    /// The peer accepted none of the proposals with an optional key exchange: it is left out.
    private(set) var leavesOutKeyExchange = false
    private var changes = 0
    /// The time at which the peer was busy for the first time.
    private var busySince: Instant?

    /// A peer that asks for more groups asks for ever.
    private static let maximumChanges = 3
    /// Seconds of TEMPORARY_FAILURE after which both sides are out of step (RFC 7296 section 2.25: several minutes).
    private static let patienceInSeconds: UInt64 = 180
    /// Seconds until the next try: at least, and by chance so many more.
    private static let pauseInSeconds: (least: UInt64, random: UInt64) = (5, 10)

    /// INVALID_KE_PAYLOAD: the same again with the method that the peer wants, if it is one of `offered`.
    private func changed(
        to notify: NotifyPayload, offered: [KeyExchangeMethod],
        refused: KeyExchangeMethod?
    ) -> CreateChildRetry? {
        guard changes < Self.maximumChanges, let wanted = notify.wanted(of: offered, refused: refused) else {
            return nil
        }
        var next = self
        next.method = wanted
        next.changes += 1
        return next
    }

    /// NO_PROPOSAL_CHOSEN: once more without optional key exchanges. RFC 7296 section 3.3.6 has `NONE` beside the groups mean
    /// that, but not every peer that wants no key exchange knows it. nil: there are none.
    private func withoutKeyExchange(_ proposals: [ChildProposal]) -> CreateChildRetry? {
        guard !leavesOutKeyExchange, proposals.contains(where: { !$0.keyExchanges.isEmpty && $0.allowsNoKeyExchange })
        else { return nil }
        var next = self
        next.method = nil
        next.leavesOutKeyExchange = true
        return next
    }

    /// A child as it is offered on this try.
    func offered(_ child: Child) -> Child {
        guard leavesOutKeyExchange else { return child }
        var child = child
        child.proposals = child.proposals.map(\.withoutOptionalKeyExchange)
        return child
    }

    /// TEMPORARY_FAILURE: the same again, but not at once. nil: the peer has been busy for too long.
    private func postponed(_ step: Step) -> (retry: CreateChildRetry, notBefore: Instant)? {
        let since = busySince ?? step.now
        guard step.now - since < .seconds(Self.patienceInSeconds) else { return nil }
        var next = self
        next.busySince = since
        let jitter = step.environment.random(below: .seconds(Self.pauseInSeconds.random))
        return (next, step.now + .seconds(Self.pauseInSeconds.least) + jitter)
    }
}

extension CreateChildRetry {
    /// Puts an exchange that was refused into the queue once more, where the refusal says that this may help. False: it
    /// does not. A peer that is busy for minutes is out of step with us, which only a new IKE SA mends (section 2.25).
    /// - Parameter proposals: of the child that is negotiated, if one is.
    func tryAgain(
        _ notify: NotifyPayload, offered: [KeyExchangeMethod], refused: KeyExchangeMethod?,
        proposals: [ChildProposal] = [], in session: Session, _ step: inout Step,
        _ exchange: (CreateChildRetry) -> any InitiatedExchange
    ) -> Bool {
        switch notify.type {
        case .invalidKeyExchange:
            guard let next = changed(to: notify, offered: offered, refused: refused) else { return false }
            session.exchanges.add(exchange(next), first: true)
        case .temporaryFailure:
            guard let (next, notBefore) = postponed(step) else {
                let explanation = Explanation("the peer has been busy for minutes (TEMPORARY_FAILURE)")
                step.note(.warning, explanation.description)
                step.askForSuccessors(of: session.currentChildren)
                session.enqueueDeleteIKE(.negotiationFailed(explanation))
                return true
            }
            session.exchanges.add(exchange(next), notBefore: notBefore)
        case .noProposalChosen:
            guard let next = withoutKeyExchange(proposals) else { return false }
            session.exchanges.add(exchange(next), first: true)
        default: return false
        }
        return true
    }
}
