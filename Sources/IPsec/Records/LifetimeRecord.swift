import Telemetry

/// The nearest limits of an SA, in one place to be compared per packet. Reaching one leads to
/// `LifetimeLimits.evaluate`, which decides what it means and sets the next.
@frozen
public struct LifetimeStops: Sendable, BitwiseCopyable {
    /// Inbound: packets. Outbound: the sequence number, which counts them.
    @usableFromInline var packets: UInt64
    @usableFromInline var bytes: UInt64
    /// Nanoseconds of the dataplane's clock. 0 until the first packet, so that this one is noticed.
    @usableFromInline var time: UInt64

    init() {
        packets = 0
        bytes = 0
        time = 0
    }

    @inlinable
    func isReached(packets: UInt64, bytes: UInt64, now: UInt64) -> Bool {
        packets >= self.packets || bytes >= self.bytes || now >= self.time
    }
}

/// A `Lifetime` in the dataplane's units; `UInt64.max` is no limit. Read only when a stop is reached.
@frozen
public struct LifetimeLimits: Sendable, BitwiseCopyable {
    var softPackets, hardPackets, softBytes, hardBytes: UInt64
    /// Nanoseconds of the dataplane's clock.
    var softAdded, hardAdded: UInt64
    /// Nanoseconds after the first packet.
    var softUsed, hardUsed: UInt64

    init(_ lifetime: Lifetime, added: UInt64) {
        softPackets = lifetime.softPackets ?? .max
        hardPackets = lifetime.hardPackets ?? .max
        softBytes = lifetime.softBytes ?? .max
        hardBytes = lifetime.hardBytes ?? .max
        softAdded = Self.instant(lifetime.softSecondsAfterAdd, after: added)
        hardAdded = Self.instant(lifetime.hardSecondsAfterAdd, after: added)
        softUsed = Self.instant(lifetime.softSecondsAfterUse, after: 0)
        hardUsed = Self.instant(lifetime.hardSecondsAfterUse, after: 0)
    }

    /// How far an SA has come when one of its stops is reached.
    struct Progress {
        var packets: UInt64
        var bytes: UInt64
        var now: UInt64
        var firstUsed: UInt64
    }

    /// Which limits are reached, which one stops the packet, and the stops from here on.
    ///
    /// A soft limit is an event and no stop any more once it was reached; a hard limit remains one for ever.
    func evaluate(_ progress: Progress) -> (events: SAEvents, verdict: Verdict, stops: LifetimeStops) {
        let softTime = min(softAdded, Self.sum(progress.firstUsed, softUsed))
        let hardTime = min(hardAdded, Self.sum(progress.firstUsed, hardUsed))
        var events: SAEvents = .firstUse
        var verdict = Verdict.pass
        var stops = LifetimeStops()

        func weigh(
            _ value: UInt64, soft: UInt64, hard: UInt64, events both: (soft: SAEvents, hard: SAEvents),
            reason: DropReason
        ) -> UInt64 {
            if value >= hard && hard != .max {
                events.insert(both.soft)
                events.insert(both.hard)
                if verdict.isPass { verdict = .drop(reason) }
                return hard
            }
            if value >= soft && soft != .max {
                events.insert(both.soft)
                return hard
            }
            return min(soft, hard)
        }
        stops.bytes = weigh(
            progress.bytes, soft: softBytes, hard: hardBytes, events: (.softBytes, .hardBytes), reason: .lifetimeBytes)
        stops.packets = weigh(
            progress.packets, soft: softPackets, hard: hardPackets, events: (.softPackets, .hardPackets),
            reason: .lifetimePackets)
        stops.time = weigh(
            progress.now, soft: softTime, hard: hardTime, events: (.softTime, .hardTime), reason: .lifetimeTime)
        return (events, verdict, stops)
    }

    private static func instant(_ seconds: UInt64?, after start: UInt64) -> UInt64 {
        guard let seconds else { return .max }
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : sum(start, nanoseconds)
    }

    /// Saturating: a limit that is none stays none.
    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
