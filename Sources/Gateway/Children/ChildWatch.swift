import IKEv2
import IPsec
import Packets

/// Events of CHILD_SAs that no packet tells the manager of: limits that they reach, and packets that are
/// not answered.
struct ChildWatch {
    private struct Record {
        /// The time at which the manager is told of a soft limit (again). A rekeying may come to nothing.
        var softLimitDue: Instant = 0
        var toldHard = false
        var silence = Silence()
    }

    /// The watched SAs, by the inbound SPI.
    private var records: [SPI: Record] = [:]

    /// The time between two reports of a soft limit while the SA goes on sending.
    static let reminder = Duration.seconds(30)

    /// Limits that SAs have reached since the last call. To be called a few times a second.
    mutating func limits(of children: [SPI: DataplaneChild], now: Instant) -> [DataplaneEvent] {
        var events: [DataplaneEvent] = []
        for (spi, child) in children {
            let reached = child.events
            let isHard = !reached.isDisjoint(with: .hard)
            guard isHard || !reached.isDisjoint(with: .soft) || child.isNearLastSequence else { continue }
            var record = records[spi] ?? Record()
            guard !record.toldHard else { continue }
            if isHard {
                record.toldHard = true
                events.append(.hardLimit(inboundSPI: spi))
            } else if record.softLimitDue <= now, record.softLimitDue == 0 || child.outbound != nil {
                record.softLimitDue = now + Self.reminder
                events.append(.softLimit(inboundSPI: spi))
            }
            records[spi] = record
        }
        return events
    }

    /// SAs whose packets have not been answered for a while. To be called a few times a second.
    mutating func silences(of children: [SPI: DataplaneChild], now: Instant) -> [DataplaneEvent] {
        var events: [DataplaneEvent] = []
        for (spi, child) in children {
            guard let inbound = child.inbound, let outbound = child.outbound, !child.isSuspended else { continue }
            let isTold = records[spi, default: Record()].silence.look(
                inbound: inbound.usage.lastUsed.map(Instant.init(nanoseconds:)),
                outbound: outbound.usage.lastUsed.map(Instant.init(nanoseconds:)), now: now)
            if isTold { events.append(.unanswered(inboundSPI: spi)) }
        }
        return events
    }

    mutating func forget(spi: SPI) { records[spi] = nil }
}

/// Whether an SA sends and nothing comes back: packets of one way alone are all that a peer gives who has lost the SA, and
/// it says nothing (RFC 7296 section 2.4).
struct Silence {
    /// The time at which something last came, as of the last look; 0: never.
    private var lastInbound: Instant = 0
    /// The time of the first look that saw something sent since; 0: nothing was.
    private var since: Instant = 0
    private var toldAt: Instant = 0

    /// The time that an answer may take.
    static let patience = Duration.milliseconds(500)
    /// The time until silence is told of again while the SA goes on sending.
    static let repetition = Duration.seconds(1)

    /// True: it is to be told. nil: never.
    mutating func look(inbound: Instant?, outbound: Instant?, now: Instant) -> Bool {
        let inbound = inbound ?? 0
        if inbound != lastInbound {
            lastInbound = inbound
            since = 0
        }
        guard let outbound, outbound > inbound else { return false }
        if since == 0 { since = now }
        guard now - since >= Self.patience, toldAt == 0 || outbound > toldAt,
            now - toldAt >= Self.repetition
        else { return false }
        toldAt = now
        return true
    }
}
