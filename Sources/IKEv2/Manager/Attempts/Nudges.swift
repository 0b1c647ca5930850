import Packets

// A peer that does not answer: nobody knows when it, or the way to it, is back. The ordinary repetitions of a request get
// rarer and rarer, and so do attempts; who uses a tunnel should not have to wait for the next one. So while a tunnel is
// wanted its first requests (IKE_SA_INIT and IKE_AUTH) go out every few seconds, within a limit for all of them.
extension SessionManager {
    static let nudgeInSeconds: UInt64 = 3
    /// Seconds that one of several addresses of a peer has to answer the first request.
    private static let patienceWithAddress: UInt64 = 8

    /// For the attempt that has just begun.
    func scheduleNudge(_ record: SessionRecord) {
        guard let attempt = record.attempt, record.session.awaitsNegotiation else { return }
        let hasOthers = connectionTable[attempt.key.connection].map { destinations(of: $0) > 1 } ?? false
        guard attempt.isEndless || hasOthers else { return }
        let next = record.lastSentAt.addingWithoutOverflow(.seconds(Self.nudgeInSeconds))
        timers.add(.nudge(record.id), at: next > now ? next : after(seconds: Self.nudgeInSeconds))
    }

    func lookAfterFirstRequest(_ record: SessionRecord) {
        guard let attempt = record.attempt, record.session.awaitsNegotiation,
            let connection = connectionTable[attempt.key.connection]
        else { return }
        if destinations(of: connection) > 1, record.session.awaitsFirstAnswer,
            now - min(now, record.beganAt) >= .seconds(Self.patienceWithAddress)
        {
            return apply(record.session.abandon(.peerDead, environment: self), of: record)
        }
        nudge(record)
        scheduleNudge(record)
    }

    /// Somebody wants the tunnel: its first request goes out once more, unless it did a moment ago.
    /// - Parameter isThere: the peer was heard: an attempt that waits for its time begins.
    func nudge(_ connection: Connection, isThere: Bool = false) {
        guard let attempt = attempts[ConnectionAttempt.Key(connection: connection.name, remote: nil)] else { return }
        switch attempt.state {
        case .negotiating: if let record = attempt.sessionID.flatMap({ table[$0] }) { nudge(record) }
        case .waiting: if isThere, attempt.isUnanswered, nudges.allow(now: now) { tryNow(attempt) }
        case .resolving: break
        }
    }

    private func nudge(_ record: SessionRecord) {
        guard record.session.awaitsNegotiation,
            now - min(now, record.lastSentAt) >= .seconds(Self.nudgeInSeconds), nudges.allow(now: now)
        else { return }
        apply(record.session.repeatEarly(environment: self), of: record)
    }

    /// An operator wants it, now: what waits begins, and what is under way is no longer waited for in vain.
    func hurry(_ attempt: ConnectionAttempt) {
        switch attempt.state {
        case .waiting: tryNow(attempt)
        case .negotiating:
            attempt.isOwedAttempt = true
            if let record = attempt.sessionID.flatMap({ table[$0] }) { nudge(record) }
        case .resolving: break
        }
    }

    /// The network has changed: whatever waits for a way, or for an answer, is tried at once.
    func attemptStanding() {
        for attempt in Array(attempts.values) {
            switch attempt.state {
            case .waiting where attempt.looks > 0: tryNow(attempt)
            case .waiting where attempt.isStanding && attempt.isUnanswered:
                if nudges.allow(now: now) { tryNow(attempt) }
            case .negotiating where attempt.isStanding:
                if let record = attempt.sessionID.flatMap({ table[$0] }) { nudge(record) }
            default: break
            }
        }
    }

    /// A name is known now: who waits for it goes on.
    func attemptNamed(_ name: String) {
        for attempt in Array(attempts.values) where attempt.looks > 0 {
            guard case .waiting = attempt.state,
                connectionTable[attempt.key.connection]?.names.contains(name) == true
            else { continue }
            tryNow(attempt)
        }
    }

    // MARK: Several addresses of one peer

    /// Which address of a peer is tried next. The one that works stays, also for the next attempt that a packet asks for.
    func turn(of connection: Connection) -> Int { addressTurns[connection.name] ?? 0 }

    func takeNextTurn(of connection: Connection) {
        guard destinations(of: connection) > 1 else { return }
        addressTurns[connection.name] = (turn(of: connection) + 1) & 0xFFFF_FFFF
    }

    /// Addresses that the peer may have, as far as they are known.
    private func destinations(of connection: Connection) -> Int {
        connection.remoteAddresses.reduce(0) { count, pattern in
            if case .name(let name) = pattern { return count + max(names.addresses[name]?.count ?? 1, 1) }
            return count + (pattern.isDestination ? 1 : 0)
        }
    }

    /// Whether `keyingtries` leaves an attempt after so many: each address has its own.
    func hasTries(of connection: Connection, after tries: UInt32) -> Bool {
        let addresses = UInt32(clamping: max(destinations(of: connection), 1))
        let (all, isEndless) = connection.keyingTries.multipliedReportingOverflow(by: addresses)
        return connection.keyingTries == 0 || isEndless || tries < all
    }
}
