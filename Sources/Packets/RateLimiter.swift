/// A token bucket in integers, for ICMP errors (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)).
///
/// Kept as the one time at which the bucket would be full: the generic cell rate algorithm. The clock is passed in.
@frozen
public struct RateLimiter: Sendable, BitwiseCopyable {
    /// Nanoseconds that one token takes to come back; 0: nothing is ever allowed.
    @usableFromInline let interval: UInt64
    /// The distance by which `full` may lie ahead for a token to be left.
    @usableFromInline let tolerance: UInt64
    /// The time at which the bucket will be full again, nanoseconds.
    @usableFromInline var full: UInt64

    /// - Parameters:
    ///   - perSecond: tokens that come back in a second; 0 allows nothing, at most a thousand million.
    ///   - burst: tokens of a full bucket, at least 1.
    public init(perSecond: UInt32, burst: UInt32) {
        interval = perSecond == 0 ? 0 : max(1, 1_000_000_000 / UInt64(perSecond))
        tolerance = interval * UInt64(max(burst, 1) - 1)
        full = 0
    }

    /// Whether there is a token. `now`: nanoseconds of a clock that does not go back.
    @inlinable
    public func hasToken(now: UInt64) -> Bool { interval != 0 && max(full, now) &- now <= tolerance }

    /// Whether nothing of the burst is in use. `now`: nanoseconds of a clock that does not go back.
    public func isFull(now: UInt64) -> Bool { full <= now }

    /// Takes a token if there is one. `now`: nanoseconds of a clock that does not go back.
    @inlinable
    public mutating func allow(now: UInt64) -> Bool {
        guard interval != 0 else { return false }
        let start = max(full, now)
        guard start &- now <= tolerance else { return false }
        full = start &+ interval
        return true
    }
}

extension RateLimiter {
    public func hasToken(at now: Instant) -> Bool { hasToken(now: now.nanoseconds) }

    public func isFull(at now: Instant) -> Bool { isFull(now: now.nanoseconds) }

    public mutating func allow(at now: Instant) -> Bool { allow(now: now.nanoseconds) }
}
