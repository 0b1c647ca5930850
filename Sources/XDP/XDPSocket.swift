import CLibXDP
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The AF_XDP socket of one queue of one port. Closed when it and the rings made from it are released.
public final class XDPSocket: @unchecked Sendable {
    /// The queue it is bound to.
    public let queue: Int
    /// The socket, as long as this object lives.
    public let fileDescriptor: Int32
    /// Whether preferred busy polling was asked for and granted.
    let busyPolling: Bool
    private let registration: UMEMRegistration
    private let handle: OpaquePointer
    private let frames: FrameRings
    private let receive: xsk_ring_cons
    private let transmit: xsk_ring_prod

    init(
        _ registration: UMEMRegistration, interface: NetworkInterface, queue: Int, zeroCopy: Bool, options: PortOptions
    ) throws(XDPError) {
        var config = xsk_socket_config()
        config.rx_size = UInt32(options.ringSize)
        config.tx_size = UInt32(options.ringSize)
        config.libxdp_flags = UInt32(XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD)
        config.bind_flags = UInt16(XDP_USE_NEED_WAKEUP) | UInt16(zeroCopy ? XDP_ZEROCOPY : XDP_COPY)
        let frames = registration.nextRings()
        var receive = xsk_ring_cons()
        var transmit = xsk_ring_prod()
        var handle: OpaquePointer?
        let result = xsk_socket__create_shared(
            &handle, interface.name, UInt32(queue), registration.handle, &receive, &transmit, frames.fill,
            frames.completion, &config)
        guard result == 0, let handle else {
            throw .binding(interface: interface, queue: queue, zeroCopy: zeroCopy, errno: -result)
        }
        self.registration = registration
        self.handle = handle
        self.frames = frames
        self.receive = receive
        self.transmit = transmit
        self.queue = queue
        let socket = xsk_socket__fd(handle)
        fileDescriptor = socket
        busyPolling = options.busyPoll.map { Self.enableBusyPolling($0, on: socket) } ?? false
        // One system call may then send a whole ring instead of 32 packets. Kernels before 6.18 don't know it: no harm.
        Self.set(Int32(SLUICE_SOL_XDP), Int32(SLUICE_XDP_MAX_TX_SKB_BUDGET), to: Int32(options.ringSize), of: socket)
    }

    deinit { xsk_socket__delete(handle) }

    /// The worker's side of the four rings, which keep the socket open. Take it once.
    public func makeRings() -> SocketRings {
        SocketRings(
            receive: ConsumerRing(memory(receive)), transmit: ProducerRing(memory(transmit)),
            fill: ProducerRing(memory(frames.fill.pointee)),
            completion: ConsumerRing(memory(frames.completion.pointee)),
            fileDescriptor: fileDescriptor)
    }

    /// The kernel's counters of this socket.
    public func statistics() throws(XDPError) -> SocketStatistics {
        var raw = xdp_statistics()
        var length = socklen_t(MemoryLayout<xdp_statistics>.size)
        guard getsockopt(fileDescriptor, Int32(SLUICE_SOL_XDP), Int32(XDP_STATISTICS), &raw, &length) == 0 else {
            throw .systemCall(place: "read the statistics of an AF_XDP socket", errno: errno)
        }
        return SocketStatistics(raw)
    }

    private static func enableBusyPolling(_ busyPoll: PortOptions.BusyPoll, on socket: Int32) -> Bool {
        set(SOL_SOCKET, Int32(SLUICE_SO_PREFER_BUSY_POLL), to: 1, of: socket)
            && set(SOL_SOCKET, Int32(SLUICE_SO_BUSY_POLL), to: busyPoll.microseconds, of: socket)
            && set(SOL_SOCKET, Int32(SLUICE_SO_BUSY_POLL_BUDGET), to: busyPoll.budget, of: socket)
    }

    @discardableResult
    private static func set(_ level: Int32, _ option: Int32, to value: Int32, of socket: Int32) -> Bool {
        withUnsafePointer(to: value) {
            setsockopt(socket, level, option, $0, socklen_t(MemoryLayout<Int32>.size)) == 0
        }
    }

    private func memory<Element>(_ ring: xsk_ring_prod) -> RingMemory<Element> {
        memory(ring.producer, ring.consumer, ring.flags, ring.ring, ring.size)
    }

    private func memory<Element>(_ ring: xsk_ring_cons) -> RingMemory<Element> {
        memory(ring.producer, ring.consumer, ring.flags, ring.ring, ring.size)
    }

    private func memory<Element>(
        _ producer: UnsafeMutablePointer<UInt32>, _ consumer: UnsafeMutablePointer<UInt32>,
        _ flags: UnsafeMutablePointer<UInt32>, _ slots: UnsafeMutableRawPointer, _ size: UInt32
    ) -> RingMemory<Element> {
        RingMemory(
            producer: Self.atomic(producer), consumer: Self.atomic(consumer), flags: Self.atomic(flags),
            slots: slots.assumingMemoryBound(to: Element.self), capacity: size, owner: self)
    }

    private static func atomic(_ word: UnsafeMutablePointer<UInt32>) -> UnsafeMutablePointer<Atomic<UInt32>> {
        UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt32>.self)
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
    /// How often the kernel found the transmit ring empty.
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
