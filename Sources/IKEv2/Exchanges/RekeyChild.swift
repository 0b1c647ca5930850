import Cryptography
import IKEv2Messages
import IPsec

/// CREATE_CHILD_SA that replaces a child by one with fresh keys (RFC 7296 section 1.3.3): the initiator's state.
///
///     N(REKEY_SA) SA Ni [KEi] TSi TSr -->
///                                     <-- SA Nr [KEr] TSi TSr | N(error)
///     then the initiator deletes the old child
///
/// How the new SA takes over from the old one is ``ChildTable``'s.
///
/// | | | RFC 7296 |
/// |-|-|-|
/// | Request | the selectors that are in use | 2.9.2 |
/// | Response | the new SA sends; an answer with fewer selectors replaces nothing | 2.8, 2.9.2 |
/// | Collision: the peer rekeys the same child | answered as usual, and noted here; the exchange with the lowest nonce is undone by its initiator | 2.8.1 |
/// | Collision: the peer deletes the child, or the IKE SA goes | nothing to replace; TEMPORARY_FAILURE | 2.25.1, 2.25.2 |
/// | N(INVALID_KE_PAYLOAD), N(NO_PROPOSAL_CHOSEN), N(TEMPORARY_FAILURE) | tried again as for a new child | 1.3, 2.25 |
/// | N(CHILD_SA_NOT_FOUND) | the old one is removed, and made anew from nothing | 2.25 |
/// | Other errors | the old one stays; again before its hard limit, every second time without REKEY_SA | 1.3.3 |
struct RekeyChildExchange: PlainExchange {
    /// The peer's rekey of the same child: the SA that it made.
    struct Collision {
        let nonces: CollisionNonces
        let childID: UInt32
    }

    let type = ExchangeType.createChild
    let name = "CHILD_REKEY"
    let childID: UInt32
    /// Whether it is without REKEY_SA, as if the child were a new one: for a peer that has refused the rekey.
    let isAnew: Bool
    private var collision: Collision?
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?
    /// The SA that is replaced; it may be gone when the answer comes.
    private var old: ChildSA?

    var rekeyedChild: UInt32? { childID }

    private init(childID: UInt32, isAnew: Bool) {
        self.childID = childID
        self.isAnew = isAnew
    }

    mutating func peerRekeyed(child id: UInt32, _ collision: Collision) {
        if id == childID { self.collision = collision }
    }

    // MARK: - Initiator

    /// `isDue`: a limit wants it. After a rekey that came to nothing it is asked for otherwise, and so on in turn.
    static func begin(childID: UInt32, isDue: Bool, in session: Session) {
        guard session.lifecycle.isInUse, let child = session.childTable[childID], child.state == .installed else {
            return
        }
        if isDue { session.childTable.rekeyIsDue(childID) }
        if session.exchanges.willRekey(child: childID) { return }
        session.exchanges.add(
            RekeyChildExchange(childID: childID, isAnew: !child.failedRekeys.isMultiple(of: 2)))
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        // It was deleted, or the peer has rekeyed it.
        guard let entry = session.childTable[childID], entry.state == .installed else { return nil }
        let sa = entry.sa
        var child = sa.child
        child.localSelectors = sa.localSelectors
        child.remoteSelectors = sa.remoteSelectors
        do {
            let hasMethods = child.proposals.first?.keyExchanges.isEmpty == false
            let preferred = hasMethods && !retry.leavesOutKeyExchange ? sa.keyExchange : nil
            let (offered, payloads) = try OfferedChild.offer(
                retry.offered(child), method: retry.method ?? preferred, hint: nil, in: session, &step)
            self.offered = offered
            old = sa
            session.childTable.rekeyBegan(childID)
            if isAnew { return payloads }
            return [.notify(NotifyPayload(.rekeySA, protocolID: .esp, childSPI: sa.inboundSPI))] + payloads
        } catch {
            session.childTable.rekeyFailed(childID, error.explanation, &step)
            return nil
        }
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        guard let offered, let old else { return }
        do {
            let (sa, nonce) = try offered.accept(
                response, as: old.child, requestID: old.requestID, in: session, &step)
            if session.childTable[old.id] != nil, !sa.covers(old) { return narrower(sa, old, session, &step) }
            let nonces = CollisionNonces(initiator: offered.nonce, responder: nonce)
            // Who knows of no rekey of ours has no collision to decide: its own stays.
            let isUndone = isAnew || collision.map { nonces.loses(to: $0.nonces) } ?? false
            let delete = session.childTable.rekeyed(
                old, by: sa, rival: collision?.childID, isUndone: isUndone, &step)
            if let delete { session.exchanges.add(delete, first: true) }
        } catch {
            if let refusal = response.errorNotify {
                step.act(.releaseSPI(offered.inboundSPI))
                refused(refusal, error.explanation, old, session, &step)
            } else {
                session.exchanges.add(DiscardChildExchange(inboundSPI: offered.inboundSPI), first: true)
                session.childTable.rekeyFailed(childID, error.explanation, &step)
            }
        }
    }

