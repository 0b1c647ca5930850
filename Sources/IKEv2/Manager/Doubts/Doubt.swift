/// A peer that may have lost an IKE SA: how far it has been asked.
struct Doubt {
    /// When it began, nanoseconds.
    var since: UInt64
    /// Repetitions of the question so far.
    var repetitions = 0
    /// Something said, without proof, that the question was not understood.
    var isRefused = false

    /// Milliseconds to wait after the question and after each repetition: who has the SA answers within that time, unless
    /// the way is bad.
    static let waits: [UInt64] = [200, 300, 400]
    /// The same in all when the question is refused: who has the SA answers in spite of whoever says so.
    static let waitWhenRefused: UInt64 = 300

    /// Whether the peer has had its time, nanoseconds.
    func isOver(at now: UInt64) -> Bool {
        repetitions + 1 >= Self.waits.count || isRefused && now >= refusalCountsAt
    }

    /// When a refusal is acted on.
    var refusalCountsAt: UInt64 { since.addingWithoutOverflow(Self.waitWhenRefused * 1_000_000) }
}

// Whether a peer still has an IKE SA, found out within a second (RFC 7296 section 2.4). What gives reason to ask can be
// made up by anybody, so it is never believed itself: an answer, or anything else that only the peer can send, ends the
// doubt. Without one the IKE SA is negotiated anew beside the old one, which goes when the new one is there. When it was
// the way that was bad, nothing comes of that, and the old one lives on.
extension SessionManager {
    /// Seconds before a peer that has answered is doubted again.
    private static let trustInSeconds: UInt64 = 10
    /// The same after its packets have come and stayed away once more.
    private static let shortTrustInSeconds: UInt64 = 2
    /// Packets of one way alone are a reason to ask where silence is one soon: this is the longest `dpd_delay`, in seconds.
    private static let longestDelay: UInt64 = 60

    /// Something that anybody could have made up says that the peer does not know the IKE SA.
    func doubt(_ record: SessionRecord) {
        guard record.isEstablished, !record.isUnwanted, !record.isBeingReplaced, record.doubt == nil, !isShuttingDown,
            now >= record.trustedUntil, doubts.allow(now: now)
        else { return }
        count.peersDoubted += 1
        record.doubt = Doubt(since: now)
        let isAsked = record.session.window.outstanding != nil
        if isAsked {
            apply(record.session.repeatEarly(environment: self), of: record)
        } else {
            apply(record.session.probe(environment: self), of: record)
        }
        timers.add(.doubt(record.id), at: now.addingWithoutOverflow(Doubt.waits[0] * 1_000_000))
    }

    /// The question was answered without protection by INVALID_IKE_SPI: it is asked once more, and not for as long.
    func shortenDoubt(_ record: SessionRecord) {
        guard let doubt = record.doubt, !doubt.isRefused else { return }
        record.doubt?.isRefused = true
        apply(record.session.repeatEarly(environment: self), of: record)
        timers.add(.doubt(record.id), at: max(doubt.refusalCountsAt, now))
    }

    /// We send, and nothing comes back. Of peers whose silence is to be noticed that is asked after (RFC 7296 section 2.4:
    /// "it is essential to confirm liveness").
    func doubtUnanswered(_ record: SessionRecord) {
        guard let delay = record.session.connection?.dpdDelay, 1...Self.longestDelay ~= delay else { return }
        let recently = now - min(now, 500_000_000)
        let lastInbound = lastInbound(of: record)
        if max(record.session.lastHeardAt, lastInbound) > recently { return }
        let trusted = record.trustedUntil
        if trusted > now, lastInbound > trusted - min(trusted, .seconds(Self.trustInSeconds)) {
            record.trustedUntil = min(trusted, lastInbound.addingWithoutOverflow(.seconds(Self.shortTrustInSeconds)))
        }
        doubt(record)
    }

    func lookAtDoubt(_ record: SessionRecord) {
        guard var doubt = record.doubt else { return }
        if record.isUnwanted || isHeard(record, since: doubt.since) {
            record.doubt = nil
            record.trustedUntil = after(seconds: Self.trustInSeconds)
            return
        }
        guard !doubt.isOver(at: now) else {
            record.doubt = nil
            record.trustedUntil = after(seconds: Self.trustInSeconds)
            return replaceSilent(record, since: doubt.since)
        }
        doubt.repetitions += 1
        record.doubt = doubt
        apply(record.session.repeatEarly(environment: self), of: record)
        timers.add(.doubt(record.id), at: now.addingWithoutOverflow(Doubt.waits[doubt.repetitions] * 1_000_000))
    }

    // MARK: The successor

    /// Negotiates the IKE SA and its children anew, beside the old one.
    private func replaceSilent(_ record: SessionRecord, since: UInt64) {
        guard !record.isBeingReplaced, !isShuttingDown,
            let connection = record.session.connection.flatMap({ connectionTable[$0.name] })
        else { return }
        let key = ConnectionAttempt.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : record.session.path.remote)
        guard attempts[key] == nil else { return nudge(connection) }
        record.isBeingReplaced = true
        record.lostAt = since
        note(
            .info, "the peer does not answer, and may have lost the IKE SA: a new one is negotiated",
            connection: key.connection)
        begin(ConnectionAttempt(key, wishes(for: record), predecessor: record.id))
    }

    /// All children that an IKE SA has.
    func wishes(for record: SessionRecord) -> [ConnectionAttempt.Wish] {
        var names: [String] = []
        for sa in record.session.children where !names.contains(sa.child.name) { names.append(sa.child.name) }
        return names.map { ConnectionAttempt.Wish($0) }
    }

    /// The successor of a silent IKE SA did not come up. True: that was what it was for.
    func giveUpReplacingLost(_ old: SessionRecord) -> Bool {
        defer { old.lostAt = nil }
        return old.lostAt != nil
    }

    /// A silent IKE SA is over before its successor is there. That goes on only if something else wants it by now, as
    /// `dpd_action = restart` does.
    func leaveSuccessor(of old: SessionRecord, _ reason: CloseReason) {
        guard old.lostAt != nil,
            let attempt = attempts.values.first(where: { $0.predecessor == old.id }),
            !attempt.isStanding, !attempt.isOwedAttempt
        else { return }
        if let record = attempt.sessionID.flatMap({ table[$0] }), record.attempt === attempt {
            end(record, reason)
        } else {
            giveUp(attempt, reason.explanation)
        }
    }

    /// Whether the successor came for the silence of an IKE SA, and that has lasted.
    func isLost(_ record: SessionRecord) -> Bool { record.lostAt.map { !isHeard(record, since: $0) } ?? false }

    /// Ends an IKE SA without a word: nobody would answer.
    func drop(_ record: SessionRecord) {
        record.isUnwanted = true
        apply(record.session.abandon(.superseded, environment: self), of: record)
    }

    // MARK: Signs of life

    /// Whether an authentic message or packet of the peer came after some time.
    private func isHeard(_ record: SessionRecord, since: UInt64) -> Bool {
        record.session.lastHeardAt > since || lastInbound(of: record) > since
    }

    /// When a packet last came by one of the CHILD_SAs, nanoseconds; 0: never.
    private func lastInbound(of record: SessionRecord) -> UInt64 {
        record.session.children.compactMap { dataplane.usage(of: $0)?.lastInbound }.max() ?? 0
    }
}
