import CLinux
import Glibc
import SystemPackage

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

    let fileDescriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    /// The kernel fills at most 32 KiB of a dump, and notifications are far shorter.
    private static let bufferSize = 64 * 1024
    /// `NETLINK_…` socket options need the level of linux/socket.h.
    private static let level: Int32 = 270

    /// - Parameter family: `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    init(_ family: Int32 = NETLINK_ROUTE, receiveTimeoutSeconds: Int) throws(NetlinkError) {
        fileDescriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family)
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
        guard fileDescriptor >= 0 else { throw .system(Errno(rawValue: errno), operation: "open a socket") }
        var address = Self.kernelAddress
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fileDescriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else { throw .system(Errno(rawValue: errno), operation: "bind") }
        // Explanations with errors, without the request repeated, and no field silently ignored. Kernels before 4.20
        // lack the last one and work without.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] { _ = set(Int32(option), to: 1) }
        var timeout = timeval(tv_sec: receiveTimeoutSeconds, tv_usec: 0)
        guard
            setsockopt(fileDescriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size)) == 0
        else { throw .system(Errno(rawValue: errno), operation: "set the timeout") }
    }

    deinit {
        if fileDescriptor >= 0 { close(fileDescriptor) }
        buffer.deallocate()
    }

    private static var kernelAddress: sockaddr_nl {
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        return address
    }

    private func set(_ option: Int32, to value: Int32) -> Bool {
        var value = value
        return setsockopt(fileDescriptor, Self.level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Receives what the kernel tells all members of `group` from now on.
    func join(_ group: rtnetlink_groups) throws(NetlinkError) {
        guard set(Int32(NETLINK_ADD_MEMBERSHIP), to: Int32(bitPattern: group.rawValue)) else {
            throw .system(Errno(rawValue: errno), operation: "subscribe")
        }
    }

    /// Room for bursts: with the usual 208 KiB a few thousand routes at once overflow.
    func enlargeReceiveBuffer(toBytes size: Int32) {
        var size = size
        // SO_RCVBUFFORCE needs CAP_NET_ADMIN; failing that, as much as the limit allows.
        let length = socklen_t(MemoryLayout<Int32>.size)
        if setsockopt(fileDescriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, length) != 0 {
            setsockopt(fileDescriptor, SOL_SOCKET, SO_RCVBUF, &size, length)
        }
    }

    /// A message longer than the send buffer is refused whole: with the usual 208 KiB a few thousand set elements.
    func enlargeSendBuffer(toBytes size: Int) {
        var size = Int32(clamping: size)
        setsockopt(fileDescriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    func send(_ message: MessageWriter) throws(NetlinkError) { try send(message.bytes) }

    /// Sends one datagram of one or more messages.
    func send(_ datagram: [UInt8]) throws(NetlinkError) {
        let sent = datagram.withUnsafeBytes { bytes in
            var address = Self.kernelAddress
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        fileDescriptor, bytes.baseAddress, bytes.count, 0, $0,
                        socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
        guard sent == datagram.count else { throw .system(Errno(rawValue: errno), operation: "send") }
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
            var sender = sockaddr_nl()
            var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let flags = Int32(MSG_TRUNC) | (wait ? 0 : Int32(MSG_DONTWAIT))
            let count = withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(fileDescriptor, buffer.baseAddress, buffer.count, flags, $0, &length)
                }
            }
            if count < 0 {
                switch Errno(rawValue: errno) {
                case .interrupted: continue
                case .wouldBlock: return .nothing
                case .noBufferSpace: return .overrun
                case let error: throw .system(error, operation: "receive")
                }
            }
            guard sender.nl_pid == 0 else { continue }
            guard count <= buffer.count else { return .overrun }
            body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            return .datagram
        }
    }
}
