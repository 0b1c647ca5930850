import IPsec

// Two CHILD_SAs for the same packets on two IKE SAs with a peer, as reauthentication makes them (RFC 7296 section 2.8.3).
// The peer that asked for the new one learns its SPI and algorithms from our answer alone: what we sent by it before the
// peer has installed it would be lost. So the new SA receives at once and sends when the peer uses it, or the old one
// goes, or after a while: a peer that has forgotten the old one without a word is not to be sent to by that for long.
extension SessionManager {
    /// Seconds that an outbound half waits at most: longer than the first repetitions of an unanswered request take.
    static let successionGraceInSeconds: UInt64 = 10
    /// Nanoseconds until it is first looked whether the peer uses the SA.
    private static let firstLook: UInt64 = 10_000_000

    /// The peer asked for the SA. Without another one for the same packets it sends from now on.
    func installOutboundWhenUsed(_ sa: ChildSA, of record: SessionRecord) {
        guard let child = children[sa.inboundSPI], !child.isDraining else { return }
        guard hasSendingTwin(child) else { return installOutbound(sa, of: record) }
        child.takesOverBy = after(seconds: Self.successionGraceInSeconds)
        timers.add(.takeOver(sa.inboundSPI), at: now.addingWithoutOverflow(Self.firstLook))
    }

    /// Looks whether its turn has come; looks get rarer.
    func takeOverIfUsed(_ child: InstalledChild) {
        guard let end = child.takesOverBy else { return }
        let isUsed = dataplane.usage(of: child.sa).map { $0.inboundPackets > 0 } ?? false
        if isUsed || now >= end { return takeOver(child) }
        let waited = .seconds(Self.successionGraceInSeconds) &- (end - now)
        let next = now.addingWithoutOverflow(max(Self.firstLook, waited / 8))
        timers.add(.takeOver(child.sa.inboundSPI), at: min(next, end))
    }

    /// An SA sends no more: those that waited for it take its place, unless there is yet another.
    func installSuccessor(of child: InstalledChild) {
        for twin in twins(of: child) where twin.takesOverBy != nil && !hasSendingTwin(twin) { takeOver(twin) }
    }

    /// Whether another IKE SA has an SA for the same packets.
    func hasTwin(_ child: InstalledChild) -> Bool { twins(of: child).contains(where: \.isUp) }

    private func hasSendingTwin(_ child: InstalledChild) -> Bool { twins(of: child).contains(where: \.isOutbound) }

    private func takeOver(_ child: InstalledChild) {
        child.takesOverBy = nil
        if let record = table[child.sessionID] { installOutbound(child.sa, of: record) }
    }

    /// SAs of the same child with the same selectors, on other IKE SAs between the same two. A peer that is elsewhere now
    /// has lost those that it had before.
    private func twins(of child: InstalledChild) -> [InstalledChild] {
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
