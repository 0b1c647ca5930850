import Packets

/// New IKE SAs in the place of others: one that is authenticated anew, one whose peer refuses new keys for something in it,
/// one whose peer is silent, one whose address of ours is gone.
///
/// Make before break (RFC 7296 section 2.8.3): the new IKE SA with the same children is negotiated beside the old one, which
/// is deleted when they are there. When nothing comes of it the old one lives on.
final class Reauthentication {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let attempts: ConnectionAttempts
    private let replacements: Replacements
    private let driver: SessionDriver
    private let initiator: Initiator

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, installer: ChildInstaller,
        attempts: ConnectionAttempts, replacements: Replacements, driver: SessionDriver, initiator: Initiator
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.attempts = attempts
        self.replacements = replacements
        self.driver = driver
        self.initiator = initiator
    }

    // MARK: Reasons

    /// The time of a replacement has come. While another negotiation with the peer is under way it has to wait.
    func isDue(_ record: SessionRecord) {
        let isDue = record.session.reauthenticateAt.map { $0 <= context.now } ?? false
        guard isDue || !record.replacement.refused.isEmpty else { return }
        replaceOrPutOff(record)
    }

    /// The peer refuses new keys for these children, or for the whole IKE SA: what is wanted comes up in another one. The
    /// old one lives as long as its limits let it, and ends when the new one has all.
    func successorIsWanted(of record: SessionRecord, children names: [String]) {
        guard !context.isShuttingDown, !record.isUnwanted, let connection = connections.loaded(of: record) else {
            return
        }
        if table[record.id] === record { return replaceOrPutOff(record) }
        let missing = connection.negotiated.filter { names.contains($0.name) && !installer.isUp(connection, $0) }
        if missing.isEmpty { return }
        initiator.bringUp(
            connection, missing.map { ConnectionAttempt.Wish($0.name) }, towards: record.session.path.remote,
            isStanding: true, isEndless: true)
    }

    private func replaceOrPutOff(_ record: SessionRecord) {
        if replacements.hasSuccessor(record) || !reauthenticate(record) { replacements.putOff(record) }
    }

    /// False: it cannot be, or it is being done.
    @discardableResult
    func reauthenticate(_ record: SessionRecord) -> Bool {
        guard record.isEstablished, !record.isUnwanted else { return false }
        var names = Self.children(of: record)
        names += record.replacement.refused.subtracting(names).sorted()
        return replace(record, names: names)
    }

    /// The peer does not answer: its IKE SA and the children are negotiated anew.
    func replaceSilent(_ record: SessionRecord, since: Instant) {
        guard !record.replacement.isUnderWay, !context.isShuttingDown,
            let connection = connections.loaded(of: record)
        else { return }
        if attempts[key(of: record, connection)] != nil { return initiator.nudge(connection) }
        context.note(
            .info, "the peer does not answer, and may have lost the IKE SA: a new one is negotiated",
            connection: connection.name)
        _ = replace(record, names: Self.children(of: record), lostAt: since)
    }

    /// The host has lost addresses: without MOBIKE an IKE SA cannot leave the one that it has, and the dataplane sends nothing
    /// from it any more. Where there is another address towards the peer the IKE SA and its children are negotiated anew from
    /// there at once; the peer hears by INITIAL_CONTACT that the old ones are gone. Without another one they wait: the address
    /// may come back.
    /// - Parameter addresses: all that the host has now.
    func replaceLostAddresses(_ addresses: Set<IPAddress>) {
        for record in table.established(awayFrom: addresses) where !record.isUnwanted {
            let path = record.session.path
            guard !context.isShuttingDown, let connection = connections.loaded(of: record),
                let next = connections.localAddress(of: connection, towards: path.remote.address),
                addresses.contains(next)
            else { continue }
            context.note(
                .info,
                "\(path.local.address) is no longer an address of this host: the tunnels are set up from \(next)",
                connection: connection.name)
            let wishes = Self.children(of: record).map { ConnectionAttempt.Wish($0) }
            driver.drop(record)
            initiator.bringUp(connection, wishes, towards: path.remote, isStanding: true, isEndless: true)
        }
    }

    // MARK: Make

    private func replace(_ record: SessionRecord, names: [String], lostAt: Instant? = nil) -> Bool {
        guard !record.replacement.isUnderWay, !context.isShuttingDown,
            let connection = connections.loaded(of: record)
        else { return false }
        let key = key(of: record, connection)
        guard attempts[key] == nil else { return false }
        record.replacement.begin(lostAt: lostAt)
        initiator.begin(
            ConnectionAttempt(key, names.map { ConnectionAttempt.Wish($0) }, predecessor: record.id))
        return true
    }

    private func key(of record: SessionRecord, _ connection: Connection) -> ConnectionAttempt.Key {
        ConnectionAttempt.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : record.session.path.remote)
    }

    /// Names of all children that an IKE SA has.
    private static func children(of record: SessionRecord) -> [String] {
        var names: [String] = []
        for sa in record.session.children where !names.contains(sa.child.name) { names.append(sa.child.name) }
        return names
    }

    // MARK: Before break

    /// The successor has all that it will get: the old IKE SA goes. Children that came up in that meanwhile follow first.
    func finish(_ record: SessionRecord) {
        guard let predecessor = record.replacement.predecessor, record.isEstablished,
            record.asked.awaited.isEmpty, table[record.id] != nil
        else { return }
        if let old = table[predecessor] {
            let latecomers = replacements.latecomers(of: old, in: record)
            initiator.ask(latecomers.map { ConnectionAttempt.Wish($0) }, in: record)
            guard record.asked.awaited.isEmpty else { return }
        }
        record.replacement.predecessor = nil
        if let old = table[predecessor] {
            if replacements.isLost(old) { driver.drop(old) } else { driver.end(old, .reauthenticated) }
        }
        replacements.settleCrossing(record)
    }

    /// A silent IKE SA is over before its successor is there. That goes on only if something else wants it by now, as
    /// `dpd_action = restart` does.
    func closed(_ old: SessionRecord, _ reason: CloseReason) {
        guard old.replacement.lostAt != nil,
            let attempt = attempts.all(of: old.filedUnder ?? "").first(where: { $0.predecessor == old.id }),
            !attempt.isStanding, !attempt.isOwedTry
        else { return }
        if let record = attempt.sessionID.flatMap({ table[$0] }), record.attempt === attempt {
            driver.end(record, reason)
        } else {
            attempts.giveUp(attempt, reason.explanation)
        }
    }

    // MARK: One IKE SA with a peer

    /// An IKE SA was established: if `unique` says so, or the peer says that it has no other (RFC 7296 section 2.4), it is
    /// the only one with its peer.
    /// - Parameter earlier: those that there were before.
    func replaceEarlier(_ earlier: [SessionRecord], by record: SessionRecord, initialContact: Bool) {
        guard let unique = record.session.connection?.unique, unique != .never else { return }
        for old in earlier
        where table[old.id] != nil && old.id != record.replacement.predecessor && !old.isUnwanted {
            if let time = old.establishedAt, time >= record.beganAt {
                // Both sides began at once: no INITIAL_CONTACT can know of the other one, and both have to let go of the
                // same.
                guard unique == .replace else { continue }
                let isOldLess = old.session.initiatorSPI < record.session.initiatorSPI
                replacements.supersede(isOldLess ? old : record, at: context.after(seconds: 10))
            } else if initialContact {
                // The peer does not know it any more: no message would be answered.
                driver.drop(old)
            } else if unique == .replace {
                // A peer that authenticates anew deletes the old one itself, when its successor has all children.
                let wait: UInt64 = old.session.path.remote.address == record.session.path.remote.address ? 10 : 0
                replacements.supersede(old, at: context.after(seconds: wait))
            }
        }
    }
}
