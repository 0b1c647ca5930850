import Packets

/// What a worker tells the control thread.
public struct WorkerEvent: BitwiseCopyable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// Packets wait for the neighbour `address` on the interface `number`: ask the kernel to resolve it.
        case neighbourWanted
        /// A policy with the request id `number` wants protection for a packet from `source` to `address`, and there is no
        /// SA that takes it.
        case acquire
        /// Authenticated packets for the inbound SA with the SPI `number` (host order) come from another place than
        /// before: from `address`, UDP port `sourcePort`.
        case mappingChanged
    }

    public var kind: Kind
    /// Of a packet that wants an SA; ports of later fragments are 0, and ICMP type and code are the source port.
    public var isLaterFragment = false
    public var upperProtocol: UInt8 = 0
    public var sourcePort: UInt16 = 0
    public var destinationPort: UInt16 = 0
    public var number: UInt32
    public var address: IPAddress
    public var source: IPAddress

    init(_ kind: Kind, number: UInt32, address: IPAddress) {
        self.kind = kind
        self.number = number
        self.address = address
        source = .unspecified(address.family)
    }
}

/// Keeps a worker from telling the same over and over: what happens per packet is told once in a while, so that a flood
/// cannot fill the ring of events, nor one policy's packets keep those of another from being told of.
///
/// A table of a few recent subjects, each in the one place that its number hashes to, and a budget for all of them together.
struct EventLimiter: ~Copyable {
    private struct Subject {
        var key: UInt64
        /// When it may be told again, nanoseconds.
        var due: UInt64
    }

    private let subjects: UnsafeMutablePointer<Subject>
    private let interval: UInt64
    private var budget: RateLimiter

    private static var size: Int { 256 }

    /// `interval`: nanoseconds.
    init(interval: UInt64) {
        self.interval = interval
        subjects = .allocate(capacity: Self.size)
        subjects.initialize(repeating: Subject(key: 0, due: 0), count: Self.size)
        // Half a ring of events at once; the control loop empties it a hundred times a second.
        budget = RateLimiter(perSecond: 2_000, burst: 32)
    }

    deinit { subjects.deallocate() }

    /// Whether to tell now. `now` is nanoseconds of the dataplane's clock.
    mutating func allow(_ kind: WorkerEvent.Kind, number: UInt32, now: UInt64) -> Bool {
        let key = UInt64(kind.rawValue) << 32 | UInt64(number)
        let place = subjects + Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 56) & (Self.size &- 1)
        if place.pointee.key == key, now < place.pointee.due { return false }
        if !budget.allow(now: now) { return false }
        place.pointee.key = key
        place.pointee.due = now &+ interval
        return true
    }
}
