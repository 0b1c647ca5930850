import IPsec

// Two CHILD_SAs for the same packets on two IKE SAs with a peer, as reauthentication makes them (RFC 7296 section 2.8.3), and
// a peer that has forgotten what it had. The peer that asked for the new one learns its SPI and algorithms from our answer
// alone: what we sent by it before the peer has installed it would be lost. So the new SA receives at once and sends when
//
//     - the peer sends by it, or begins another exchange in its IKE SA: it has our answer
//     - the peer answers in an IKE SA that the same answer of ours has made: we ask it whether it is there
//     - the peer does not answer in the old IKE SA for a second: it is asked there too where the answer in the new one proves
//       nothing
//     - the old one goes, or ten seconds are over
extension SessionManager {
    /// Seconds that an outbound half waits at most: longer than the first repetitions of an unanswered request take.
    static let successionGraceInSeconds: UInt64 = 10
    /// Nanoseconds until it is first looked whether the peer uses the SA.
    private static let firstLook: UInt64 = 10_000_000
    /// Nanoseconds until the peer is asked: what it does by itself is soon done.
    private static let pauseBeforeAsking: UInt64 = 100_000_000
    /// Nanoseconds after which an old IKE SA without an answer counts as forgotten.
    private static let silence: UInt64 = 800_000_000

    /// The peer asked for the SA. Without another one for the same packets it sends from now on.
    func installOutboundWhenUsed(_ sa: ChildSA, of record: SessionRecord) {
        guard let child = children[sa.inboundSPI], !child.isDraining else { return }
        guard hasSendingTwin(child) else { return installOutbound(sa, of: record) }
        child.succession = Succession(
            endsAt: after(seconds: Self.successionGraceInSeconds), beganAt: now,
            isFirstOfSession: record.establishedAt.map { $0 == now } ?? true,
            nextRequestID: record.session.window.expectedRequestID)
        timers.add(.takeOver(sa.inboundSPI), at: now.addingWithoutOverflow(Self.firstLook))
    }

    /// Looks whether its turn has come; looks get rarer.
    func takeOverIfUsed(_ child: ChildInstallation) {
        guard var succession = child.succession else { return }
        if now >= succession.endsAt || isReady(child, succession) { return takeOver(child) }
        if succession.askedAt == nil, now >= succession.beganAt.addingWithoutOverflow(Self.pauseBeforeAsking) {
            succession.askedAt = now
            child.succession = succession
            askWhetherItIsThere(child, succession)
        }
        let waited = now - succession.beganAt
        let next = now.addingWithoutOverflow(max(Self.firstLook, waited / 8))
        timers.add(.takeOver(child.sa.inboundSPI), at: min(next, succession.endsAt))
    }

    /// Whether the peer is known to have the new SA, or not to have the old one any more.
    private func isReady(_ child: ChildInstallation, _ succession: Succession) -> Bool {
        if dataplane.usage(of: child.sa).map({ $0.inboundPackets > 0 }) ?? false { return true }
        guard let session = table[child.sessionID]?.session else { return false }
        if session.window.expectedRequestID > succession.nextRequestID { return true }
        if succession.isFirstOfSession { return session.lastHeardAt > succession.beganAt }
        guard let askedAt = succession.askedAt, now >= askedAt.addingWithoutOverflow(Self.silence) else { return false }
        // Whatever came in the old IKE SA since then, or by its SAs, says that the peer has them.
        return twins(of: child).allSatisfy { twin in
            let heard = table[twin.sessionID].map(\.session.lastHeardAt) ?? 0
            return max(heard, dataplane.usage(of: twin.sa)?.lastInbound ?? 0) <= askedAt
        }
    }

    /// An initiator that has not seen our answer answers nothing in the new IKE SA.
    private func askWhetherItIsThere(_ child: ChildInstallation, _ succession: Succession) {
        let ids = succession.isFirstOfSession ? [child.sessionID] : Set(twins(of: child).map(\.sessionID)).sorted()
        for record in ids.compactMap({ table[$0] }) {
            apply(record.session.probe(environment: self), of: record)
        }
    }

    /// An SA sends no more: those that waited for it take its place, unless there is yet another.
    func installSuccessor(of child: ChildInstallation) {
        for twin in twins(of: child) where twin.succession != nil && !hasSendingTwin(twin) { takeOver(twin) }
    }

    /// Whether another IKE SA has an SA for the same packets.
    func hasTwin(_ child: ChildInstallation) -> Bool { twins(of: child).contains(where: \.isUp) }

    private func hasSendingTwin(_ child: ChildInstallation) -> Bool { twins(of: child).contains(where: \.isOutbound) }

    private func takeOver(_ child: ChildInstallation) {
        child.succession = nil
        if let record = table[child.sessionID] { installOutbound(child.sa, of: record) }
    }

    /// SAs of the same child with the same selectors, on other IKE SAs between the same two. A peer that is elsewhere now
    /// has lost those that it had before.
    private func twins(of child: ChildInstallation) -> [ChildInstallation] {
        guard let record = table[child.sessionID], let identities = record.identities else { return [] }
        let others = table.sessions(between: identities)
        if others.count < 2 { return [] }
        return others.filter { $0.id != record.id }.flatMap(\.installed).compactMap { children[$0] }.filter { other in
            other.sa.connectionName == child.sa.connectionName && other.sa.child.name == child.sa.child.name
                && other.sa.path.remote.address == child.sa.path.remote.address
                && Set(other.sa.selectors) == Set(child.sa.selectors)
        }
    }
}
