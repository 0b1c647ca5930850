import Packets
import XDP

/// An event that a worker tells the control thread of.
public struct WorkerEvent: BitwiseCopyable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// A packet from `source` waits for the neighbour `address` on the interface `number`: ask the kernel to resolve it.
        case neighbourWanted
        /// A policy with the request id `number` wants protection for a packet from `source` to `address`, and there is no
        /// SA that takes it.
        case acquire
        /// Authenticated packets for the inbound SA with the SPI `number` come from another place than
        /// before: from `address`, UDP port `sourcePort`.
        case mappingChanged
        /// A watched peer at `address` sends ESP with the SPI `number`, for which there is no SA.
        case unknownSPI
    }

    public var kind: Kind
    /// Whether a packet that wants an SA is a later fragment; ports of later fragments are 0, and ICMP type and code
    /// are the source port.
    public var isLaterFragment = false
    public var upperProtocol: UInt8 = 0
    public var sourcePort: UInt16 = 0
    public var destinationPort: UInt16 = 0
    public var number: UInt32
    public var address: IPAddress
    public var source: IPAddress
    /// The bringer of a packet that wants a neighbour: the SPI of the tunnel that it came out of, the
    /// number of the port of arrival, or `ownPackets`.
    public var requester: UInt32 = 0

    /// The requester of packets that are on their way to a peer.
    public static var ownPackets: UInt32 { .max }

    init(_ kind: Kind, number: UInt32, address: IPAddress) {
        self.kind = kind
        self.number = number
        self.address = address
        source = .unspecified(address.family)
    }
}

/// Events for the control thread, and how often they are told: each subject once in a while, however many packets show
/// it. What the ring has no room for is told again with a later packet.
struct ControlEvents: ~Copyable {
    private var ring: ProducerRing<WorkerEvent>
    private var limiter: EventLimiter
    private var neighbours: NeighbourLimiter

    /// `interval`: nanoseconds until the same is told again.
    init(_ ring: consuming ProducerRing<WorkerEvent>, interval: UInt64) {
        self.ring = ring
        limiter = EventLimiter(interval: interval)
        neighbours = NeighbourLimiter(interval: interval)
    }

    /// A policy lacks its SA, and this packet showed it.
    mutating func acquire(requestID: UInt32, for packet: PacketSummary, now: UInt64) {
        guard limiter.isDue(.acquire, number: requestID, now: now) else { return }
        var event = WorkerEvent(.acquire, number: requestID, address: packet.destination)
        event.source = packet.source
        event.upperProtocol = packet.upperProtocol
        event.isLaterFragment = packet.isLaterFragment
        if !packet.isLaterFragment {
            event.sourcePort = packet.sourcePort
            event.destinationPort = packet.destinationPort
        }
        guard ring.push(event) else { return }
        limiter.told(.acquire, number: requestID, now: now)
    }

    /// The packets of an inbound SA come from elsewhere (RFC 7296 section 2.23).
    mutating func mappingChanged(spi: SPI, to address: IPAddress, port: UInt16, now: UInt64) {
        // Each new place is told of at once, however soon after another one.
        let place = UInt32(truncatingIfNeeded: address.low) ^ UInt32(port) &<< 16
        let subject = spi.value ^ place
        guard limiter.isDue(.mappingChanged, number: subject, now: now) else { return }
        var event = WorkerEvent(.mappingChanged, number: spi.value, address: address)
        event.sourcePort = port
        guard ring.push(event) else { return }
        limiter.told(.mappingChanged, number: subject, now: now)
    }

    /// A watched peer goes on with an SA that we do not have.
    mutating func unknownSPI(_ spi: SPI, from source: IPAddress, now: UInt64) {
        let bits = source.high ^ source.low
        let subject = UInt32(truncatingIfNeeded: bits) ^ UInt32(truncatingIfNeeded: bits &>> 32)
        guard limiter.isDue(.unknownSPI, number: subject, now: now),
            ring.push(WorkerEvent(.unknownSPI, number: spi.value, address: source))
        else { return }
        limiter.told(.unknownSPI, number: subject, now: now)
    }

