public import Synchronization

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
