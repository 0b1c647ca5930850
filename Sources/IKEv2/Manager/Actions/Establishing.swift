extension SessionManager {
    /// The peer has proved who it is.
    func established(_ record: SessionRecord, initialContact: Bool) {
        count.established += 1
        let identities = record.session.identities.map { IdentityPair(local: $0.local, remote: $0.remote) }
        // Who proved its identity to another connection is another peer, whatever it calls itself.
        let earlier = (identities.map(table.sessions(between:)) ?? []).filter {
            $0.session.connection?.name == record.session.connection?.name
        }
        table.setEstablished(record, between: identities)
        record.establishedAt = now
        if let connection = record.session.connection { backoffs.cameUp(connection.name, at: now) }
        beginKeepalives(record)
        beginReauthentication(record)
        afterwards { [self] in
            guard table[record.id] != nil, isCurrent(record) else { return }
            replaceEarlier(earlier, by: record, initialContact: initialContact)
            fulfil(record)
            settle(connection: record.session.connection?.name ?? "", child: nil, .success(()))
            finishReplacement(record)
        }
    }

    /// The configuration may have changed while the session was negotiated.
    private func isCurrent(_ record: SessionRecord) -> Bool {
        guard let used = record.session.connection else { return true }
        guard let loaded = connectionTable[used.name],
            ConnectionChange(from: used, to: loaded).extent != .everything
        else {
            end(record, .terminated)
            return false
        }
        if used != loaded { adopt(loaded, in: record) }
        return true
    }

    /// One IKE SA with a peer, if `unique` says so or the peer says that it has no other (RFC 7296 section 2.4).
    private func replaceEarlier(_ earlier: [SessionRecord], by record: SessionRecord, initialContact: Bool) {
        guard let unique = record.session.connection?.unique, unique != .never else { return }
        for old in earlier where table[old.id] != nil && old.id != record.predecessor && !old.isUnwanted {
            if let time = old.establishedAt, time >= record.beganAt {
                // Both sides began at once: no INITIAL_CONTACT can know of the other one, and both have to let go of the
                // same.
                guard unique == .replace else { continue }
                let isOldLess = old.session.initiatorSPI < record.session.initiatorSPI
                supersede(isOldLess ? old : record, at: after(seconds: 10))
            } else if initialContact {
                // The peer does not know it any more: no message would be answered.
                old.isUnwanted = true
                apply(old.session.abandon(.superseded, environment: self), of: old)
            } else if unique == .replace {
                // A peer that authenticates anew deletes the old one itself, when its successor has all children.
                let wait: UInt64 = old.session.path.remote.address == record.session.path.remote.address ? 10 : 0
                supersede(old, at: after(seconds: wait))
            }
        }
    }

    /// Another IKE SA has its place from then on.
    func supersede(_ record: SessionRecord, at time: UInt64) {
        record.supersededAt = time
        timers.add(.supersede(record.id), at: time)
    }

    /// The new IKE SA of a rekey.
    func replace(_ record: SessionRecord, by successor: Session) {
        let new = table[successor.id] ?? SessionRecord(successor)
        guard table[successor.id] != nil || table.add(new) else { return }
        let identities = record.identities
        table.setEstablished(new, between: identities)
        new.lastSentAt = now
        new.beganAt = record.beganAt
        new.establishedAt = record.establishedAt
        new.awaitedChildren = record.awaitedChildren
        record.awaitedChildren = []
        new.calls = record.calls
        record.calls = [:]
        new.unwantedChildren = record.unwantedChildren
        new.requested = record.requested.union(record.begunWith)
        followReplacements(of: record, by: new)
        let inherited = Set(successor.children.map(\.inboundSPI))
        new.installed = record.installed.filter(inherited.contains)
        record.installed.removeAll(where: inherited.contains)
        for spi in new.installed { children[spi]?.sessionID = new.id }
        for termination in terminations { termination.follow(record.id, to: new.id) }
        // What is to end is the IKE SA with the peer, whatever its SPIs.
        if record.isUnwanted { afterwards { [self] in end(new, .terminated) } }
        record.isUnwanted = true
        beginKeepalives(new)
        beginReauthentication(new)
        schedule(new)
    }

    /// What takes the place of an IKE SA, or has its place taken, now means the new one.
    private func followReplacements(of record: SessionRecord, by new: SessionRecord) {
        new.predecessor = record.predecessor
        record.predecessor = nil
        new.isBeingReplaced = record.isBeingReplaced
        new.unreplaced = record.unreplaced
        new.failedReplacements = record.failedReplacements
        for attempt in attempts.values where attempt.predecessor == record.id {
            attempt.predecessor = new.id
        }
        for other in table.sessions(of: record.filedUnder ?? "") where other.predecessor == record.id {
            other.predecessor = new.id
        }
        if let time = record.supersededAt { supersede(new, at: time) }
    }

    /// Two rekeys of one IKE SA crossed: the new one that may lose has to be found by its SPI, and no more.
    func accompany(_ record: SessionRecord, by companion: Session) {
        let new = SessionRecord(companion)
        guard table.add(new) else { return }
        new.lastSentAt = now
        schedule(new)
    }
}
