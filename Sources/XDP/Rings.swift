public import Synchronization
import Synchronization

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

/// The writing end of a single-producer, single-consumer ring: fill and transmit rings towards the kernel, and
/// ``SPSCRing`` towards another thread.
///
/// `reserve` → `write` → `submit`, in batches. A reservation is not remembered: what isn't submitted is simply offered
/// again, so nothing can be lost between the two. Indices run freely over 32 bits; the capacity is a power of two.
@frozen public struct ProducerRing<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let producer: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let consumer: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let flags: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: UInt32
    /// The next index to write; only this end moves it.
    @usableFromInline var next: UInt32
    /// The consumer's index when last looked at, plus the capacity: the first index that can't be written yet.
    @usableFromInline var limit: UInt32
    /// Keeps the ring's memory mapped for as long as this end lives. Never touched per packet.
    @usableFromInline let owner: AnyObject?

    /// Wraps ring memory. `memory` must stay valid as long as `memory.owner` lives.
    @inlinable public init(_ memory: RingMemory<Element>) {
        producer = memory.producer
        consumer = memory.consumer
        flags = memory.flags
        slots = memory.slots
        mask = memory.capacity &- 1
        next = memory.producer.pointee.load(ordering: .relaxed)
        limit = memory.consumer.pointee.load(ordering: .acquiring) &+ memory.capacity
        owner = memory.owner
    }

    /// The most elements that the ring holds.
    @inlinable public var capacity: Int { Int(truncatingIfNeeded: mask) &+ 1 }

    /// The number of elements that can be written from the returned index on: at most `count`, 0 when the ring is full.
    /// The other end's index is read only when the last known one doesn't suffice.
    @inlinable public mutating func reserve(upTo count: Int) -> (index: UInt32, count: Int) {
        var free = Int(truncatingIfNeeded: limit &- next)
        if free < count {
            limit = consumer.pointee.load(ordering: .acquiring) &+ mask &+ 1
            free = Int(truncatingIfNeeded: limit &- next)
        }
        return (next, free < count ? free : count)
    }

    /// Writes one reserved element; `index` lies in the range that `reserve` returned.
    @inlinable public func write(_ element: Element, at index: UInt32) {
        slots[Int(truncatingIfNeeded: index & mask)] = element
    }

    /// Hands the first `count` reserved elements to the consumer. `count` is at most what `reserve` returned.
    @inlinable public mutating func submit(_ count: Int) {
        next = next &+ UInt32(truncatingIfNeeded: count)
        producer.pointee.store(next, ordering: .releasing)
    }

    /// True when the kernel asks for a system call before it looks at this ring again (`XDP_USE_NEED_WAKEUP`).
    @inlinable public var needsWakeup: Bool { flags.pointee.load(ordering: .relaxed) & 1 != 0 }

    /// The number of elements that the consumer has not taken yet. Reads the shared index: not for every packet.
    @inlinable public var pending: Int {
        Int(truncatingIfNeeded: next &- consumer.pointee.load(ordering: .acquiring))
    }

    /// Writes and submits one element; false when the ring is full.
    @inlinable public mutating func push(_ element: Element) -> Bool {
        let (index, count) = reserve(upTo: 1)
        guard count == 1 else { return false }
        write(element, at: index)
        submit(1)
        return true
    }

    /// Writes and submits as many of `count` elements as fit; returns how many.
    @inlinable public mutating func push(from elements: UnsafePointer<Element>, count: Int) -> Int {
        let (index, room) = reserve(upTo: count)
        var offset = 0
        while offset < room {
            write(elements[offset], at: index &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
        }
        if room > 0 { submit(room) }
        return room
    }
}

/// The reading end of a single-producer, single-consumer ring: receive and completion rings from the kernel, and
/// ``SPSCRing`` from another thread.
///
/// `peek` → `read` → `release`, in batches. A peek takes nothing: what isn't released is offered again.
@frozen public struct ConsumerRing<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let producer: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let consumer: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: UInt32
    /// The next index to read; only this end moves it.
    @usableFromInline var next: UInt32
    /// The producer's index when last looked at: the first index that can't be read yet.
    @usableFromInline var limit: UInt32
    /// Keeps the ring's memory mapped for as long as this end lives. Never touched per packet.
    @usableFromInline let owner: AnyObject?

    /// Wraps ring memory. `memory` must stay valid as long as `memory.owner` lives.
    @inlinable public init(_ memory: RingMemory<Element>) {
        producer = memory.producer
        consumer = memory.consumer
        slots = memory.slots
        mask = memory.capacity &- 1
        next = memory.consumer.pointee.load(ordering: .relaxed)
        limit = next
        owner = memory.owner
    }

    /// The most elements that the ring holds.
    @inlinable public var capacity: Int { Int(truncatingIfNeeded: mask) &+ 1 }

    /// The number of elements that can be read from the returned index on: at most `count`, 0 when the ring is empty.
    /// The other end's index is read only when the last known one doesn't suffice for a full batch.
    @inlinable public mutating func peek(upTo count: Int) -> (index: UInt32, count: Int) {
        var ready = Int(truncatingIfNeeded: limit &- next)
        if ready < count {
            limit = producer.pointee.load(ordering: .acquiring)
            ready = Int(truncatingIfNeeded: limit &- next)
        }
        return (next, ready < count ? ready : count)
    }

    /// One element; `index` lies in the range that `peek` returned.
    @inlinable public func read(at index: UInt32) -> Element {
        slots[Int(truncatingIfNeeded: index & mask)]
    }

    /// Gives the first `count` peeked slots back to the producer. `count` is at most what `peek` returned.
    @inlinable public mutating func release(_ count: Int) {
        next = next &+ UInt32(truncatingIfNeeded: count)
        consumer.pointee.store(next, ordering: .releasing)
    }

    /// True when nothing can be read. Reads the shared index only when the last known one says so.
    @inlinable public mutating func isEmpty() -> Bool { peek(upTo: 1).count == 0 }

    /// Takes one element; nil when the ring is empty.
    @inlinable public mutating func pop() -> Element? {
        let (index, count) = peek(upTo: 1)
        guard count == 1 else { return nil }
        let element = read(at: index)
        release(1)
        return element
    }

    /// Takes up to `count` elements into `elements`; returns how many.
    @inlinable public mutating func pop(into elements: UnsafeMutablePointer<Element>, upTo count: Int) -> Int {
        let (index, ready) = peek(upTo: count)
        var offset = 0
        while offset < ready {
            elements[offset] = read(at: index &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
        }
        if ready > 0 { release(ready) }
        return ready
    }
}

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
