import Cryptography
import IKEv2Messages
import IPsec

/// Replaces a child by one with fresh keys (RFC 7296 sections 1.3.3, 2.8 and 2.8.1).
///
///     N(REKEY_SA) SA Ni [KEi] TSi TSr -->
///                                     <-- SA Nr [KEr] TSi TSr
///     then the one who began it deletes the old child
///
/// The selectors offered are those that are in use, and an answer with fewer of them replaces nothing (section 2.9.2). When
/// the peer rekeys the same child meanwhile, its request is answered as usual, and noted here; the nonces decide which of
/// the two new SAs goes.
struct RekeyChildExchange: InitiatedExchange {
    /// The peer's rekey of the same child: the SA that it made.
    struct Collision {
        let nonces: CollisionNonces
        let childID: UInt32
    }

    let type = ExchangeType.createChild
    let name = "CHILD_REKEY"
    let childID: UInt32
    /// Without REKEY_SA, as if the child were a new one: for a peer that has refused the rekey.
    let isAnew: Bool
    var collision: Collision?
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?
    /// The SA that is replaced; it may be gone when the answer comes.
    private var old: ChildSA?

    init(childID: UInt32, isAnew: Bool = false) {
        self.childID = childID
        self.isAnew = isAnew
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        // It was deleted, or the peer has rekeyed it.
        guard let index = session.childIndex(id: childID), session.childRecords[index].state == .installed else {
            return nil
        }
        let sa = session.childRecords[index].sa
        var child = sa.child
        child.localSelectors = sa.localSelectors
        child.remoteSelectors = sa.remoteSelectors
        do {
            let hasMethods = child.proposals.first?.keyExchanges.isEmpty == false
            let preferred = hasMethods && !retry.leavesOutKeyExchange ? sa.keyExchange : nil
            let (offered, payloads) = try session.offer(
                retry.offered(child), method: retry.method ?? preferred, hint: nil, &step)
            self.offered = offered
            old = sa
            session.childRecords[index].state = .rekeying
            session.childRecords[index].rekeyAt = nil
            if isAnew { return payloads }
            return [.notify(NotifyPayload(.rekeySA, protocolID: .esp, childSPI: sa.inboundSPI))] + payloads
        } catch {
            session.keepForNow(childID: childID, error.explanation, &step)
            return nil
        }
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        guard let offered, let old else { return }
        do {
            let (sa, nonce) = try session.accept(
                response, of: offered, as: old.child, requestID: old.requestID, &step)
            if session.childIndex(id: old.id) != nil, !sa.covers(old) { return narrower(sa, old, session, &step) }
            let nonces = CollisionNonces(initiator: offered.nonce, responder: nonce)
            // Who knows of no rekey of ours has no collision to decide: its own stays.
            let isUndone = isAnew || collision.map { nonces.loses(to: $0.nonces) } ?? false
            session.finishRekey(of: old, by: sa, collision, isUndone: isUndone, &step)
        } catch {
            if let refusal = response.errorNotify {
                step.act(.releaseSPI(offered.inboundSPI))
                refused(refusal, error.explanation, old, session, &step)
            } else {
                session.enqueue(DiscardChildExchange(inboundSPI: offered.inboundSPI), first: true)
                session.keepForNow(childID: childID, error.explanation, &step)
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
        if isAnew, let index = session.childIndex(id: old.id) {
            step.note(.warning, "child \(old.child.name) has one more SA, with fewer selectors: \(explanation)")
            if session.childRecords[index].state == .rekeying { session.childRecords[index].state = .installed }
            session.install(new, isAnswer: false, &step)
        } else {
            session.enqueue(DiscardChildExchange(inboundSPI: new.inboundSPI), first: true)
            session.keepForNow(childID: childID, explanation, &step)
        }
    }

    private func refused(
        _ refusal: NotifyPayload, _ explanation: Explanation, _ old: ChildSA, _ session: Session, _ step: inout Step
    ) {
        guard let index = session.childIndex(id: childID), session.childRecords[index].state == .rekeying else {
            // The peer has rekeyed or deleted it meanwhile, which is why it refuses.
            step.note(.debug, "the peer's answer \(refusal.type) to a rekey is of no interest any more")
            return
        }
        session.childRecords[index].state = .installed
        let methods = old.child.proposals.flatMap(\.keyExchanges)
        if session.tryAgain(
            refusal, retry, offered: methods, refused: offered?.keyExchange?.method, proposals: old.child.proposals,
            &step,
            { again($0) })
        {
            return
        }
        if refusal.type == .childSANotFound, !isAnew {
            // The peer has no such SA: this one is of no use, and a new one is made from nothing (section 2.25), unless
            // it was to be deleted anyway.
            let isWanted = !session.isToBeDeleted(childID: childID)
            if isWanted { session.childRecords[index].state = .rekeyed }
            session.remove(session.childRecords[index], reason: "unknown to the peer", atOnce: true, &step)
            if isWanted { session.enqueueChild(old.child, hint: nil) }
        } else {
            session.keepForNow(childID: childID, explanation, &step)
        }
    }

    private func again(_ retry: CreateChildRetry) -> RekeyChildExchange {
        var next = RekeyChildExchange(childID: childID, isAnew: isAnew)
        next.retry = retry
        return next
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }
}

extension Session {
    /// `isDue`: a limit wants it. After a rekey that came to nothing it is asked for otherwise, and so on in turn.
    func beginRekey(childID: UInt32, isDue: Bool, _ step: inout Step) {
        guard isInUse, let index = childIndex(id: childID), childRecords[index].state == .installed else { return }
        if isDue { childRecords[index].isDue = true }
        let isQueued = queue.contains { ($0.exchange as? RekeyChildExchange)?.childID == childID }
        let isAnew = !childRecords[index].failedRekeys.isMultiple(of: 2)
        if !isQueued { enqueue(RekeyChildExchange(childID: childID, isAnew: isAnew)) }
    }
}
