import IKEv2Messages
import IPsec

// How a new SA takes over from the one it replaces (RFC 7296 section 2.8): it receives before the peer can use it; it
// sends when the other side is known to receive; the old one receives until its packets have drained.

extension Session {
    /// The answer to our rekey has come. Without a collision, or when the peer's exchange is the one to be undone: the new
    /// SA sends from now on, and we delete the old one. Else our new SA is redundant and we delete that; the peer, who
    /// made the other, deletes the old one.
    func finishRekey(
        of old: ChildSA, by new: ChildSA, nonces: CollisionNonces, _ collision: RekeyChildExchange.Collision?,
        _ step: inout Step
    ) {
        let other = collision.flatMap { childIndex(id: $0.childID) }
        if let collision, other != nil, nonces.loses(to: collision.nonces) {
            installInbound(new, &step)
            if let index = childIndex(id: new.id) { setRedundant(index) }
            enqueue(DeleteChildExchange(childID: new.id, reason: "redundant"), first: true)
            return
        }
        if let other { setRedundant(other) }
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

    /// The peer rekeys a child (section 1.3.3).
    func respondToChildRekey(_ request: Message, _ step: inout Step) throws(ChildRefusal) -> [Payload] {
        try requireNoIKERekey()
        guard let named = request.notify(.rekeySA), let peerSPI = named.childSPI else {
            throw ChildRefusal(.invalidSyntax, Explanation("the peer's REKEY_SA names no SA"))
        }
        guard named.protocolID == .esp, let index = childIndex(peerSPI: peerSPI) else {
            var refusal = ChildRefusal(.childSANotFound, Explanation("there is no such child to rekey"))
            refusal.notify = NotifyPayload(.childSANotFound, protocolID: named.protocolID, childSPI: peerSPI)
            throw refusal
        }
        let record = childRecords[index]
        guard record.state == .installed || record.state == .rekeying, !isToBeDeleted(childID: record.sa.id) else {
            throw ChildRefusal(.temporaryFailure, Explanation("child \(record.sa.child.name) is being deleted"))
        }
        let answered = try answer(request, among: [record.sa.child], replacing: record.sa, &step)
        installInbound(answered.sa, &step)
        if let new = childIndex(id: answered.sa.id) { childRecords[new].replaces = record.sa.id }
        setRekeyed(index)
        // The peer deletes the old one. If it does not, we do.
        let end = step.now.addingWithoutOverflow(.seconds(Self.graceInSeconds))
        childRecords[index].expiresAt = min(childRecords[index].expiresAt ?? end, end)
        if var own = active as? RekeyChildExchange, own.childID == record.sa.id {
            let nonces = CollisionNonces(initiator: answered.initiatorNonce, responder: answered.responderNonce)
            own.collision = .init(nonces: nonces, childID: answered.sa.id)
            active = own
        }
        return answered.payloads
    }

    /// An SA is about to go: the one that waits for its place sends from now on.
    func promoteSuccessor(of old: ChildSA, _ step: inout Step) {
        guard let index = childRecords.firstIndex(where: { $0.replaces == old.id }) else { return }
        let new = childRecords[index].sa
        childRecords[index].replaces = nil
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
            if sa.child.isLimited { childRecords[index].rekeyAt = Self.rekeyRetry(step) }
        }
    }

    /// How long the peer has to delete a child that it has rekeyed: longer than repetitions take.
    private static let graceInSeconds: UInt64 = 120

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

    /// It lost a collision: whoever made it deletes it.
    private func setRedundant(_ index: Int) {
        setRekeyed(index)
        childRecords[index].replaces = nil
    }
}

extension Child {
    /// It is to be rekeyed by itself, sooner or later.
    var isLimited: Bool { [time, bytes, packets].contains { $0.rekey > 0 } }
}
