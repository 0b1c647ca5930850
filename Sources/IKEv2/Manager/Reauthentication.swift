// Reauthentication, make before break: a new IKE SA with the same children is negotiated beside the old one, which is
// deleted when they are there (RFC 7296 section 2.8.3).
extension SessionManager {
    func beginReauthentication(_ record: SessionRecord) {
        if let time = record.session.reauthenticateAt { timers.add(.reauthenticate(record.id), at: time) }
    }

    /// False: it cannot be, or it is being done.
    @discardableResult
    func reauthenticate(_ record: SessionRecord) -> Bool {
        guard record.isEstablished, !record.isUnwanted, !record.isBeingReplaced, !isShuttingDown,
            let connection = record.session.connection.flatMap({ connectionTable[$0.name] })
        else { return false }
        let remote = record.session.path.remote
        let key = Undertaking.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : remote)
        guard undertakings[key] == nil else { return false }
        record.isBeingReplaced = true
        var names: [String] = []
        for sa in record.session.children where !names.contains(sa.child.name) { names.append(sa.child.name) }
        begin(Undertaking(key, names.map { Undertaking.Wish($0) }, predecessor: record.id))
        return true
    }

    /// The successor did not come up: another one is tried as long as the old IKE SA lives.
    func leaveUnreplaced(_ predecessor: UInt32) {
        guard let old = table[predecessor], old.isBeingReplaced else { return }
        old.isBeingReplaced = false
        if giveUpReplacingLost(old) { return }
        if old.session.reauthenticateAt != nil { timers.add(.reauthenticate(predecessor), at: after(seconds: 30)) }
    }

    /// The successor has all that it will get: the old IKE SA goes.
    func finishReplacement(_ record: SessionRecord) {
        guard let predecessor = record.predecessor, record.isEstablished, record.awaitedChildren.isEmpty,
            table[record.id] != nil
        else { return }
        record.predecessor = nil
        guard let old = table[predecessor] else { return }
        if isLost(old) { drop(old) } else { end(old, .reauthenticated) }
    }
}
