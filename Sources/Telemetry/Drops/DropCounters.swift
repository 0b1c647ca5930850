/// The fate of one packet: passed, or dropped and why. One byte, so that a batch of verdicts is a byte array.
@frozen
public struct Verdict: Hashable, Sendable, BitwiseCopyable {
    /// 0 when the packet passed, else 1 + the raw value of the `DropReason`.
    public var rawValue: UInt8

    @inlinable
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A verdict that drops the packet.
    @inlinable
    public init(drop reason: DropReason) { self.rawValue = reason.rawValue &+ 1 }

    /// The packet goes on.
    @inlinable
    public static var pass: Verdict { Verdict(rawValue: 0) }

    /// A verdict that drops the packet: `.drop(.noRoute)`.
    @inlinable
    public static func drop(_ reason: DropReason) -> Verdict { Verdict(drop: reason) }

    @inlinable
    public var isPass: Bool { rawValue == 0 }

    /// The reason why the packet was dropped, nil when it passed.
    @inlinable
    public var reason: DropReason? { rawValue == 0 ? nil : DropReason(rawValue: rawValue &- 1) }
}

extension Verdict: CustomStringConvertible {
    public var description: String { reason?.name ?? "pass" }
}

/// One counter per `DropReason`, in one allocation, with one writer. A handle without ownership, as `CounterBlock`.
@frozen
public struct DropCounters: Sendable, BitwiseCopyable {
    @usableFromInline let block: CounterBlock

    @inlinable
    init(block: CounterBlock) { self.block = block }

    /// Counters at zero; the caller deallocates them after the last reader.
    public static func allocate() -> DropCounters { DropCounters(block: .allocate(count: DropReason.count)) }

    public func deallocate() { block.deallocate() }

    /// Counts dropped packets. Only the owner may call it.
    @inlinable
    public func count(_ reason: DropReason, packets: UInt64 = 1) { block[Int(reason.rawValue)].add(packets) }

    /// Counts a verdict; a pass counts nothing. Only the owner may call it.
    @inlinable
    public func count(_ verdict: Verdict) {
        // `Verdict` has no public way to a raw value beyond the last reason, so the index is in bounds.
        if !verdict.isPass { block[Int(verdict.rawValue &- 1)].add(1) }
    }

    /// The number of packets dropped for this reason, from any thread.
    @inlinable
    public subscript(reason: DropReason) -> UInt64 { block[Int(reason.rawValue)].load() }

    /// All packets dropped, for whatever reason.
    public var total: UInt64 { block.loadAll().reduce(0, &+) }

    /// The reasons that occurred, with how often, in the order of the cases.
    public func nonZero() -> [(reason: DropReason, packets: UInt64)] {
        DropReason.allCases.compactMap { reason in
            let packets = self[reason]
            return packets == 0 ? nil : (reason, packets)
        }
    }
}
