import CXDP
import Platform
import Synchronization

/// Opens the sockets of all queues of a port, all in the same copy mode.
///
/// Every port registers the UMEM with the kernel anew, and its queues share that registration (`XDP_SHARED_UMEM`): frames
/// move freely between all of them, but zero-copy or copy is a matter of the registration. So one port whose driver only
/// copies doesn't take zero-copy from the others.
struct SocketOpener {
    let interface: NetworkInterface
    let umem: UMEM
    let queueCount: Int
    let options: PortOptions

    /// The sockets, the copy mode got, and why (empty when nothing had to be given up).
    func open(native: Bool) throws(XDPError) -> (sockets: [XDPSocket], copy: CopyMode, reason: String) {
        switch options.copyMode {
        case .zeroCopy: return (try open(zeroCopy: true), .zeroCopy, "")
        case .copy: return (try open(zeroCopy: false), .copy, "copy was asked for")
        case .auto: break
        }
        guard native else { return (try open(zeroCopy: false), .copy, "zero-copy: only with native XDP") }
        do throws(XDPError) {
            return (try open(zeroCopy: true), .zeroCopy, "")
        } catch {
            guard case .zeroCopyUnsupported = error else { throw error }
            return (try open(zeroCopy: false), .copy, "zero-copy: \(error.cause)")
        }
    }

    private func open(zeroCopy: Bool) throws(XDPError) -> [XDPSocket] {
        var sockets: [XDPSocket] = []
        for queue in 0..<queueCount {
            sockets.append(try openPatiently(queue, zeroCopy: zeroCopy, sharing: sockets.first))
        }
        return sockets
    }

    /// The kernel frees the queues of a process that ended a moment later, so a busy queue is asked for again for a while.
    private func openPatiently(_ queue: Int, zeroCopy: Bool, sharing first: XDPSocket?) throws(XDPError) -> XDPSocket {
        var attempt = 1
        while true {
            do throws(XDPError) {
                return try XDPSocket(
                    interface: interface, queue: queue, umem: umem, sharing: first, zeroCopy: zeroCopy,
                    options: options)
            } catch {
                guard case .queueBusy = error, attempt < ProgramAttachment.patience.attempts else { throw error }
                attempt += 1
                SystemClock.sleep(microseconds: ProgramAttachment.patience.microseconds)
            }
        }
    }
}

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

/// An AF_XDP socket's descriptor and the system calls on it. Closed when released.
private final class SocketDescriptor: Sendable {
    private let socket: Socket

    var value: Int32 { socket.number }

    init() throws(XDPError) {
        do { socket = try Socket(.raw(domain: Int32(SLUICE_AF_XDP))) } catch {
            throw .socket(place: "open an AF_XDP socket", errno: error.rawValue)
        }
    }

    func set<Value: BitwiseCopyable>(_ option: some BinaryInteger, to value: Value, place: String) throws(XDPError) {
        do { try socket.set(Self.option(option), to: value) } catch {
            throw .socket(place: place, errno: error.rawValue)
        }
    }

    func get<Value: BitwiseCopyable>(
        _ option: some BinaryInteger, _ empty: Value, place: String
    ) throws(XDPError) -> Value {
        do { return try socket.get(Self.option(option), empty) } catch {
            throw .socket(place: place, errno: error.rawValue)
        }
    }

    private static func option(_ name: some BinaryInteger) -> Socket.Option {
        Socket.Option(level: SLUICE_SOL_XDP, name: name)
    }

    /// A ring of the socket in memory, at `page` (one of the kernel's `PGOFF` constants).
    func map(_ page: Int, byteCount: Int) throws(XDPError) -> MappedMemory {
        do { return try MappedMemory(of: socket.descriptor, offset: page, byteCount: byteCount) } catch {
            throw .socket(place: "map a ring of an AF_XDP socket", errno: error.rawValue)
        }
    }

    /// Makes the UMEM known to the kernel, which locks its pages.
    func register(_ umem: UMEM) throws(XDPError) {
        var registration = xdp_umem_reg()
        registration.addr = UInt64(UInt(bitPattern: umem.base))
        registration.len = UInt64(umem.registeredSize)
        registration.chunk_size = UInt32(umem.frameSize)
        try set(XDP_UMEM_REG, to: registration, place: "register \(umem.registeredSize >> 10) KiB of frames")
    }

    /// Binds to a queue. The modes are a matter of the socket that registered the UMEM, `sharing` is its descriptor.
    func bind(_ interface: NetworkInterface, queue: Int, zeroCopy: Bool, sharing: Int32?) throws(XDPError) {
        var address = sockaddr_xdp()
        address.sxdp_family = UInt16(SLUICE_AF_XDP)
        address.sxdp_ifindex = UInt32(bitPattern: interface.index)
        address.sxdp_queue_id = UInt32(queue)
        if let sharing {
            address.sxdp_flags = UInt16(XDP_SHARED_UMEM)
            address.sxdp_shared_umem_fd = UInt32(bitPattern: sharing)
        } else {
            address.sxdp_flags = UInt16(XDP_USE_NEED_WAKEUP) | UInt16(zeroCopy ? XDP_ZEROCOPY : XDP_COPY)
        }
        do { try socket.bind(to: KernelAddress(address)) } catch {
            throw .binding(interface: interface, queue: queue, zeroCopy: zeroCopy, errno: error.rawValue)
        }
    }

    /// Asks for preferred busy polling; false when the kernel doesn't have it (before Linux 5.11).
    func enableBusyPolling(_ busyPoll: PortOptions.BusyPoll) -> Bool {
        do {
            try socket.turnOn(.socket(SLUICE_SO_PREFER_BUSY_POLL))
            try socket.set(.socket(SLUICE_SO_BUSY_POLL), to: busyPoll.microseconds)
            try socket.set(.socket(SLUICE_SO_BUSY_POLL_BUDGET), to: busyPoll.budget)
            return true
        } catch {
            return false
        }
    }
}

/// One ring of a socket, mapped from the kernel. Unmapped when released.
private final class RingMapping: @unchecked Sendable {
    private let mapping: MappedMemory
    private let offsets: xdp_ring_offset
    private let count: UInt32

    /// Maps the ring at `page` (one of the kernel's `PGOFF` constants), with `count` elements of `elementSize` bytes.
    init(
        _ socket: SocketDescriptor, _ offsets: xdp_ring_offset, _ count: UInt32, _ elementSize: Int, _ page: Int
    ) throws(XDPError) {
        mapping = try socket.map(page, byteCount: Int(offsets.desc) + Int(count) * elementSize)
        self.offsets = offsets
        self.count = count
    }

    /// The places of the ring's parts. `owner` keeps this mapping alive.
    func memory<Element: BitwiseCopyable>(owner: AnyObject) -> RingMemory<Element> {
        RingMemory(
            producer: word(offsets.producer), consumer: word(offsets.consumer), flags: word(offsets.flags),
            slots: (mapping.base + Int(offsets.desc)).assumingMemoryBound(to: Element.self), capacity: count,
            owner: owner)
    }

    private func word(_ offset: UInt64) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (mapping.base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}
