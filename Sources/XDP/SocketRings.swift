public import CXDP

/// One packet in a receive or transmit ring: the kernel's `struct xdp_desc`, 16 bytes.
@frozen public struct XDPDescriptor: BitwiseCopyable, Equatable, Sendable {
    /// The place of the packet's first byte, in bytes from the start of the UMEM.
    public var address: UInt64
    /// The packet's length in bytes, from its Ethernet header on.
    public var length: UInt32
    /// Option bits (`XDP_PKT_CONTD`, `XDP_TX_METADATA`); zero, as Sluice uses none.
    public var options: UInt32

    @inlinable public init(address: UInt64, length: UInt32, options: UInt32 = 0) {
        self.address = address
        self.length = length
        self.options = options
    }
}

/// The four rings of one port and queue, as a worker holds them: over an AF_XDP socket, or over plain memory.
public struct SocketRings: ~Copyable, Sendable {
    /// Packets that arrived.
    public var receive: ConsumerRing<XDPDescriptor>
    /// Packets to send.
    public var transmit: ProducerRing<XDPDescriptor>
    /// Free frames for packets to come (addresses; the kernel ignores the offset within the frame).
    public var fill: ProducerRing<UInt64>
    /// Frames whose packets were sent: addresses as they were submitted.
    public var completion: ConsumerRing<UInt64>
    /// The AF_XDP socket to `poll`, -1 when the rings lie in plain memory.
    public let fileDescriptor: Int32

    @inlinable public init(
        receive: consuming ConsumerRing<XDPDescriptor>, transmit: consuming ProducerRing<XDPDescriptor>,
        fill: consuming ProducerRing<UInt64>, completion: consuming ConsumerRing<UInt64>, fileDescriptor: Int32
    ) {
        self.receive = receive
        self.transmit = transmit
        self.fill = fill
        self.completion = completion
        self.fileDescriptor = fileDescriptor
    }

    /// Makes the kernel send what was submitted, when it asks for that. Once per batch.
    ///
    /// Returns 0 or an errno value. `EAGAIN`, `EBUSY` and `ENOBUFS` mean: not all was taken, kick again later;
    /// `ENETDOWN` means that the link is down and the packets wait.
    @inlinable @discardableResult public func kick() -> Int32 {
        guard fileDescriptor >= 0, transmit.needsWakeup else { return 0 }
        return sluice_xsk_send(fileDescriptor)
    }

    /// Makes the driver look at the fill ring and receive, when it asks for that or when `busyPolling`.
    ///
    /// Returns 0 or an errno value, as ``kick()`` does. A worker that `poll`s the descriptor doesn't need it.
    @inlinable @discardableResult public func wakeReceive(busyPolling: Bool = false) -> Int32 {
        guard fileDescriptor >= 0, busyPolling || fill.needsWakeup else { return 0 }
        return sluice_xsk_receive(fileDescriptor)
    }
}

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
