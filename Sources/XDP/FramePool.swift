/// One worker's free frames: a stack of addresses, so that the frame used last, still in the cache, is used next.
///
/// Any address within a frame gives the frame back: the offset is dropped. Pools hold up to all frames of the UMEM, as
/// handovers between workers shift frames from pool to pool. Debug builds trap on a double free and on a frame that
/// isn't the UMEM's; release builds ignore a push beyond the capacity (only a double free can lead there).
public struct FramePool: ~Copyable, @unchecked Sendable {
    /// The result of ``pop()`` when no frame is left.
    @inlinable public static var empty: UInt64 { .max }

    @usableFromInline let umem: UMEM
    @usableFromInline let frames: UnsafeMutablePointer<UInt64>
    @usableFromInline let frameMask: UInt64
    @usableFromInline let shift: UInt64
    @usableFromInline var stored = 0
    /// The most frames that the pool holds.
    public let capacity: Int
    /// The number of free frames.
    @inlinable public var count: Int { stored }

    /// A pool that starts with the given frames of the UMEM (numbers, not addresses); no other pool may have them.
    public init(umem: UMEM, frames range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= umem.frameCount, "frames that the UMEM has")
        self.umem = umem
        capacity = umem.frameCount
        frames = .allocate(capacity: capacity)
        frameMask = ~UInt64(umem.frameSize - 1)
        shift = UInt64(umem.frameSize.trailingZeroBitCount)
        for frame in range.reversed() { push(UInt64(frame * umem.frameSize)) }
    }

    deinit {
        #if DEBUG
            for index in 0..<stored { umem.ledger.leave(Int(truncatingIfNeeded: frames[index] >> shift)) }
        #endif
        frames.deallocate()
    }

    /// One free frame's address, or ``empty``.
    @inlinable public mutating func pop() -> UInt64 {
        guard stored > 0 else { return Self.empty }
        stored &-= 1
        let address = frames[stored]
        #if DEBUG
            umem.ledger.leave(Int(truncatingIfNeeded: address >> shift))
        #endif
        return address
    }

    /// Takes up to `count` frames into `addresses`; returns how many.
    @inlinable public mutating func pop(into addresses: UnsafeMutablePointer<UInt64>, upTo count: Int) -> Int {
        let taken = count < stored ? count : stored
        var offset = 0
        while offset < taken {
            addresses[offset] = pop()
            offset &+= 1
        }
        return taken
    }

    /// Gives back the frame that `address` lies in.
    @inlinable public mutating func push(_ address: UInt64) {
        #if DEBUG
            umem.ledger.enter(Int(truncatingIfNeeded: address >> shift))
        #endif
        guard stored < capacity else { return }
        frames[stored] = address & frameMask
        stored &+= 1
    }

    /// Gives `count` frames back.
    @inlinable public mutating func push(from addresses: UnsafePointer<UInt64>, count: Int) {
        var offset = 0
        while offset < count {
            push(addresses[offset])
            offset &+= 1
        }
    }

    /// Moves up to `count` free frames into a fill ring; returns how many, fewer when the ring is full or the pool empty.
    @inlinable public mutating func refill(_ ring: inout ProducerRing<UInt64>, upTo count: Int) -> Int {
        let (index, room) = ring.reserve(upTo: count < stored ? count : stored)
        var offset = 0
        while offset < room {
            ring.write(pop(), at: index &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
        }
        if room > 0 { ring.submit(room) }
        return room
    }

    /// Takes back up to `count` frames whose packets were sent; returns how many.
    @inlinable public mutating func reclaim(_ ring: inout ConsumerRing<UInt64>, upTo count: Int) -> Int {
        let (index, ready) = ring.peek(upTo: count)
        var offset = 0
        while offset < ready {
            push(ring.read(at: index &+ UInt32(truncatingIfNeeded: offset)))
            offset &+= 1
        }
        if ready > 0 { ring.release(ready) }
        return ready
    }
}
