import Cryptography
import IKEv2Messages
import IPsec

/// Replaces a child by one with fresh keys (RFC 7296 sections 1.3.3, 2.8 and 2.8.1).
///
///     N(REKEY_SA) SA Ni [KEi] TSi TSr -->
///                                     <-- SA Nr [KEr] TSi TSr
///     then the one who began it deletes the old child
///
/// The selectors offered are those that are in use (section 2.9.2). When the peer rekeys the same child meanwhile, its
/// request is answered as usual, and noted here; the nonces decide which of the two new SAs goes.
struct RekeyChildExchange: InitiatedExchange {
    /// The peer's rekey of the same child: the SA that it made.
    struct Collision {
        let nonces: CollisionNonces
        let childID: UInt32
    }

    let type = ExchangeType.createChild
    let name = "CHILD_REKEY"
    let childID: UInt32
    var collision: Collision?
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?
    /// The SA that is replaced; it may be gone when the answer comes.
    private var old: ChildSA?

    init(childID: UInt32) { self.childID = childID }

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
            let nonces = CollisionNonces(initiator: offered.nonce, responder: nonce)
            session.finishRekey(of: old, by: sa, nonces: nonces, collision, &step)
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
        if refusal.type == .childSANotFound {
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
        var next = RekeyChildExchange(childID: childID)
        next.retry = retry
        return next
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }
}

extension Session {
    func beginRekey(childID: UInt32, _ step: inout Step) {
        guard isInUse, let index = childIndex(id: childID), childRecords[index].state == .installed else { return }
        let isQueued = queue.contains { ($0.exchange as? RekeyChildExchange)?.childID == childID }
        if !isQueued { enqueue(RekeyChildExchange(childID: childID)) }
    }

    /// A rekey came to nothing. The SA carries on until its hard limit, and the rekey is tried again before that.
    fileprivate func keepForNow(childID: UInt32, _ explanation: Explanation, _ step: inout Step) {
        guard let index = childIndex(id: childID) else { return }
        let child = childRecords[index].sa.child
        step.note(.warning, "child \(child.name) could not be rekeyed: \(explanation)")
        if childRecords[index].state == .rekeying { childRecords[index].state = .installed }
        if child.isLimited { childRecords[index].rekeyAt = Self.rekeyRetry(step) }
    }
}
