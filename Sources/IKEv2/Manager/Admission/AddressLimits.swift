import Packets

/// Numbers of unfinished negotiations of peers: in all, of strangers, by address and by the networks around it. An IPv6
/// peer has all addresses of its /64, and may have a /56 or a /48 of those.
struct HalfOpenLimits {
    /// The peer that a slot belongs to.
    struct Slot: Hashable {
        let address: IPAddress
        let standing: PeerStanding
    }

    private struct Network: Hashable {
        let prefix: IPAddress
        let length: UInt8
    }

    private var counts: [Network: Int] = [:]
    private(set) var total = 0
    private var totals = PeerStanding.allCases.map { _ in 0 }

    /// The networks that an address is counted with, and how many times the share of one address each may have.
    private static func networks(of address: IPAddress) -> [(network: Network, share: Int)] {
        switch address.family {
        case .ipv4:
            let network = IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low) & 0xffff_ff00)
            return [(Network(prefix: address, length: 32), 1), (Network(prefix: network, length: 24), 4)]
        case .ipv6:
            return [64, 56, 48].enumerated().map { step, length in
                let prefix = IPAddress(ipv6High: (address.high >> (64 - length)) << (64 - length), low: 0)
                return (Network(prefix: prefix, length: UInt8(length)), 1 << step)
            }
        }
    }

    func count(_ standing: PeerStanding) -> Int { totals[standing.rawValue] }

    /// Whether one network or other that the address lies in has its share; `share` is that of an address.
    func isFull(around slot: Slot, share: Int) -> Bool {
        for (network, times) in Self.networks(of: slot.address) {
            // An address that is configured is no worse for its neighbours.
            if slot.standing == .known, times > 1 { break }
            let (limit, isEndless) = share.multipliedReportingOverflow(by: times)
            if !isEndless, counts[network] ?? 0 >= limit { return true }
        }
        return false
    }

    mutating func add(_ slot: Slot) {
        for (network, _) in Self.networks(of: slot.address) { counts[network, default: 0] += 1 }
        totals[slot.standing.rawValue] += 1
        total += 1
    }

    mutating func remove(_ slot: Slot) {
        for (network, _) in Self.networks(of: slot.address) {
            guard let count = counts[network] else { continue }
            counts[network] = count > 1 ? count - 1 : nil
        }
        totals[slot.standing.rawValue] -= 1
        total -= 1
    }
}

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
    mutating func allow(_ address: IPAddress, now: Instant, and other: () -> Bool = { true }) -> Bool {
        let key = address.family == .ipv6 ? IPAddress(ipv6High: address.high, low: 0) : address
        var limiter = limiters[key] ?? RateLimiter(perSecond: perSecond, burst: burst)
        guard limiter.hasToken(at: now), other() else { return false }
        _ = limiter.allow(at: now)
        if limiters[key] == nil, limiters.count >= Self.capacity {
            limiters = limiters.filter { !$0.value.isFull(at: now) }
            if limiters.count >= Self.capacity { return false }
        }
        limiters[key] = limiter
        return true
    }

    var count: Int { limiters.count }
}
