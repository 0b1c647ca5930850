import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// The CHILD_SAs of an IKE SA. No other file changes one: each change is a method here that is named for what happens, and
/// the states that it may lead to are those of ``ChildState``.
///
/// How a new SA takes over from the one that it replaces (RFC 7296 section 2.8): it receives before the peer can use it; it
/// sends when the other side is known to receive; the old one receives until its packets have drained. The initiator of a
/// rekey knows that with the answer. The responder's new SA waits for the place of the old one, its `predecessor`, until
/// the peer deletes that, or uses the new one.
struct ChildTable {
    /// A CHILD_SA, and what is known of it beside the SA itself.
    struct Entry {
        fileprivate(set) var sa: ChildSA
        fileprivate(set) var state = ChildState.installed
        /// Whether outbound traffic goes through it.
        fileprivate(set) var sends: Bool
        /// The SA, by our number for it, whose outbound traffic this one takes over.
        fileprivate(set) var predecessor: UInt32?
        /// The time of a look whether the peer uses this SA, which waits for the place of another.
        fileprivate(set) var lookAt: Instant?
        /// The time at which it was installed; the looks get rarer with the time since then.
        fileprivate let addedAt: Instant
        /// The time at which a rekey is due; nil: never, or it was begun.
        fileprivate(set) var rekeyAt: Instant?
        /// The time at which a rekey was due by the times of the child, for listings: also when it was begun, or when
        /// the SA has to go.
        let plannedRekeyAt: Instant?
        /// Rekeys that came to nothing, one after the other.
        fileprivate(set) var failedRekeys = 0
        /// A limit wants the rekey, so it is tried again when it comes to nothing.
        fileprivate(set) var isDue = false
        /// The time at which it must be gone; nil: never.
        fileprivate(set) var expiresAt: Instant?

        /// A limit wants new keys, or will.
        var isToBeRekeyed: Bool {
            isDue || [sa.child.time, sa.child.bytes, sa.child.packets].contains { $0.rekey > 0 }
        }
    }

    private(set) var entries: [Entry] = []

    private func index(_ id: UInt32) -> Int? { entries.firstIndex { $0.sa.id == id } }

    /// The state of a child follows the table of transitions; an event that it has no row for changes nothing.
    private mutating func happened(_ event: ChildEvent, to index: Int) {
        if let next = entries[index].state.after(event) { entries[index].state = next }
    }
}

// MARK: - Coming

extension ChildTable {
    /// Both directions of the first SA for these selectors: inbound before the answer, outbound after it, so that a peer
    /// that installs on receipt of the answer does not miss packets. `isAnswer`: the peer asked for it, and does not have
    /// it yet.
    mutating func install(_ sa: ChildSA, isAnswer: Bool, _ step: inout Step) {
        add(sa, sends: true, &step)
        step.actAfterAnswer(isAnswer ? .installOutboundWhenUsed(sa) : .installOutbound(sa))
        step.reportAfterAnswer(.childUp(sa))
    }

    /// Inbound alone is installed; the times of the child begin.
    private mutating func add(_ sa: ChildSA, sends: Bool, replacing predecessor: UInt32? = nil, _ step: inout Step) {
        step.act(.installInbound(sa))
        let time = sa.child.time
        // A margin as large as the time itself would rekey without end.
        let margin = step.environment.random(below: .seconds(min(time.random, max(time.rekey, 1) - 1)))
        let rekeyAt = time.rekey == 0 ? nil : step.now + .seconds(time.rekey) - margin
        entries.append(
            Entry(
                sa: sa, sends: sends, predecessor: predecessor,
                lookAt: predecessor == nil ? nil : step.now + Self.firstLook, addedAt: step.now,
                rekeyAt: rekeyAt, plannedRekeyAt: rekeyAt,
                expiresAt: time.life == 0 ? nil : step.now + .seconds(time.life)))
        sa.logKeys(to: step.environment)
    }
}

// MARK: - Our rekey

extension ChildTable {
    /// Our request for a successor goes out.
    mutating func rekeyBegan(_ id: UInt32) {
        guard let index = index(id) else { return }
        happened(.rekeyBegan, to: index)
        entries[index].rekeyAt = nil
    }

    /// The peer refuses it, and it may be tried again at once.
    mutating func rekeyRefused(_ id: UInt32) {
        if let index = index(id) { happened(.rekeyRefused, to: index) }
    }

