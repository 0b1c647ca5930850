import CLinux
import Platform

/// A bound netlink socket with its receive buffer. One thread at a time.
struct NetlinkSocket: ~Copyable {
    /// The result of one receive call.
    enum Reception {
        case messages([NetlinkReply])
        /// Messages were lost (`ENOBUFS`, or a datagram longer than the buffer).
        case overrun
        /// The socket's timeout passed without a message.
        case nothing
    }

    var fileDescriptor: Int32 { socket.number }
    private let socket: Socket
    private let buffer: UnsafeMutableRawBufferPointer
    /// The kernel fills at most 32 KiB of a dump, and notifications are far shorter.
    private static let bufferSize = 64 * 1024
    /// `NETLINK_…` socket options need the level of linux/socket.h.
    private static let level: Int32 = 270

    /// - Parameter family: `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    init(_ family: Int32 = NETLINK_ROUTE, receiveTimeoutSeconds: Int) throws(NetlinkError) {
        let socket: Socket
        do { socket = try Socket(.netlink(family)) } catch { throw .system(error, operation: "open a socket") }
        do { try socket.bind(to: .netlink) } catch { throw .system(error, operation: "bind") }
        // Explanations with errors, without the request repeated, and no field silently ignored. Kernels before 4.20
        // lack the last one and work without.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            try? socket.turnOn(Self.option(option))
        }
        do { try socket.setReceiveTimeout(seconds: receiveTimeoutSeconds) } catch {
            throw .system(error, operation: "set the timeout")
        }
        self.socket = socket
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
    }

    deinit { buffer.deallocate() }

    private static func option(_ name: some BinaryInteger) -> Socket.Option { Socket.Option(level: level, name: name) }

    /// Receives what the kernel tells all members of `group` from now on.
    func join(_ group: rtnetlink_groups) throws(NetlinkError) {
        do { try socket.set(Self.option(NETLINK_ADD_MEMBERSHIP), to: Int32(bitPattern: group.rawValue)) } catch {
            throw .system(error, operation: "subscribe")
        }
    }

    /// Room for bursts: with the usual 208 KiB a few thousand routes at once overflow.
    func enlargeReceiveBuffer(toBytes size: Int32) { socket.setReceiveBuffer(bytes: size) }

    /// A message longer than the send buffer is refused whole: with the usual 208 KiB a few thousand set elements.
    func enlargeSendBuffer(toBytes size: Int) { socket.setSendBuffer(bytes: Int32(clamping: size)) }

    func send(_ message: MessageWriter) throws(NetlinkError) { try send(message.bytes) }

    /// Sends one datagram of one or more messages.
    func send(_ datagram: [UInt8]) throws(NetlinkError) {
        do { try socket.send(datagram, to: .netlink) } catch { throw .system(error, operation: "send") }
    }

    /// One datagram from the kernel; datagrams from other processes are dropped.
    ///
    /// - Parameter wait: false returns at once when nothing is there.
    func receive(wait: Bool) throws(NetlinkError) -> Reception {
        var messages: [NetlinkReply] = []
        switch try receiveDatagram(wait: wait, { messages = NetlinkDecoder.decode($0) }) {
        case .datagram: return .messages(messages)
        case .overrun: return .overrun
        case .nothing: return .nothing
        }
    }

    /// The result of one receive call whose datagram the caller reads itself.
    enum RawReception { case datagram, overrun, nothing }

    /// The same as `receive`, with the datagram handed to `body` as it came.
    func receiveDatagram(
        wait: Bool, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(NetlinkError) -> RawReception {
        while true {
            let count: Int
            let sender: KernelAddress
            do throws(Errno) {
                (count, sender) = try socket.receiveDatagram(into: buffer, waits: wait)
            } catch {
                switch error {
                case .wouldBlock: return .nothing
                case .noBufferSpace: return .overrun
                default: throw NetlinkError.system(error, operation: "receive")
                }
            }
            guard sender.netlinkPort == 0 else { continue }
            guard count <= buffer.count else { return .overrun }
            body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            return .datagram
        }
    }
}

/// Why something that netlink was asked for did not happen.
package enum NetlinkError: Error, Hashable, CustomStringConvertible {
    /// A system call failed.
    case system(Errno, operation: String)
    /// The kernel refused a request; `reason` is its own explanation, if it gave one.
    case refused(Errno, operation: String, reason: String?)
    /// The tables changed during each of several dumps.
    case unstableDump
    /// The kernel's answer made no sense, or did not come.
    case unexpectedAnswer(operation: String)

    /// The underlying error number, if there is one.
    package var errno: Errno? {
        switch self {
        case .system(let errno, _), .refused(let errno, _, _): errno
        case .unstableDump, .unexpectedAnswer: nil
        }
    }

    package var description: String {
        switch self {
        case .system(let errno, let operation):
            "netlink: \(operation): \(errno)\(Self.remedy(errno))"
        case .refused(let errno, let operation, let reason):
            "netlink: \(operation): \(errno)\(reason.map { " (\($0))" } ?? "")\(Self.remedy(errno))"
        case .unstableDump:
            "netlink: the network configuration changes too fast to be read; try again"
        case .unexpectedAnswer(let operation):
            "netlink: \(operation): no understandable answer from the kernel; report it with the output of uname -r"
        }
    }

    private static func remedy(_ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .permissionDenied: "; run as root or with CAP_NET_ADMIN"
        // Of all operations only the TUN device opens a file.
        case .noSuchFileOrDirectory: "; load the kernel module with: modprobe tun"
        default: ""
        }
    }
}