    /// The peer lets us have less than is in use: the old SA goes on as long as it lives. A peer that stays with it gets
    /// its way beside the old SA, so that nothing is without an SA before that ends.
    private func narrower(_ new: ChildSA, _ old: ChildSA, _ session: Session, _ step: inout Step) {
        let explanation = Explanation(
            "the peer's answer would leave packets without an SA",
            details: ["in use: \(old.selectorText)", "answered: \(new.selectorText)"],
            remedy: "let the peer answer a rekey with the traffic selectors that are in use (RFC 7296 section 2.9.2)")
        if isAnew {
            step.note(.warning, "child \(old.child.name) has one more SA, with fewer selectors: \(explanation)")
            session.childTable.rekeyRefused(old.id)
            session.childTable.install(new, isAnswer: false, &step)
        } else {
            session.exchanges.add(DiscardChildExchange(inboundSPI: new.inboundSPI), first: true)
            session.childTable.rekeyFailed(childID, explanation, &step)
        }
    }

    private func refused(
        _ refusal: NotifyPayload, _ explanation: Explanation, _ old: ChildSA, _ session: Session, _ step: inout Step
    ) {
        guard session.childTable[childID]?.state == .rekeying else {
            // The peer has rekeyed or deleted it meanwhile, which is why it refuses.
            step.note(.debug, "the peer's answer \(refusal.type) to a rekey is of no interest any more")
            return
        }
        session.childTable.rekeyRefused(childID)
        let methods = old.child.proposals.flatMap(\.keyExchanges)
        let isTriedAgain = retry.tryAgain(
            refusal, offered: methods, refused: offered?.keyExchange?.method, proposals: old.child.proposals,
            in: session, &step
        ) { retry in
            var next = RekeyChildExchange(childID: childID, isAnew: isAnew)
            next.retry = retry
            return next
        }
        if isTriedAgain { return }
        if refusal.type == .childSANotFound, !isAnew {
            // The peer has no such SA: this one is of no use, and a new one is made from nothing (section 2.25), unless
            // it was to be deleted anyway.
            let isWanted = !session.exchanges.willDelete(child: childID)
            session.childTable.unknownToPeer(childID, isReported: !isWanted, underRekey: nil, &step)
            if isWanted { session.enqueueChild(old.child, hint: nil) }
        } else {
            session.childTable.rekeyFailed(childID, explanation, &step)
        }
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }

    // MARK: - Responder

    /// The peer rekeys a child.
    static func respond(
        to request: Message, in session: Session, _ step: inout Step
    ) throws(Refusal) -> [Payload] {
        try CreateChildExchange.requireNoIKERekey(in: session)
        guard let named = request.notify(.rekeySA), let peerSPI = named.childSPI else {
            throw Refusal(.invalidSyntax, Explanation("the peer's REKEY_SA names no SA"))
        }
        guard named.protocolID == .esp, let entry = session.childTable.entry(peerSPI: peerSPI) else {
            throw Refusal(
                NotifyPayload(.childSANotFound, protocolID: named.protocolID, childSPI: peerSPI),
                Explanation("there is no such child to rekey"))
        }
        let old = entry.sa
        guard entry.state.isCurrent, !session.exchanges.willDelete(child: old.id) else {
            throw Refusal(.temporaryFailure, Explanation("child \(old.child.name) is being deleted"))
        }
        let answered = try AnsweredChild(request, among: [old.child], replacing: old, in: session, &step)
        session.childTable.rekeyedByPeer(old.id, by: answered.sa, &step)
        session.exchanges.peerRekeyed(
            child: old.id,
            Collision(
                nonces: CollisionNonces(initiator: answered.initiatorNonce, responder: answered.responderNonce),
                childID: answered.sa.id))
        return answered.payloads
    }
}