    /// Notes that the rekey came to nothing. The child carries on until its hard limit, and before that it is tried
    ///
    ///     1. to rekey it once more, by a CREATE_CHILD_SA without REKEY_SA: some peers refuse only the former
    ///     2. to bring it up in a new IKE SA, whose first CHILD_SA needs no key exchange of its own
    ///     3. the same again, ever more rarely
    ///
    /// Only a child that nobody misses ends without a successor: nothing went through it, and nothing says that it is to
    /// start.
    mutating func rekeyFailed(_ id: UInt32, _ explanation: Explanation, _ step: inout Step) {
        guard let index = index(id) else { return }
        let name = entries[index].sa.child.name
        step.note(.warning, "child \(name) could not be rekeyed: \(explanation)")
        happened(.rekeyRefused, to: index)
        guard entries[index].isToBeRekeyed else { return }
        entries[index].failedRekeys += 1
        let failures = entries[index].failedRekeys
        entries[index].rekeyAt = RekeyTimes.retry(failures, before: entries[index].expiresAt, step)
        if failures.isMultiple(of: 2), step.environment.isWanted(entries[index].sa) {
            step.act(.successorWanted(children: [name]))
        }
    }

    /// A limit wants the rekey.
    mutating func rekeyIsDue(_ id: UInt32) {
        if let index = index(id) { entries[index].isDue = true }
    }

    /// The answer to our rekey has come. Without a collision, or when the peer's exchange is the one to be undone: the new
    /// SA sends from now on, and we delete the old one. Else our new SA is redundant and we delete that; the peer, who
    /// made the other, deletes the old one.
    /// - Parameters:
    ///   - rival: the SA that a rekey of the peer made meanwhile.
    ///   - isUndone: of two rekeys at once ours is the one that goes.
    /// - Returns: the SA that we delete; nil: the peer has deleted it already.
    mutating func rekeyed(
        _ old: ChildSA, by new: ChildSA, rival: UInt32?, isUndone: Bool, _ step: inout Step
    ) -> DeleteChildExchange? {
        let other = rival.flatMap(index)
        add(new, sends: false, &step)
        let place = entries.count - 1
        if other != nil, isUndone {
            collisionLost(place, &step)
            return DeleteChildExchange(childID: new.id, reason: "redundant")
        }
        if let other { collisionLost(other, &step) }
        step.act(.installOutbound(new))
        entries[place].sends = true
        guard let index = index(old.id) else {
            // The peer has deleted it meanwhile, and that was reported.
            step.report(.childUp(new))
            return nil
        }
        replaced(index)
        stopSending(index, &step)
        step.report(.childRekeyed(old: old, new: new))
        return DeleteChildExchange(childID: old.id, reason: "rekeyed")
    }

    /// Leaves an SA to receive what is under way.
    private mutating func replaced(_ index: Int, _ event: ChildEvent = .replaced) {
        happened(event, to: index)
        entries[index].rekeyAt = nil
    }

    /// Lets the SA of the other one of two rekeys at once stay: the initiator of this one deletes it (section 2.8.1).
    /// If that was the peer, and it does not, we do.
    private mutating func collisionLost(_ index: Int, _ step: inout Step) {
        replaced(index, .collisionLost)
        entries[index].predecessor = nil
        entries[index].lookAt = nil
        endAfterGrace(index, &step)
    }
}

// MARK: - The peer's rekey

extension ChildTable {
    /// The peer has made a successor, which waits for the place of the old one.
    mutating func rekeyedByPeer(_ old: UInt32, by new: ChildSA, _ step: inout Step) {
        add(new, sends: false, replacing: old, &step)
        guard let index = index(old) else { return }
        replaced(index)
        // The peer deletes the old one. If it does not, we do.
        endAfterGrace(index, &step)
    }

    /// The peer uses the SA that it has made: it is prepared to receive in it too (section 2.8, case 1), whether or not it
    /// ever deletes the old one. While a rekey of ours may still undo it, nothing is decided. Looks get rarer, down to one
    /// a second.
    /// - Parameter ours: the child that our own rekey under way is for.
    mutating func look(_ id: UInt32, underRekey ours: UInt32?, _ step: inout Step) {
        guard let index = index(id), let lookAt = entries[index].lookAt, step.now >= lookAt else { return }
        entries[index].lookAt = nil
        guard let oldID = entries[index].predecessor, let old = self.index(oldID) else { return }
        let isUsed = step.environment.usage(of: entries[index].sa).map { $0.inboundPackets > 0 } ?? false
        guard isUsed, ours != oldID else {
            let waited = step.now - entries[index].addedAt
            let pause = min(max(waited / 8, Self.firstLook), .seconds(1))
            entries[index].lookAt = step.now + pause
            return
        }
        promoteSuccessor(of: entries[old].sa, &step)
        stopSending(old, &step)
    }

