import Packets

/// A limit for each address that something comes from; an IPv6 peer has all addresses of its /64.
struct AddressLimiter {
    private let perSecond: UInt32
    private let burst: UInt32
    private var limiters: [IPAddress: RateLimiter] = [:]

    /// Addresses that are remembered; those that have been quiet are forgotten first.
    static let capacity = 1024

    init(perSecond: UInt32, burst: UInt32) {
        self.perSecond = perSecond
        self.burst = burst
    }

    /// Whether an address may once more, if another limit allows it too: `other` is not asked otherwise.
    mutating func allow(_ address: IPAddress, now: UInt64, and other: () -> Bool = { true }) -> Bool {
        let key = address.family == .ipv6 ? IPAddress(ipv6High: address.high, low: 0) : address
        var limiter = limiters[key] ?? RateLimiter(perSecond: perSecond, burst: burst)
        guard limiter.hasToken(now: now), other() else { return false }
        _ = limiter.allow(now: now)
        if limiters[key] == nil, limiters.count >= Self.capacity {
            limiters = limiters.filter { !$0.value.isFull(now: now) }
            if limiters.count >= Self.capacity { return false }
        }
        limiters[key] = limiter
        return true
    }

    var count: Int { limiters.count }
}
