#if canImport(Glibc)
    import Glibc
#endif

/// Why a port could not be opened: what, where, the kernel's errno, and what to do about it.
public enum XDPError: Error, Equatable, Sendable {
    /// A parameter that can't work.
    case invalidArgument(what: String, remedy: String)
    /// No memory for the frames.
    case memoryUnavailable(bytes: Int, errno: Int32)
    /// Huge pages were required and aren't reserved.
    case hugePagesUnavailable(bytes: Int, errno: Int32)
    /// The process lacks a capability (`CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_BPF`).
    case missingCapability(String, place: String, errno: Int32)
    /// More memory would be locked than `RLIMIT_MEMLOCK` allows without `CAP_IPC_LOCK`.
    case lockedMemoryLimit(place: String, errno: Int32)
    /// There is no such interface in this network namespace.
    case noSuchInterface(String)
    /// The interface is administratively down.
    case interfaceDown(String)
    /// The interface has fewer queues than asked for.
    case tooFewQueues(interface: String, asked: Int, available: Int)
    /// Another AF_XDP socket holds the queue.
    case queueBusy(interface: String, queue: Int)
    /// The driver refuses native XDP because of the MTU (its own or its peer's).
    case mtuTooLarge(interface: String, mtu: Int, errno: Int32)
    /// A packet of the interface's MTU doesn't fit into a frame.
    case mtuTooLargeForFrames(interface: String, mtu: Int, limit: Int)
    /// The driver has no native XDP, or not in its present configuration.
    case nativeUnsupported(interface: String, errno: Int32)
    /// The driver has no zero-copy AF_XDP on this queue.
    case zeroCopyUnsupported(interface: String, queue: Int, errno: Int32)
    /// The kernel lacks a feature.
    case unsupportedKernel(feature: String, errno: Int32)
    /// The kernel's verifier refused the steering program, or the embedded object is damaged.
    case programRejected(errno: Int32, log: String)
    /// Someone else's XDP program is attached.
    case foreignProgram(interface: String, id: UInt32, name: String)
    /// Another running process has our program attached.
    case alreadyRunning(interface: String, id: UInt32)
    /// A map is full or refused an entry.
    case mapUpdate(map: String, errno: Int32)
    /// Any other failing system call.
    case systemCall(place: String, errno: Int32)
}

extension XDPError {
    /// An error of the bpf system call.
    static func bpf(place: String, errno: Int32) -> XDPError {
        switch errno {
        case EPERM, EACCES: .missingCapability("CAP_NET_ADMIN and CAP_BPF", place: place, errno: errno)
        case ENOSYS: .unsupportedKernel(feature: "BPF (CONFIG_BPF_SYSCALL)", errno: errno)
        default: .systemCall(place: place, errno: errno)
        }
    }

    /// An error while an AF_XDP socket is made.
    static func socket(place: String, errno: Int32) -> XDPError {
        switch errno {
        case EPERM, EACCES: .missingCapability("CAP_NET_RAW", place: place, errno: errno)
        case EAFNOSUPPORT: .unsupportedKernel(feature: "AF_XDP (CONFIG_XDP_SOCKETS)", errno: errno)
        case ENOBUFS: .lockedMemoryLimit(place: place, errno: errno)
        default: .systemCall(place: place, errno: errno)
        }
    }

    /// An error while an AF_XDP socket is bound to a queue.
    static func binding(interface: NetworkInterface, queue: Int, zeroCopy: Bool, errno: Int32) -> XDPError {
        switch errno {
        case EBUSY: .queueBusy(interface: interface.name, queue: queue)
        case ENETDOWN: .interfaceDown(interface.name)
        case ENODEV: .noSuchInterface(interface.name)
        case EOPNOTSUPP where zeroCopy, EINVAL where zeroCopy:
            .zeroCopyUnsupported(interface: interface.name, queue: queue, errno: errno)
        default: .socket(place: "bind a socket to queue \(queue) of \(interface.name)", errno: errno)
        }
    }

    /// Whether generic XDP may still work.
    var isMissingNativeSupport: Bool {
        switch self {
        case .nativeUnsupported, .mtuTooLarge: true
        default: false
        }
    }
}
