import IKEv2

/// Whether an SA sends and nothing comes back: packets of one way alone are all that a peer gives who has lost the SA, and
/// it says nothing (RFC 7296 section 2.4).
struct Silence {
    /// When something last came, as of the last look; 0: never.
    private var lastInbound: UInt64 = 0
    /// When it was first seen that something was sent since; 0: nothing was.
    private var since: UInt64 = 0
    private var toldAt: UInt64 = 0

    /// Nanoseconds that an answer may take.
    static let patience: UInt64 = 500_000_000
    /// How soon it is told again while the SA goes on sending, nanoseconds.
    static let repetition: UInt64 = 1_000_000_000

    /// True: it is to be told. All times are nanoseconds of one clock; nil: never.
    mutating func look(inbound: UInt64?, outbound: UInt64?, now: UInt64) -> Bool {
        let inbound = inbound ?? 0
        if inbound != lastInbound {
            lastInbound = inbound
            since = 0
        }
        guard let outbound, outbound > inbound else { return false }
        if since == 0 { since = now }
        guard now - min(now, since) >= Self.patience, toldAt == 0 || outbound > toldAt,
            now - min(now, toldAt) >= Self.repetition
        else { return false }
        toldAt = now
        return true
    }
}

extension GatewayDataplane {
    /// SAs whose packets have not been answered for a while. To be called a few times a second.
    func takeSilences() -> [DataplaneEvent] {
        var events: [DataplaneEvent] = []
        let now = self.now
        for (spi, child) in children {
            guard let inbound = child.inbound, let outbound = child.outbound, !child.isSuspended else { continue }
            let isTold = children[spi]?.silence.look(
                inbound: inbound.usage.lastUsed, outbound: outbound.usage.lastUsed, now: now)
            if isTold == true { events.append(.unanswered(inboundSPI: spi)) }
        }
        return events
    }
}
