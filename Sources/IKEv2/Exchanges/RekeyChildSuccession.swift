import IKEv2Messages
import IPsec

// How a new SA takes over from the one it replaces (RFC 7296 section 2.8): it receives before the peer can use it; it
// sends when the other side is known to receive; the old one receives until its packets have drained.

extension Session {
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
