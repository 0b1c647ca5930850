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

    /// How many packets were dropped for this reason, from any thread.
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
