import Packets

/// Signs of life of the peer (RFC 7296 section 2.4), and hints that anybody could give.
struct Liveness {
    /// The time at which an authentic message last came.
    private(set) var lastHeardAt: Instant
    /// The time at which an unprotected hint, or a wrong message id, may be acted on again (RFC 7296 sections 2.3 and
    /// 2.21.4).
    private var nextHintAt: Instant = 0

    init(now: Instant) { lastHeardAt = now }

    mutating func heard(at time: Instant) { lastHeardAt = max(lastHeardAt, time) }

    /// Something that anybody could make us do may be done, at most once in ten seconds.
    mutating func takeHint(at now: Instant) -> Bool {
        if now < nextHintAt { return false }
        nextHintAt = now + .seconds(10)
        return true
    }

    /// The time at which silence becomes a question; nil: never. `delay`: dpd_delay, seconds.
    func asks(after delay: UInt64) -> Instant? {
        delay == 0 ? nil : lastHeardAt + .seconds(delay)
    }
}
