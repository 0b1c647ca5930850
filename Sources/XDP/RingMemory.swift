public import Synchronization

/// The places of the parts of one ring: in memory that the kernel maps, or in a ``SPSCRing``.
public struct RingMemory<Element: BitwiseCopyable> {
    /// The producer's free-running index.
    public let producer: UnsafeMutablePointer<Atomic<UInt32>>
    /// The consumer's free-running index.
    public let consumer: UnsafeMutablePointer<Atomic<UInt32>>
    /// The kernel's flag word (`XDP_RING_NEED_WAKEUP`).
    public let flags: UnsafeMutablePointer<Atomic<UInt32>>
    /// `capacity` elements.
    public let slots: UnsafeMutablePointer<Element>
    /// The number of elements, a power of two.
    public let capacity: UInt32
    /// The object that unmaps or frees the memory when it is released.
    public let owner: AnyObject?

    public init(
        producer: UnsafeMutablePointer<Atomic<UInt32>>, consumer: UnsafeMutablePointer<Atomic<UInt32>>,
        flags: UnsafeMutablePointer<Atomic<UInt32>>, slots: UnsafeMutablePointer<Element>, capacity: UInt32,
        owner: AnyObject?
    ) {
        precondition(capacity.nonzeroBitCount == 1, "a ring's capacity is a power of two")
        self.producer = producer
        self.consumer = consumer
        self.flags = flags
        self.slots = slots
        self.capacity = capacity
        self.owner = owner
    }
}
