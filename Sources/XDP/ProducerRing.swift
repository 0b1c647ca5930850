public import Synchronization

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
