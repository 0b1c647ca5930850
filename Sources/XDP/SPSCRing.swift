import Synchronization

/// A ring in plain memory between exactly two threads: the handover between workers, and with the control thread.
///
/// Take each end once. The ends are the same code that talks to the kernel; the producer's index, the consumer's index
/// and the slots lie on cache lines of their own (128 bytes apart, as the prefetcher fetches lines in pairs). The memory
/// lives as long as the ring or one of its ends.
public final class SPSCRing<Element: BitwiseCopyable>: @unchecked Sendable {
    private static var spacing: Int { 128 }
    private let base: UnsafeMutableRawPointer
    private let slots: UnsafeMutablePointer<Element>
    /// The most elements that the ring holds.
    public let capacity: Int

    /// A ring for at least `capacity` elements (rounded up to a power of two; 1 to 2^30).
    public init(capacity: Int) {
        precondition((1...(1 << 30)).contains(capacity), "a ring holds 1 to 2^30 elements")
        let rounded = capacity == 1 ? 1 : 1 << (Int.bitWidth - (capacity - 1).leadingZeroBitCount)
        let bytes = 3 * Self.spacing + rounded * MemoryLayout<Element>.stride
        base = .allocate(byteCount: bytes, alignment: Self.spacing)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        slots = (base + 3 * Self.spacing).bindMemory(to: Element.self, capacity: rounded)
        self.capacity = rounded
    }

    deinit { base.deallocate() }

    /// The writing end, for one thread.
    public func producer() -> ProducerRing<Element> { ProducerRing(layout) }

    /// The reading end, for one thread.
    public func consumer() -> ConsumerRing<Element> { ConsumerRing(layout) }

    /// Says whether the reader wants to be woken (`ProducerRing.needsWakeup`), as the kernel does for its rings.
    package func setNeedsWakeup(_ needsWakeup: Bool) {
        word(2).pointee.store(needsWakeup ? 1 : 0, ordering: .releasing)
    }

    private var layout: RingMemory<Element> {
        RingMemory(
            producer: word(0), consumer: word(1), flags: word(2), slots: slots, capacity: UInt32(capacity), owner: self)
    }

    private func word(_ line: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + line * Self.spacing).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}
