import Packets

/// Which packets without a neighbour the control thread hears of: each neighbour once in a while, and so much from each
/// tunnel or port and from each sender. A scan of a network by one of them leaves the others their questions.
///
/// Tunnels, ports and senders share budgets with those that hash to the same place; which they are, nobody outside can know.
struct NeighbourLimiter: ~Copyable {
    private struct Subject {
        var key: UInt64
        /// When it may be told again, nanoseconds.
        var due: UInt64
    }

    private let subjects: UnsafeMutablePointer<Subject>
    private let requesters: UnsafeMutablePointer<RateLimiter>
    private let senders: UnsafeMutablePointer<RateLimiter>
    private let interval: UInt64
    private let seed: UInt64

    private static var subjectCount: Int { 512 }
    private static var requesterCount: Int { 64 }
    private static var senderCount: Int { 256 }

    /// `interval`: nanoseconds until the same neighbour is told again.
    init(interval: UInt64) {
        self.interval = interval
        seed = .random(in: 0 ... .max)
        subjects = .allocate(capacity: Self.subjectCount)
        subjects.initialize(repeating: Subject(key: 0, due: 0), count: Self.subjectCount)
        requesters = .allocate(capacity: Self.requesterCount)
        requesters.initialize(repeating: RateLimiter(perSecond: 200, burst: 32), count: Self.requesterCount)
        senders = .allocate(capacity: Self.senderCount)
        senders.initialize(repeating: RateLimiter(perSecond: 50, burst: 16), count: Self.senderCount)
    }

    deinit {
        subjects.deallocate()
        requesters.deallocate()
        senders.deallocate()
    }

    /// A number for a neighbour that nobody outside can aim at.
    func key(_ address: IPAddress, interfaceIndex: UInt32) -> UInt64 {
        mix(address.low, address.high, UInt64(interfaceIndex))
    }

    /// Whether to tell now. `now` is nanoseconds of the dataplane's clock.
    func isDue(_ neighbour: UInt64, requester: UInt32, sender: IPAddress, now: UInt64) -> Bool {
        let subject = subjects[place(neighbour, Self.subjectCount)]
        if subject.key == neighbour, now < subject.due { return false }
        return requesters[place(of: requester)].hasToken(now: now)
            && senders[place(of: sender, requester: requester)].hasToken(now: now)
    }

    /// It was told.
    mutating func told(_ neighbour: UInt64, requester: UInt32, sender: IPAddress, now: UInt64) {
        subjects[place(neighbour, Self.subjectCount)] = Subject(key: neighbour, due: now &+ interval)
        _ = requesters[place(of: requester)].allow(now: now)
        _ = senders[place(of: sender, requester: requester)].allow(now: now)
    }

    private func place(of requester: UInt32) -> Int { place(mix(UInt64(requester), 0, 0), Self.requesterCount) }

    private func place(of sender: IPAddress, requester: UInt32) -> Int {
        place(mix(sender.low, sender.high, UInt64(requester)), Self.senderCount)
    }

    private func place(_ hash: UInt64, _ count: Int) -> Int { Int(truncatingIfNeeded: hash) & (count &- 1) }

    private func mix(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> UInt64 {
        let product = (first ^ seed).multipliedFullWidth(by: second ^ 0x9E37_79B9_7F4A_7C15 ^ seed.byteSwapped)
        let word = (product.high ^ product.low ^ third &* 0x1656_67B1_9E37_79F9) &* 0xD6E8_FEB8_6659_FD93
        return word ^ word &>> 32
    }
}