    /// A packet of `sender`, brought by `requester`, wants a neighbour. Returns the neighbour's key (`NeighbourLimiter.key`).
    ///
    /// Half of the ring is left to the other kinds: they are rarer, and tunnels depend on them.
    mutating func neighbourWanted(
        _ address: IPAddress, interfaceIndex: UInt32, requester: UInt32, sender: IPAddress, now: UInt64
    ) -> UInt64 {
        let neighbour = neighbours.key(address, interfaceIndex: interfaceIndex)
        guard neighbours.isDue(neighbour, requester: requester, sender: sender, now: now),
            ring.reserve(upTo: ring.capacity / 2 &+ 1).count > ring.capacity / 2
        else { return neighbour }
        var event = WorkerEvent(.neighbourWanted, number: interfaceIndex, address: address)
        event.source = sender
        event.requester = requester
        if ring.push(event) { neighbours.told(neighbour, requester: requester, sender: sender, now: now) }
        return neighbour
    }
}

/// Keeps a worker from telling the same over and over: what happens per packet is told once in a while, so that a flood
/// cannot fill the ring of events, nor one policy's packets keep those of another from being told of.
///
/// A table of a few recent subjects, each in the one place that its number hashes to, and a budget for each kind. What
/// could not be told (the ring was full) does not count as told. Neighbours have a limiter of their own.
struct EventLimiter: ~Copyable {
    private struct Subject {
        var key: UInt64
        /// The time at which it may be told again, nanoseconds.
        var due: UInt64
    }

    private let subjects: UnsafeMutablePointer<Subject>
    private let interval: UInt64
    private let seed: UInt64
    private var acquireBudget: RateLimiter
    private var mappingBudget: RateLimiter
    private var unknownBudget: RateLimiter

    private static var size: Int { 256 }

    /// `interval`: nanoseconds.
    init(interval: UInt64) {
        self.interval = interval
        seed = .random(in: 0 ... .max)
        subjects = .allocate(capacity: Self.size)
        subjects.initialize(repeating: Subject(key: 0, due: 0), count: Self.size)
        // Together less than half a ring of events; the control loop empties it a hundred times a second.
        acquireBudget = RateLimiter(perSecond: 2_000, burst: 32)
        mappingBudget = RateLimiter(perSecond: 2_000, burst: 32)
        unknownBudget = RateLimiter(perSecond: 500, burst: 32)
    }

    deinit { subjects.deallocate() }

    /// Whether to tell now. `now` is nanoseconds of the dataplane's clock.
    func isDue(_ kind: WorkerEvent.Kind, number: UInt32, now: UInt64) -> Bool {
        let key = Self.key(kind, number)
        let subject = subjects[place(of: key)]
        if subject.key == key, now < subject.due { return false }
        switch kind {
        case .acquire: return acquireBudget.hasToken(now: now)
        case .unknownSPI: return unknownBudget.hasToken(now: now)
        case .mappingChanged, .neighbourWanted: return mappingBudget.hasToken(now: now)
        }
    }

    /// Notes that it was told.
    mutating func told(_ kind: WorkerEvent.Kind, number: UInt32, now: UInt64) {
        switch kind {
        case .acquire: _ = acquireBudget.allow(now: now)
        case .unknownSPI: _ = unknownBudget.allow(now: now)
        case .mappingChanged, .neighbourWanted: _ = mappingBudget.allow(now: now)
        }
        let key = Self.key(kind, number)
        subjects[place(of: key)] = Subject(key: key, due: now &+ interval)
    }

    private static func key(_ kind: WorkerEvent.Kind, _ number: UInt32) -> UInt64 {
        // No key is 0, which is that of an empty place.
        (UInt64(kind.rawValue) &+ 1) << 32 | UInt64(number)
    }

    private func place(of key: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ seed) &* 0x9E37_79B9_7F4A_7C15) &>> 56) & (Self.size &- 1)
    }
}

/// A limit on the packets without a neighbour that the control thread hears of: each neighbour once in a while, and so
/// much from each tunnel or port and from each sender. A scan of a network by one of them leaves the others their
/// questions.
///
/// Tunnels, ports and senders share budgets with those that hash to the same place; which they are, nobody outside can know.
struct NeighbourLimiter: ~Copyable {
    private struct Subject {
        var key: UInt64
        /// The time at which it may be told again, nanoseconds.
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

    /// Notes that it was told.
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
