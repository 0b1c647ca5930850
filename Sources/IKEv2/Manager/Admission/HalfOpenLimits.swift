import Packets

/// How many negotiations of peers are unfinished, in all and by address. An IPv6 peer counts with its /64 network, of
/// which it has all addresses.
struct HalfOpenLimits {
    private var counts: [IPAddress: Int] = [:]
    private(set) var total = 0

    /// What addresses are counted by.
    static func key(_ address: IPAddress) -> IPAddress {
        address.family == .ipv4 ? address : IPAddress(ipv6High: address.high, low: 0)
    }

    func count(from address: IPAddress) -> Int { counts[Self.key(address)] ?? 0 }

    mutating func add(_ address: IPAddress) {
        counts[Self.key(address), default: 0] += 1
        total += 1
    }

    mutating func remove(_ address: IPAddress) {
        let key = Self.key(address)
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
        total -= 1
    }
}
