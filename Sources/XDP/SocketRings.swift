public import CXDP

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
