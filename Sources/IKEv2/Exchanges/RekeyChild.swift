import Cryptography
import IKEv2Messages
import IPsec

/// CREATE_CHILD_SA that replaces a child by one with fresh keys (RFC 7296 section 1.3.3): the initiator's state.
///
///     N(REKEY_SA) SA Ni [KEi] TSi TSr -->
///                                     <-- SA Nr [KEr] TSi TSr | N(error)
///     then the initiator deletes the old child
///
/// How the new SA takes over (section 2.8): it receives before the peer can use it; it sends when the other side is known
/// to receive; the old one receives until its packets have drained.
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
    /// The answer to our rekey has come. Without a collision, or when the peer's exchange is the one to be undone: the new
    /// SA sends from now on, and we delete the old one. Else our new SA is redundant and we delete that; the peer, who
    /// made the other, deletes the old one.
    /// - Parameter isUndone: of two rekeys at once ours is the one that goes.
    func finishRekey(
        of old: ChildSA, by new: ChildSA, _ collision: RekeyChildExchange.Collision?, isUndone: Bool,
        _ step: inout Step
    ) {
        let other = collision.flatMap { childIndex(id: $0.childID) }
        if other != nil, isUndone {
            installInbound(new, &step)
            if let index = childIndex(id: new.id) { setRedundant(index, &step) }
            enqueue(DeleteChildExchange(childID: new.id, reason: "redundant"), first: true)
            return
        }
        if let other { setRedundant(other, &step) }
        installInbound(new, &step)
        step.act(.installOutbound(new))
        if let index = childIndex(id: new.id) { childRecords[index].hasOutbound = true }
        guard let index = childIndex(id: old.id) else {
            // The peer has deleted it meanwhile, and that was reported.
            step.report(.childUp(new))
            return
        }
        setRekeyed(index)
        if childRecords[index].hasOutbound { step.act(.removeOutbound(old)) }
        childRecords[index].hasOutbound = false
        step.report(.childRekeyed(old: old, new: new))
        enqueue(DeleteChildExchange(childID: old.id, reason: "rekeyed"), first: true)
    }
}

// MARK: - Responder

extension Session {
    /// The peer rekeys a child (section 1.3.3).
    func respondToChildRekey(_ request: Message, _ step: inout Step) throws(Refusal) -> [Payload] {
        try requireNoIKERekey()
        guard let named = request.notify(.rekeySA), let peerSPI = named.childSPI else {
            throw Refusal(.invalidSyntax, Explanation("the peer's REKEY_SA names no SA"))
        }
        guard named.protocolID == .esp, let index = childIndex(peerSPI: peerSPI) else {
            throw Refusal(
                NotifyPayload(.childSANotFound, protocolID: named.protocolID, childSPI: peerSPI),
                Explanation("there is no such child to rekey"))
        }
        let record = childRecords[index]
        guard record.state == .installed || record.state == .rekeying, !isToBeDeleted(childID: record.sa.id) else {
            throw Refusal(.temporaryFailure, Explanation("child \(record.sa.child.name) is being deleted"))
        }
        let answered = try answer(request, among: [record.sa.child], replacing: record.sa, &step)
        installInbound(answered.sa, &step)
        if let new = childIndex(id: answered.sa.id) {
            childRecords[new].replaces = record.sa.id
            childRecords[new].lookAt = step.now.addingWithoutOverflow(Self.firstLook)
        }
        setRekeyed(index)
        // The peer deletes the old one. If it does not, we do.
        endAfterGrace(index, &step)
        if var own = active as? RekeyChildExchange, own.childID == record.sa.id {
            let nonces = CollisionNonces(initiator: answered.initiatorNonce, responder: answered.responderNonce)
            own.collision = .init(nonces: nonces, childID: answered.sa.id)
            active = own
        }
        return answered.payloads
    }