    /// The time until it is first looked whether the peer uses a new SA.
    private static let firstLook = Duration.milliseconds(10)

    /// An SA is about to go: the one that waits for its place sends from now on.
    private mutating func promoteSuccessor(of old: ChildSA, _ step: inout Step) {
        guard let index = entries.firstIndex(where: { $0.predecessor == old.id }) else { return }
        let new = entries[index].sa
        entries[index].predecessor = nil
        entries[index].lookAt = nil
        entries[index].sends = true
        step.act(.installOutbound(new))
        // It may be gone before that is reported.
        if let index = self.index(old.id) {
            step.act(.departing(ChildSAStatus(entries[index], usage: step.environment.usage(of: old))))
        }
        step.report(.childRekeyed(old: old, new: new))
    }

    /// An SA goes before its predecessor did, which therefore stays.
    private mutating func successorLost(_ id: UInt32, underRekey ours: UInt32?, _ step: inout Step) {
        guard let index = index(id) else { return }
        let sa = entries[index].sa
        let life = sa.child.time.life
        entries[index].expiresAt = life == 0 ? nil : sa.establishedAt + .seconds(life)
        if ours == id { return happened(.successorLostMeanwhile, to: index) }
        happened(.successorLost, to: index)
        if entries[index].isToBeRekeyed {
            entries[index].rekeyAt = RekeyTimes.retry(1, before: entries[index].expiresAt, step)
        }
    }
}

// MARK: - Going

extension ChildTable {
    /// Our Delete goes out: nothing may be sent in an SA that the peer is about to delete.
    mutating func deletionBegan(_ id: UInt32, _ step: inout Step) {
        guard let index = index(id) else { return }
        promoteSuccessor(of: entries[index].sa, &step)
        stopSending(index, &step)
        happened(.deletionBegan, to: index)
        entries[index].rekeyAt = nil
    }

    /// The peer has answered our Delete.
    mutating func drained(_ id: UInt32, reason: String, underRekey ours: UInt32?, _ step: inout Step) {
        guard let index = index(id) else { return }
        // The peer's last packets of a rekeyed SA may still be under way.
        let atOnce = entries[index].state != .rekeyed
        remove(index, .drained, reason: reason, atOnce: atOnce, underRekey: ours, &step)
    }

    /// The peer deletes it; what waits for its place sends from now on.
    mutating func deletedByPeer(_ id: UInt32, underRekey ours: UInt32?, _ step: inout Step) {
        guard let index = index(id) else { return }
        let atOnce = entries[index].state != .rekeyed
        promoteSuccessor(of: entries[index].sa, &step)
        remove(index, .deletedByPeer, reason: "deleted by the peer", atOnce: atOnce, underRekey: ours, &step)
    }

    /// The peer knows no such SA. `isReported`: nothing takes its place.
    mutating func unknownToPeer(_ id: UInt32, isReported: Bool, underRekey ours: UInt32?, _ step: inout Step) {
        guard let index = index(id) else { return }
        remove(
            index, .unknownToPeer, reason: "unknown to the peer", atOnce: true, isReported: isReported,
            underRekey: ours, &step)
    }

    /// The IKE SA ends. The latest first: an SA that waits for the place of another gives it back, and the end of that one
    /// is reported.
    mutating func sessionEnded(reason: String, atOnce: Bool, _ step: inout Step) {
        while !entries.isEmpty {
            remove(entries.count - 1, .sessionEnded, reason: reason, atOnce: atOnce, underRekey: nil, &step)
        }
    }

