import CXDP

#if canImport(Glibc)
    import Glibc
#endif

/// An AF_XDP socket's descriptor and the system calls on it. Closed when released.
final class SocketDescriptor: Sendable {
    let value: Int32

    init() throws(XDPError) {
        value = socket(Int32(SLUICE_AF_XDP), Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard value >= 0 else { throw .socket(place: "open an AF_XDP socket", errno: errno) }
    }

    deinit { close(value) }

    func set<Value: BitwiseCopyable>(_ option: some BinaryInteger, to value: Value, place: String) throws(XDPError) {
        guard set(Int32(SLUICE_SOL_XDP), Int32(option), to: value) else { throw .socket(place: place, errno: errno) }
    }

    func get<Value: BitwiseCopyable>(
        _ option: some BinaryInteger, _ empty: Value, place: String
    ) throws(XDPError) -> Value {
        var value = empty
        var length = socklen_t(MemoryLayout<Value>.size)
        guard getsockopt(self.value, Int32(SLUICE_SOL_XDP), Int32(option), &value, &length) == 0 else {
            throw .socket(place: place, errno: errno)
        }
        return value
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
        let size = socklen_t(MemoryLayout<sockaddr_xdp>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(value, $0, size) }
        }
        guard result == 0 else {
            throw .binding(interface: interface, queue: queue, zeroCopy: zeroCopy, errno: errno)
        }
    }

    /// Asks for preferred busy polling; false when the kernel doesn't have it (before Linux 5.11).
    func enableBusyPolling(_ busyPoll: PortOptions.BusyPoll) -> Bool {
        set(SOL_SOCKET, Int32(SLUICE_SO_PREFER_BUSY_POLL), to: 1 as Int32)
            && set(SOL_SOCKET, Int32(SLUICE_SO_BUSY_POLL), to: busyPoll.microseconds)
            && set(SOL_SOCKET, Int32(SLUICE_SO_BUSY_POLL_BUDGET), to: busyPoll.budget)
    }

    private func set<Value: BitwiseCopyable>(_ level: Int32, _ option: Int32, to value: Value) -> Bool {
        withUnsafePointer(to: value) {
            setsockopt(self.value, level, option, $0, socklen_t(MemoryLayout<Value>.size)) == 0
        }
    }
}
