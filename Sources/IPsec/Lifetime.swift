import Telemetry

/// The limits of an SA's use (RFC 4301 section 4.4.2.1). A soft limit raises an event, a hard limit stops the SA;
/// nil is no limit.
///
/// Bytes are those of the inner packets. As with Linux, a limit is reached when the count so far is not below it: the
/// packet that crosses it is still carried, the next one is not.
public struct Lifetime: Hashable, Sendable {
    public var softBytes: UInt64?
    public var hardBytes: UInt64?
    public var softPackets: UInt64?
    public var hardPackets: UInt64?
    public var softSecondsAfterAdd: UInt64?
    public var hardSecondsAfterAdd: UInt64?
    /// Counted from the first packet.
    public var softSecondsAfterUse: UInt64?
    /// Counted from the first packet.
    public var hardSecondsAfterUse: UInt64?

    public init(
        softBytes: UInt64? = nil, hardBytes: UInt64? = nil, softPackets: UInt64? = nil, hardPackets: UInt64? = nil,
        softSecondsAfterAdd: UInt64? = nil, hardSecondsAfterAdd: UInt64? = nil, softSecondsAfterUse: UInt64? = nil,
        hardSecondsAfterUse: UInt64? = nil
    ) {
        self.softBytes = softBytes
        self.hardBytes = hardBytes
        self.softPackets = softPackets
        self.hardPackets = hardPackets
        self.softSecondsAfterAdd = softSecondsAfterAdd
        self.hardSecondsAfterAdd = hardSecondsAfterAdd
        self.softSecondsAfterUse = softSecondsAfterUse
        self.hardSecondsAfterUse = hardSecondsAfterUse
    }

    /// No limit at all.
    public static let unlimited = Lifetime()
}

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

    /// The progress of an SA when one of its stops is reached.
    struct Progress {
        var packets: UInt64
        var bytes: UInt64
        var now: UInt64
        var firstUsed: UInt64
    }

    /// The limits that are reached, the one that stops the packet, and the stops from here on.
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

/// Events of an SA that the control side should act upon. Each event is raised once and stays.
@frozen
public struct SAEvents: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The first packet passed.
    public static let firstUse = SAEvents(rawValue: 1 << 0)
    public static let softBytes = SAEvents(rawValue: 1 << 1)
    public static let hardBytes = SAEvents(rawValue: 1 << 2)
    public static let softPackets = SAEvents(rawValue: 1 << 3)
    public static let hardPackets = SAEvents(rawValue: 1 << 4)
    public static let softTime = SAEvents(rawValue: 1 << 5)
    public static let hardTime = SAEvents(rawValue: 1 << 6)
    /// The last sequence number was used; the SA sends nothing more (RFC 4303 section 3.3.3).
    public static let sequenceExhausted = SAEvents(rawValue: 1 << 7)

    /// The SA should be replaced soon.
    public static let soft: SAEvents = [.softBytes, .softPackets, .softTime]
    /// The SA carries nothing any more.
    public static let hard: SAEvents = [.hardBytes, .hardPackets, .hardTime, .sequenceExhausted]

    private static let names: [(SAEvents, String)] = [
        (.firstUse, "first-use"), (.softBytes, "soft-bytes"), (.hardBytes, "hard-bytes"),
        (.softPackets, "soft-packets"), (.hardPackets, "hard-packets"), (.softTime, "soft-time"),
        (.hardTime, "hard-time"), (.sequenceExhausted, "sequence-exhausted"),
    ]

    /// The stable names of the events in the set.
    public var names: [String] { Self.names.filter { contains($0.0) }.map(\.1) }
}
