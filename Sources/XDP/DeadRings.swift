/// Frames that are left in the rings of a socket whose interface is gone.
extension SocketRings {
    /// Packets that the kernel has begun to send and not reported as sent. It does so when it throws them away, too.
    public var sending: Int {
        let taken = transmit.consumer.pointee.load(ordering: .acquiring)
        return Int(truncatingIfNeeded: taken &- completion.producer.pointee.load(ordering: .acquiring))
    }

    /// Puts all frames of the socket into a pool; the kernel must have let go of the interface. Returns how many are lost: those
    /// still on their way out.
    ///
    /// In copy mode the kernel uses free frames in the order in which it got them, so those that it has taken and not given back
    /// with a packet are the ones behind the last packet. In zero-copy mode that is not so.
    public mutating func giveBack(to pool: inout FramePool) -> Int {
        let lost = sending
        _ = pool.reclaim(&completion, upTo: completion.capacity)
        let (first, count) = receive.peek(upTo: receive.capacity)
        for offset in 0..<count { pool.push(receive.read(at: first &+ UInt32(truncatingIfNeeded: offset)).address) }
        receive.release(count)
        let unsent = transmit.pending
        for offset in 0..<unsent {
            pool.push(transmit.element(behind: transmit.next &- UInt32(truncatingIfNeeded: unsent), offset).address)
        }
        let delivered = receive.producer.pointee.load(ordering: .acquiring)
        let held = Int(truncatingIfNeeded: fill.next &- delivered)
        let known = min(held, fill.capacity)
        for offset in 0..<known {
            pool.push(fill.element(behind: fill.next &- UInt32(truncatingIfNeeded: known), offset))
        }
        return lost + held - known
    }
}

extension ProducerRing {
    /// The element that was written at an index, as long as nothing was written over it.
    fileprivate func element(behind index: UInt32, _ offset: Int) -> Element {
        slots[Int(truncatingIfNeeded: (index &+ UInt32(truncatingIfNeeded: offset)) & mask)]
    }
}
