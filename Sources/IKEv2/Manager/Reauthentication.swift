// Reauthentication, make before break: a new IKE SA with the same children is negotiated beside the old one, which is
// deleted when they are there (RFC 7296 section 2.8.3). So is an IKE SA whose peer refuses new keys for something in it.
extension SessionManager {
    func beginReauthentication(_ record: SessionRecord) {
        if let time = record.session.reauthenticateAt { timers.add(.reauthenticate(record.id), at: time) }
    }

    /// The time of a replacement has come. While another negotiation with the peer is under way it has to wait.
    func reauthenticationIsDue(_ record: SessionRecord) {
        let isDue = record.session.reauthenticateAt.map { $0 <= now } ?? false
        guard isDue || !record.unreplaced.isEmpty else { return }
        if hasSuccessor(record) || !reauthenticate(record) { putReplacementOff(record) }
    }

    /// The peer was faster: a later IKE SA has all children, and this one is about to be deleted.
    private func hasSuccessor(_ record: SessionRecord) -> Bool {
        guard let identities = record.identities, let connection = record.session.connection else { return false }
        let names = Set(record.session.currentChildren.map(\.child.name)).union(record.unreplaced)
        return table.sessions(between: identities).contains { other in
            other.id > record.id && other.isEstablished && !other.isUnwanted
                && other.session.connection?.name == connection.name
                && names.isSubset(of: liveChildren(of: other).map(\.child.name))
        }
    }

    /// False: it cannot be, or it is being done.
    @discardableResult
    func reauthenticate(_ record: SessionRecord) -> Bool {
        guard record.isEstablished, !record.isUnwanted, !record.isBeingReplaced, !isShuttingDown,
            let connection = record.session.connection.flatMap({ connectionTable[$0.name] })
        else { return false }
        let remote = record.session.path.remote
        let key = ConnectionAttempt.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : remote)
        guard attempts[key] == nil else { return false }
        record.isBeingReplaced = true
        var names: [String] = []
        for sa in record.session.children where !names.contains(sa.child.name) { names.append(sa.child.name) }
        names += record.unreplaced.subtracting(names).sorted()
        begin(ConnectionAttempt(key, names.map { ConnectionAttempt.Wish($0) }, predecessor: record.id))
        return true
    }

    /// The successor did not come up: another one is tried as long as the old IKE SA lives.
    func leaveUnreplaced(_ predecessor: UInt32) {
        guard let old = table[predecessor], old.isBeingReplaced else { return }
        old.isBeingReplaced = false
        if giveUpReplacingLost(old) { return }
        putReplacementOff(old)
    }

    /// Tries again in half a minute, a minute, … up to five minutes.
    private func putReplacementOff(_ record: SessionRecord) {
        guard table[record.id] === record, !record.isUnwanted, !record.isBeingReplaced, !isShuttingDown else { return }
        guard record.session.reauthenticateAt != nil || !record.unreplaced.isEmpty else { return }
        let pause = min(UInt64(30) << UInt64(min(record.failedReplacements, 4)), 300)
        record.failedReplacements += 1
        timers.add(.reauthenticate(record.id), at: after(seconds: pause))
    }

    /// The successor has all that it will get: the old IKE SA goes. Children that came up in that meanwhile follow first.
    func finishReplacement(_ record: SessionRecord) {
        guard let predecessor = record.predecessor, record.isEstablished, record.awaitedChildren.isEmpty,
            table[record.id] != nil
        else { return }
        if let old = table[predecessor] {
            ask(latecomers(of: old, in: record).map { ConnectionAttempt.Wish($0) }, in: record)
            guard record.awaitedChildren.isEmpty else { return }
        }
        record.predecessor = nil
        if let old = table[predecessor] {
            if isLost(old) { drop(old) } else { end(old, .reauthenticated) }
        }
        settleCrossing(record)
    }

    /// Both ends replaced the IKE SA at once, and both successors have all children: the same one goes at both ends. A little
    /// later, so that the peer has its own ready.
    private func settleCrossing(_ record: SessionRecord) {
        guard let identities = record.identities, let connection = record.session.connection,
            connection.unique != .never
        else { return }
        for other in table.sessions(between: identities) where other !== record {
            guard other.isEstablished, !other.isUnwanted, other.session.role == .responder,
                other.session.connection?.name == connection.name, other.establishedAt ?? 0 >= record.beganAt
            else { continue }
            let isOurs = record.session.initiatorSPI < other.session.initiatorSPI
            supersede(isOurs ? record : other, at: after(seconds: 10))
        }
    }

    /// Names of children that an IKE SA has, or will have, and that its successor was not asked for.
    private func latecomers(of old: SessionRecord, in successor: SessionRecord) -> [String] {
        let live = liveChildren(of: old).filter { !old.unwantedChildren.contains($0.id) }.map(\.child.name)
        let known = successor.begunWith.union(successor.requested).union(
            liveChildren(of: successor).map(\.child.name))
        return Set(live).union(old.awaitedChildren).subtracting(known).sorted()
    }

    /// The peer refuses new keys for these children, or for the whole IKE SA: what is wanted comes up in another one. The
    /// old one lives as long as its limits let it, and ends when the new one has all.
    func succeed(_ record: SessionRecord, children names: [String]) {
        record.unreplaced.formUnion(names)
        afterwards { [self] in
            guard !isShuttingDown, !record.isUnwanted,
                let connection = record.session.connection.flatMap({ connectionTable[$0.name] })
            else { return }
            if table[record.id] === record {
                if hasSuccessor(record) || !reauthenticate(record) { putReplacementOff(record) }
                return
            }
            let missing = connection.negotiated.filter { names.contains($0.name) && !isUp(connection, $0) }
            if missing.isEmpty { return }
            bringUp(
                connection, missing.map { ConnectionAttempt.Wish($0.name) }, towards: record.session.path.remote,
                isStanding: true, isEndless: true)
        }
    }
}
