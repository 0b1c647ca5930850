import Platform

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
        switch Errno(rawValue: errno) {
        case .notPermitted, .permissionDenied:
            .missingCapability("CAP_NET_ADMIN and CAP_BPF", place: place, errno: errno)
        case .noFunction: .unsupportedKernel(feature: "BPF (CONFIG_BPF_SYSCALL)", errno: errno)
        default: .systemCall(place: place, errno: errno)
        }
    }

    /// An error while an AF_XDP socket is made.
    static func socket(place: String, errno: Int32) -> XDPError {
        switch Errno(rawValue: errno) {
        case .notPermitted, .permissionDenied: .missingCapability("CAP_NET_RAW", place: place, errno: errno)
        case .addressFamilyNotSupported: .unsupportedKernel(feature: "AF_XDP (CONFIG_XDP_SOCKETS)", errno: errno)
        case .noBufferSpace: .lockedMemoryLimit(place: place, errno: errno)
        default: .systemCall(place: place, errno: errno)
        }
    }

    /// An error while an AF_XDP socket is bound to a queue.
    static func binding(interface: NetworkInterface, queue: Int, zeroCopy: Bool, errno: Int32) -> XDPError {
        switch Errno(rawValue: errno) {
        case .resourceBusy: .queueBusy(interface: interface.name, queue: queue)
        case .networkDown: .interfaceDown(interface.name)
        case .operationNotSupportedByDevice: .noSuchInterface(interface.name)
        case .notSupported where zeroCopy, .invalidArgument where zeroCopy:
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

extension XDPError: CustomStringConvertible {
    /// The error in one line: what happened, where, and the remedy.
    public var description: String { "\(cause); \(remedy)" }

    /// The event and its place.
    public var cause: String {
        switch self {
        case .invalidArgument(let what, _): "\(what) can't work"
        case .memoryUnavailable(let bytes, let code): "no \(bytes >> 20) MiB for packet frames: \(Self.text(code))"
        case .hugePagesUnavailable(let bytes, let code): "no \(bytes >> 20) MiB of huge pages: \(Self.text(code))"
        case .missingCapability(let name, let place, let code): "can't \(place) without \(name): \(Self.text(code))"
        case .lockedMemoryLimit(let place, let code): "can't \(place), too much locked memory: \(Self.text(code))"
        case .noSuchInterface(let name): "there is no interface \"\(name)\" in this network namespace"
        case .interfaceDown(let name): "interface \(name) is down"
        case .tooFewQueues(let name, let asked, let available):
            "\(asked) queues asked for, interface \(name) has \(available)"
        case .queueBusy(let name, let queue): "queue \(queue) of \(name) belongs to another AF_XDP socket"
        case .mtuTooLarge(let name, let mtu, let code):
            "the driver refuses native XDP because of an MTU, \(name)'s \(mtu) or its peer's: \(Self.text(code))"
        case .mtuTooLargeForFrames(let name, let mtu, let limit):
            "the MTU \(mtu) of \(name) exceeds the \(limit) bytes that a frame holds"
        case .nativeUnsupported(let name, let code):
            "the driver of \(name) refuses native XDP: \(Self.nativeText(code))"
        case .zeroCopyUnsupported(let name, let queue, let code):
            "the driver of \(name) has no zero-copy on queue \(queue): \(Self.text(code))"
        case .unsupportedKernel(let feature, let code): "the kernel lacks \(feature): \(Self.text(code))"
        case .programRejected(let code, let log): "the kernel refused the steering program: \(Self.text(code)) \(log)"
        case .foreignProgram(let name, let id, let program):
            "interface \(name) already has the XDP program \"\(program)\" (id \(id)), which isn't ours"
        case .alreadyRunning(let name, let id):
            "another running sluice has its program (id \(id)) on interface \(name)"
        case .mapUpdate(let map, let code): "can't change the BPF map \(map): \(Self.text(code))"
        case .systemCall(let place, let code): "can't \(place): \(Self.text(code))"
        }
    }

    /// The remedy.
    public var remedy: String {
        switch self {
        case .invalidArgument(_, let remedy): remedy
        case .memoryUnavailable: "use fewer frames (--frames)"
        case .hugePagesUnavailable(let bytes, _):
            "reserve \((bytes + (2 << 20) - 1) >> 21) pages in /proc/sys/vm/nr_hugepages, or use --huge-pages auto"
        case .missingCapability(let name, _, _): "run as root, or grant \(name)"
        case .lockedMemoryLimit: "raise the limit (ulimit -l), grant CAP_IPC_LOCK, or use fewer frames (--frames)"
        case .noSuchInterface: "list the interfaces with: ip link"
        case .interfaceDown(let name): "bring it up with: ip link set \(name) up"
        case .tooFewQueues(let name, let asked, _):
            "use fewer workers, or add queues with: ethtool -L \(name) combined \(asked)"
        case .queueBusy: "end the program that uses it (ss --xdp -p names it)"
        case .mtuTooLarge: "lower the MTU on both ends, or use --xdp-mode generic"
        case .mtuTooLargeForFrames(let name, _, let limit):
            limit < 2048
                ? "use --frame-size 4096, or ip link set \(name) mtu \(limit)" : "ip link set \(name) mtu \(limit)"
        case .nativeUnsupported: "use --xdp-mode auto or generic"
        case .zeroCopyUnsupported: "use --copy-mode auto or copy"
        case .unsupportedKernel: "use Linux 5.11 or newer with that option"
        case .programRejected: "this is a bug or too old a kernel: report it with the output of uname -r"
        case .foreignProgram(let name, _, _): "remove it with: ip link set \(name) xdp off, or use --force"
        case .alreadyRunning: "end it first"
        case .mapUpdate(_, let code):
            [.argListTooLong, .noSpace].contains(Errno(rawValue: code)) ? "use fewer entries" : "see the errno"
        case .systemCall: "see the errno and dmesg"
        }
    }

    /// The kernel's errno, 0 when there is none.
    public var errno: Int32 {
        switch self {
        case .memoryUnavailable(_, let code), .hugePagesUnavailable(_, let code), .missingCapability(_, _, let code),
            .lockedMemoryLimit(_, let code), .mtuTooLarge(_, _, let code), .nativeUnsupported(_, let code),
            .zeroCopyUnsupported(_, _, let code), .unsupportedKernel(_, let code), .programRejected(let code, _),
            .mapUpdate(_, let code), .systemCall(_, let code):
            code
        case .interfaceDown: Errno.networkDown.rawValue
        case .noSuchInterface: Errno.operationNotSupportedByDevice.rawValue
        case .queueBusy, .foreignProgram, .alreadyRunning: Errno.resourceBusy.rawValue
        case .invalidArgument, .tooFewQueues, .mtuTooLargeForFrames: 0
        }
    }

    private static func text(_ code: Int32) -> String {
        "\(Errno(rawValue: code)) (errno \(code))"
    }

    /// The meaning that drivers give to an error number when they refuse a program.
    private static func nativeText(_ code: Int32) -> String {
        switch Errno(rawValue: code) {
        case .notSupported: "not supported"
        case .noSpace: "fewer receive queues than the peer has transmit queues"
        default: text(code)
        }
    }
}