    /// The peer uses the SA that it has made: it is prepared to receive in it too (section 2.8, case 1), whether or not it
    /// ever deletes the old one. While a rekey of ours may still undo it, nothing is decided. Looks get rarer, down to one a
    /// second.
    func promoteIfUsed(childID: UInt32, _ step: inout Step) {
        guard let index = childIndex(id: childID) else { return }
        childRecords[index].lookAt = nil
        guard let oldID = childRecords[index].replaces, let old = childIndex(id: oldID) else { return }
        let isUsed = step.environment.usage(of: childRecords[index].sa).map { $0.inboundPackets > 0 } ?? false
        let isUndecided = (active as? RekeyChildExchange)?.childID == oldID
        guard isUsed, !isUndecided else {
            let waited = step.now - childRecords[index].addedAt
            let pause = min(max(waited / 8, Self.firstLook), .seconds(1))
            childRecords[index].lookAt = step.now.addingWithoutOverflow(pause)
            return
        }
        let sa = childRecords[old].sa
        promoteSuccessor(of: sa, &step)
        if childRecords[old].hasOutbound { step.act(.removeOutbound(sa)) }
        childRecords[old].hasOutbound = false
    }

    /// Nanoseconds until it is first looked whether the peer uses a new SA.
    private static let firstLook: UInt64 = 10_000_000

    /// An SA is about to go: the one that waits for its place sends from now on.
    func promoteSuccessor(of old: ChildSA, _ step: inout Step) {
        guard let index = childRecords.firstIndex(where: { $0.replaces == old.id }) else { return }
        let new = childRecords[index].sa
        childRecords[index].replaces = nil
        childRecords[index].lookAt = nil
        childRecords[index].hasOutbound = true
        step.act(.installOutbound(new))
        // It may be gone before that is reported.
        if let index = childIndex(id: old.id) {
            step.act(.departing(childRecords[index].status(usage: step.environment.usage(of: old))))
        }
        step.report(.childRekeyed(old: old, new: new))
    }

    /// An SA goes before its predecessor did, which therefore stays.
    func keepPredecessor(of record: ChildRecord, _ step: inout Step) {
        guard let index = record.replaces.flatMap({ childIndex(id: $0) }) else { return }
        let sa = childRecords[index].sa
        let life = sa.child.time.life
        childRecords[index].expiresAt = life == 0 ? nil : sa.establishedAt.addingWithoutOverflow(.seconds(life))
        if (active as? RekeyChildExchange)?.childID == sa.id {
            childRecords[index].state = .rekeying
        } else {
            childRecords[index].state = .installed
            if isToBeRekeyed(childRecords[index]) {
                childRecords[index].rekeyAt = Self.retryTime(failures: 1, before: childRecords[index].expiresAt, step)
            }
        }
    }

    /// How long the peer has to delete what it has replaced, nanoseconds: longer than its repetitions take, if it is as
    /// patient as we are.
    static func grace(_ settings: ProtocolSettings) -> UInt64 {
        max(.seconds(120), MessageWindow.patience(settings).addingWithoutOverflow(.seconds(15)))
    }

    /// It is deleted by us unless the peer does it in time.
    private func endAfterGrace(_ index: Int, _ step: inout Step) {
        let end = step.now.addingWithoutOverflow(Self.grace(step.settings))
        childRecords[index].expiresAt = min(childRecords[index].expiresAt ?? end, end)
    }

    // MARK: - Steps of both

    private func installInbound(_ sa: ChildSA, _ step: inout Step) {
        step.act(.installInbound(sa))
        add(sa, hasOutbound: false, &step)
        for line in sa.keyLogLines { step.environment.logKeys(line) }
    }

    /// It is replaced, and only receives what is under way.
    private func setRekeyed(_ index: Int) {
        childRecords[index].state = .rekeyed
        childRecords[index].rekeyAt = nil
    }

    /// It lost a collision: whoever made it deletes it (section 2.8.1). If that was the peer, and it does not, we do.
    private func setRedundant(_ index: Int, _ step: inout Step) {
        setRekeyed(index)
        childRecords[index].replaces = nil
        childRecords[index].lookAt = nil
        endAfterGrace(index, &step)
    }
}
