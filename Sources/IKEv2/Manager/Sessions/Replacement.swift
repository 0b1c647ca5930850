import Packets

/// The state of the replacement of an IKE SA by another one with the same children, as the two of them know it.
struct Replacement {
    /// The session that this one takes over from, once all its children are there (reauthentication).
    var predecessor: UInt32?
    /// The session that is negotiated to take over from this one, or was by the last try.
    var successor: UInt32?
    /// Its successor is wanted, and the attempt is not over.
    private(set) var isUnderWay = false
    /// The time of the doubt if it was silent then, and its successor is negotiated for that.
    private(set) var lostAt: Instant?
    /// Names of children to which the peer refuses new keys: a successor of the whole session is wanted for them.
    private(set) var refused: Set<String> = []
    /// The time at which it ends because another one took its place (`unique = replace`); nil: it does not.
    var supersededAt: Instant?
    /// Successors that did not come up, one after the other.
    private var failures = 0

    /// - Parameter lostAt: since when the peer is silent, if that is the reason.
    mutating func begin(lostAt: Instant? = nil) {
        isUnderWay = true
        self.lostAt = lostAt ?? self.lostAt
    }

    /// The successor did not come up. True: it was for the peer's silence.
    mutating func end() -> Bool {
        isUnderWay = false
        defer { lostAt = nil }
        return lostAt != nil
    }

    mutating func refuse(_ names: [String]) { refused.formUnion(names) }

    /// The child has new keys, or a new SA.
    mutating func renewed(_ name: String) { refused.remove(name) }

    /// Seconds until the next attempt: half a minute, a minute, … up to five minutes.
    mutating func nextPause() -> UInt64 {
        let pause = min(UInt64(30) << UInt64(min(failures, 4)), 300)
        failures += 1
        return pause
    }

    /// The IKE SA was rekeyed: what takes its place, or has its place taken, now means the new one.
    mutating func handOver() -> Replacement {
        var new = self
        new.lostAt = nil
        predecessor = nil
        return new
    }
}

/// The times of replacements, and which IKE SA has taken the place of which.
final class Replacements {
    private let context: ManagerContext
    private let table: SessionTable
    private let installer: ChildInstaller

    init(context: ManagerContext, table: SessionTable, installer: ChildInstaller) {
        self.context = context
        self.table = table
        self.installer = installer
    }

    /// For an IKE SA that was established, or rekeyed.
    func schedule(_ record: SessionRecord) {
        if let time = record.session.reauthenticateAt { context.wake(.reauthenticate(record.id), at: time) }
    }

    /// Another IKE SA has its place from then on.
    func supersede(_ record: SessionRecord, at time: Instant) {
        record.replacement.supersededAt = time
        context.wake(.supersede(record.id), at: time)
    }

    /// The successor did not come up: another one is tried as long as the old IKE SA lives. One that was wanted because the
    /// peer was silent was for that alone.
    func failed(_ predecessor: UInt32) {
        guard let old = table[predecessor], old.replacement.isUnderWay else { return }
        if !old.replacement.end() { putOff(old) }
    }

    /// Tries again later.
    func putOff(_ record: SessionRecord) {
        guard table[record.id] === record, !record.isUnwanted, !record.replacement.isUnderWay,
            !context.isShuttingDown, record.session.reauthenticateAt != nil || !record.replacement.refused.isEmpty
        else { return }
        context.wake(.reauthenticate(record.id), at: context.after(seconds: record.replacement.nextPause()))
    }

    /// Whether the successor came for the silence of an IKE SA, and that has lasted.
    func isLost(_ record: SessionRecord) -> Bool {
        record.replacement.lostAt.map { !installer.isHeard(record, since: $0) } ?? false
    }

    /// The peer was faster: a later IKE SA has all children, and this one is about to be deleted.
    func hasSuccessor(_ record: SessionRecord) -> Bool {
        guard let identities = record.identities, let connection = record.session.connection else { return false }
        let names = Set(record.session.currentChildren.map(\.child.name)).union(record.replacement.refused)
        return table.sessions(between: identities).contains { other in
            other.id > record.id && other.isEstablished && !other.isUnwanted
                && other.session.connection?.name == connection.name
                && names.isSubset(of: installer.liveChildren(of: other).map(\.child.name))
        }
    }

    /// Names of children that an IKE SA has, or will have, and that its successor was not asked for.
    func latecomers(of old: SessionRecord, in successor: SessionRecord) -> [String] {
        let live = installer.liveChildren(of: old).filter { !old.unwantedChildren.contains($0.id) }
            .map(\.child.name)
        let known = successor.asked.all.union(
            installer.liveChildren(of: successor).map(\.child.name))
        return Set(live).union(old.asked.awaited).subtracting(known).sorted()
    }

    /// Both ends replaced the IKE SA at once, and both successors have all children: the same one goes at both ends. A little
    /// later, so that the peer has its own ready.
    func settleCrossing(_ record: SessionRecord) {
        guard let identities = record.identities, let connection = record.session.connection,
            connection.unique != .never
        else { return }
        for other in table.sessions(between: identities) where other !== record {
            guard other.isEstablished, !other.isUnwanted, other.session.role == .responder,
                other.session.connection?.name == connection.name, other.establishedAt ?? 0 >= record.beganAt
            else { continue }
            let isOurs = record.session.initiatorSPI < other.session.initiatorSPI
            supersede(isOurs ? record : other, at: context.after(seconds: 10))
        }
    }

    /// A rekey of the IKE SA: the new one takes the part of the old one in replacements.
    func follow(_ old: SessionRecord, to new: SessionRecord) {
        new.replacement = old.replacement.handOver()
        if let successor = new.replacement.successor.flatMap({ table[$0] }),
            successor.replacement.predecessor == old.id
        {
            successor.replacement.predecessor = new.id
        }
        if let predecessor = new.replacement.predecessor.flatMap({ table[$0] }),
            predecessor.replacement.successor == old.id
        {
            predecessor.replacement.successor = new.id
        }
        if let time = new.replacement.supersededAt { supersede(new, at: time) }
    }
}
