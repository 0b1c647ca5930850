/// Signs of life of the peer (RFC 7296 section 2.4), and hints that anybody could give.
struct Liveness {
    /// The time at which an authentic message last came, nanoseconds.
    private(set) var lastHeardAt: UInt64
    /// The time at which an unprotected hint, or a wrong message id, may be acted on again (RFC 7296 sections 2.3 and
    /// 2.21.4).
    private var nextHintAt: UInt64 = 0

    init(now: UInt64) { lastHeardAt = now }

    mutating func heard(at time: UInt64) { lastHeardAt = max(lastHeardAt, time) }

    /// Something that anybody could make us do may be done, at most once in ten seconds.
    mutating func takeHint(at now: UInt64) -> Bool {
        if now < nextHintAt { return false }
        nextHintAt = now.addingWithoutOverflow(.seconds(10))
        return true
    }

    /// The time at which silence becomes a question; nil: never. `delay`: dpd_delay, seconds.
    func asks(after delay: UInt64) -> UInt64? {
        delay == 0 ? nil : lastHeardAt.addingWithoutOverflow(.seconds(delay))
    }
}
