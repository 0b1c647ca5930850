import CXDP

#if canImport(Glibc)
    import Glibc
#endif

/// The AF_XDP socket of one queue of one port. Closed when it and the rings made from it are released.
///
/// It speaks to the kernel directly: five socket options, four mappings, one `bind`; every step that fails is named.
public final class XDPSocket: Sendable {
    /// The queue it is bound to.
    public let queue: Int
    /// The socket, as long as this object lives.
    public let fileDescriptor: Int32
    /// Whether preferred busy polling was asked for and granted.
    let busyPolling: Bool
    private let umem: UMEM
    private let socket: SocketDescriptor
    private let receive, transmit, fill, completion: RingMapping

    /// Opens and binds a socket. The first socket of a port registers the UMEM; the others share its registration.
    init(
        interface: NetworkInterface, queue: Int, umem: UMEM, sharing first: XDPSocket?, zeroCopy: Bool,
        options: PortOptions
    ) throws(XDPError) {
        let socket = try SocketDescriptor()
        if first == nil { try socket.register(umem) }
        let count = UInt32(options.ringSize)
        for ring in [XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING] {
            try socket.set(ring, to: count, place: "make a ring of \(count) elements")
        }
        let offsets: xdp_mmap_offsets = try socket.get(XDP_MMAP_OFFSETS, xdp_mmap_offsets(), place: "place the rings")
        let descriptorSize = MemoryLayout<XDPDescriptor>.stride
        let addressSize = MemoryLayout<UInt64>.stride
        receive = try RingMapping(socket, offsets.rx, count, descriptorSize, Int(XDP_PGOFF_RX_RING))
        transmit = try RingMapping(socket, offsets.tx, count, descriptorSize, Int(XDP_PGOFF_TX_RING))
        fill = try RingMapping(socket, offsets.fr, count, addressSize, Int(XDP_UMEM_PGOFF_FILL_RING))
        completion = try RingMapping(socket, offsets.cr, count, addressSize, Int(XDP_UMEM_PGOFF_COMPLETION_RING))
        try socket.bind(interface, queue: queue, zeroCopy: zeroCopy, sharing: first?.fileDescriptor)
        // One system call may then send a whole ring instead of 32 packets. Kernels before 6.18 don't know it: no harm.
        try? socket.set(SLUICE_XDP_MAX_TX_SKB_BUDGET, to: count, place: "")
        busyPolling = options.busyPoll.map(socket.enableBusyPolling) ?? false
        fileDescriptor = socket.value
        self.socket = socket
        self.umem = umem
        self.queue = queue
    }

    /// The worker's side of the four rings, which keep the socket open. Take it once.
    public func makeRings() -> SocketRings {
        SocketRings(
            receive: ConsumerRing(receive.memory(owner: self)), transmit: ProducerRing(transmit.memory(owner: self)),
            fill: ProducerRing(fill.memory(owner: self)), completion: ConsumerRing(completion.memory(owner: self)),
            fileDescriptor: fileDescriptor)
    }

    /// The kernel's counters of this socket.
    public func statistics() throws(XDPError) -> SocketStatistics {
        SocketStatistics(
            try socket.get(XDP_STATISTICS, xdp_statistics(), place: "read the statistics of an AF_XDP socket"))
    }
}

/// The kernel's counters of one AF_XDP socket, in packets or descriptors since it was opened.
public struct SocketStatistics: Sendable, Equatable {
    /// Received packets dropped for other reasons than a full ring.
    public var receiveDropped: UInt64
    /// Received packets dropped because the receive ring was full.
    public var receiveRingFull: UInt64
    /// Received packets dropped because the fill ring was empty.
    public var fillRingEmpty: UInt64
    /// Invalid addresses in the fill ring.
    public var invalidFill: UInt64
    /// Invalid descriptors in the transmit ring.
    public var invalidTransmit: UInt64
    /// The number of times that the kernel found the transmit ring empty.
    public var transmitRingEmpty: UInt64

    init(_ raw: xdp_statistics) {
        receiveDropped = raw.rx_dropped
        receiveRingFull = raw.rx_ring_full
        fillRingEmpty = raw.rx_fill_ring_empty_descs
        invalidFill = raw.rx_invalid_descs
        invalidTransmit = raw.tx_invalid_descs
        transmitRingEmpty = raw.tx_ring_empty_descs
    }
}