    /// Takes both directions of an SA down. `atOnce`: no packet is under way in it that anybody misses.
    private mutating func remove(
        _ index: Int, _ event: ChildEvent, reason: String, atOnce: Bool, isReported: Bool = true,
        underRekey ours: UInt32?, _ step: inout Step
    ) {
        var entry = entries.remove(at: index)
        let wasRekeyed = entry.state == .rekeyed
        // With the IKE SA it goes as it was.
        if step.closing == nil, let next = entry.state.after(event) { entry.state = next }
        step.act(.departing(ChildSAStatus(entry, usage: step.environment.usage(of: entry.sa))))
        if entry.sends { step.act(.removeOutbound(entry.sa)) }
        step.act(.removeInbound(entry.sa, atOnce: atOnce))
        if let predecessor = entry.predecessor {
            // It never came to its place, so nobody heard of it.
            successorLost(predecessor, underRekey: ours, &step)
        } else if !wasRekeyed, isReported {
            step.report(.childDown(entry.sa, reason: reason))
        }
    }

    private mutating func stopSending(_ index: Int, _ step: inout Step) {
        if entries[index].sends { step.act(.removeOutbound(entries[index].sa)) }
        entries[index].sends = false
    }

    /// No outbound traffic in any child any more, and no rekey by itself.
    mutating func stopSending(_ step: inout Step) {
        for index in entries.indices {
            stopSending(index, &step)
            entries[index].rekeyAt = nil
        }
    }

    /// All go to the IKE SA that takes over.
    mutating func handOver(to heir: inout ChildTable) {
        heir.entries += entries
        entries = []
    }

    /// The peer, or its NAT's mapping, is elsewhere.
    mutating func move(to path: Path, _ step: inout Step) {
        for index in entries.indices {
            let sa = entries[index].sa
            step.act(.move(sa, to: path, isEncapsulated: sa.isEncapsulated))
            entries[index].sa.path = path
        }
    }
}

// MARK: - Times

extension ChildTable {
    /// The time at which something is due.
    var nextDeadline: Instant? {
        var deadline: Instant?
        for entry in entries {
            let next = min(entry.rekeyAt ?? .never, entry.expiresAt ?? .never, entry.lookAt ?? .never)
            if next < .never { deadline = min(deadline ?? next, next) }
        }
        return deadline
    }

    /// Whether a hard limit of time is reached; it is said once.
    mutating func takeExpiry(_ id: UInt32, at now: Instant) -> Bool {
        guard let index = index(id), let time = entries[index].expiresAt, now >= time else { return false }
        entries[index].expiresAt = nil
        return true
    }

    /// Whether a rekey is due by time; it is said once.
    mutating func takeRekey(_ id: UInt32, at now: Instant) -> Bool {
        guard let index = index(id), let time = entries[index].rekeyAt, now >= time else { return false }
        entries[index].rekeyAt = nil
        return true
    }

    /// Lets us delete it unless the peer does it in time.
    private mutating func endAfterGrace(_ index: Int, _ step: inout Step) {
        let end = step.now + RekeyTimes.grace(step.settings)
        entries[index].expiresAt = min(entries[index].expiresAt ?? end, end)
    }
}

// MARK: - Questions

extension ChildTable {
    /// The entry by our number for it.
    subscript(id: UInt32) -> Entry? { entries.first { $0.sa.id == id } }

    /// The entry by the SPI that the peer names in REKEY_SA and Delete: its inbound one, ours outbound.
    func entry(peerSPI: SPI) -> Entry? { entries.first { $0.sa.outboundSPI == peerSPI } }

    var count: Int { entries.count }

    /// Pairs of traffic selectors in all.
    var selectorCount: Int { entries.reduce(0) { $0 + $1.sa.selectors.count } }

    var all: [ChildSA] { entries.map(\.sa) }

    /// The children of whose end there will be a report: not what was replaced and goes by itself, nor what still waits
    /// for the place of another.
    var reported: [ChildSA] {
        entries.filter { entry in
            if entry.predecessor != nil { return false }
            return entry.state != .rekeyed || entries.contains { $0.predecessor == entry.sa.id }
        }.map(\.sa)
    }

    /// Whether another SA of the same child is there and stays, for all packets or for that of `hint`.
    func has(
        _ name: String, besides id: UInt32, covering hint: TrafficSelector?, unless willGo: (UInt32) -> Bool
    ) -> Bool {
        entries.contains { entry in
            entry.sa.child.name == name && entry.sa.id != id && !willGo(entry.sa.id) && entry.state.isCurrent
                && (hint.map { packet in entry.sa.selectors.contains { $0.contains(packet) } } ?? true)
        }
    }

    /// The time at which ESP of the peer last came; nil: never.
    func lastInbound(_ environment: any SessionEnvironment) -> Instant? {
        entries.compactMap { environment.usage(of: $0.sa)?.lastInbound }.max()
    }
}
