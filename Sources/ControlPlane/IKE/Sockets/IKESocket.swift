import Glibc
import IKEv2
import Packets

/// One UDP socket for IKE: a family, a port, all local addresses, also those that come later.
///
/// It is read through NIO, which takes a descriptor of its own; datagrams are sent from here, because the source address
/// of each is chosen. All on one thread.
final class IKESocket {
    let family: AddressFamily
    /// The port as bound: not 0, even if 0 was asked for.
    let port: UInt16
    /// Whether IKE messages have a non-ESP marker here (RFC 3948 section 2.2).
    let hasMarker: Bool
    private let descriptor: Int32

    /// Bytes of the marker, all zero.
    static let markerLength = 4
    /// Some hundred handshakes that come at once should not be lost.
    private static let bufferInBytes: Int32 = 4 << 20
    /// The size of the buffer for strangers: what waits longer is not worth an answer any more.
    private static let strangersBufferInBytes: Int32 = 1 << 20

    /// Opens the socket; nil when the kernel does not have this family.
    static func open(
        _ family: AddressFamily, port: UInt16, hasMarker: Bool, address: IPAddress? = nil
    ) throws(IKESocketError) -> IKESocket? {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family.socketDomain, type, Int32(IPPROTO_UDP))
        guard descriptor >= 0 else {
            guard errno == EAFNOSUPPORT else { throw IKESocketError(family, port: port, call: "socket", code: errno) }
            return nil
        }
        setOptions(descriptor, family, receiveBuffer: bufferInBytes)
        let wanted = Endpoint(address ?? .unspecified(family), port: port)
        guard wanted.withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            // The kernel has IPv6, and it is turned off (net.ipv6.conf.all.disable_ipv6).
            if code == EADDRNOTAVAIL, address == nil { return nil }
            throw IKESocketError(family, port: port, call: "bind", code: code)
        }
        return IKESocket(family, port: boundPort(descriptor) ?? port, hasMarker: hasMarker, descriptor: descriptor)
    }

    /// A second socket at the same port, for strangers, to which `steering` leads their datagrams; nil when the kernel does
    /// not let us. The port was bound for this process alone before, so nobody else has joined.
    func openForStrangers(_ steering: PeerSteering, address: IPAddress? = nil) -> IKESocket? {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let second = socket(family.socketDomain, type, Int32(IPPROTO_UDP))
        guard second >= 0 else { return nil }
        Self.setOptions(second, family, receiveBuffer: Self.strangersBufferInBytes)
        // The order in which they come to share the port is the order of their numbers.
        for descriptor in [descriptor, second] { Self.set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        let wanted = Endpoint(address ?? .unspecified(family), port: port)
        guard wanted.withSocketAddress({ bind(second, $0, $1) }) == 0, steering.attach(to: descriptor) else {
            close(second)
            Self.set(descriptor, SOL_SOCKET, SO_REUSEPORT, 0)
            return nil
        }
        return IKESocket(family, port: port, hasMarker: hasMarker, descriptor: second)
    }

    private init(_ family: AddressFamily, port: UInt16, hasMarker: Bool, descriptor: Int32) {
        self.family = family
        self.port = port
        self.hasMarker = hasMarker
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func setOptions(_ descriptor: Int32, _ family: AddressFamily, receiveBuffer: Int32) {
        func set(_ level: Int32, _ name: Int32, _ value: Int32) { Self.set(descriptor, level, name, value) }
        // What comes before the socket is read has its local address too.
        if family == .ipv4 {
            set(Int32(IPPROTO_IP), Int32(IP_PKTINFO), 1)
        } else {
            set(Int32(IPPROTO_IPV6), Int32(IPV6_RECVPKTINFO), 1)
        }
        // A message may be larger than the path takes: it is fragmented by IP rather than lost (RFC 7296 section 2).
        if family == .ipv4 {
            set(Int32(IPPROTO_IP), Int32(IP_MTU_DISCOVER), Int32(IP_PMTUDISC_DONT))
        } else {
            set(Int32(IPPROTO_IPV6), Int32(IPV6_V6ONLY), 1)
            set(Int32(IPPROTO_IPV6), Int32(IPV6_MTU_DISCOVER), Int32(IPV6_PMTUDISC_DONT))
        }
        // Without CAP_NET_ADMIN the second is what the system allows.
        set(SOL_SOCKET, SO_RCVBUFFORCE, receiveBuffer)
        set(SOL_SOCKET, SO_SNDBUFFORCE, bufferInBytes)
    }

    private static func boundPort(_ descriptor: Int32) -> UInt16? {
        SourceAddress.endpoint { getsockname(descriptor, $0, $1) }?.port
    }

    /// Another descriptor of the same socket, for who reads; -1 when the process has too many.
    func duplicate() -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }

    /// Sends one datagram from `source`. Returns 0 or the errno.
    ///
    /// - Parameter interface: the way out; 0: as the kernel's routes say.
    func send(_ bytes: [UInt8], from source: IPAddress, to remote: Endpoint, marker: Bool, interface: UInt32) -> Int32 {
        guard source.family == family, remote.address.family == family else { return EAFNOSUPPORT }
        return DatagramSender(descriptor: descriptor).send(
            bytes, prefix: marker ? Self.markerLength : 0, from: source, to: remote, interface: interface)
    }
}

/// Why an IKE socket could not be opened: what was wrong, and what to do.
package struct IKESocketError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// - Parameters:
    ///   - call: the system call that failed.
    ///   - code: its errno.
    init(_ family: AddressFamily, port: UInt16, call: String, code: Int32) {
        let what = "UDP port \(port) (\(family.name))"
        switch code {
        case EADDRINUSE:
            let holder = PortHolder.find(family, port: port) ?? "another process"
            description =
                "\(what) is in use by \(holder); IKEv2 needs it: stop that (`ss -ulpn 'sport = :\(port)'` shows it, "
                + "`systemctl disable --now strongswan strongswan-starter` ends a strongSwan), then start again"
        case EACCES, EPERM:
            description = "\(what): no permission to open it; run as root, or grant CAP_NET_BIND_SERVICE"
        default:
            description = "\(what): \(call): \(String(cString: strerror(code)))"
        }
    }
}

/// Finds out which process has a UDP port, as far as procfs lets us see.
enum PortHolder {
    /// "charon (process 4711)"; nil when it cannot be found out.
    static func find(_ family: AddressFamily, port: UInt16) -> String? {
        // A socket of both families, which has the port in IPv4 too, is listed with the IPv6 ones.
        let tables = family == .ipv4 ? ["udp", "udp6"] : ["udp6"]
        let taken = Set(tables.flatMap { inodes(inTable: read("/proc/thread-self/net/\($0)"), port: port) })
        guard !taken.isEmpty else { return nil }
        for process in entries("/proc") {
            guard let id = Int(process) else { continue }
            for descriptor in entries("/proc/\(process)/fd")
            where target("/proc/\(process)/fd/\(descriptor)").map({ taken.contains($0) }) ?? false {
                let name = read("/proc/\(process)/comm").split(separator: "\n").first.map(String.init)
                return "\(name ?? "a process") (process \(id))"
            }
        }
        return nil
    }

    /// Column 10 of the lines of `/proc/net/udp` whose local port, in hexadecimal behind the colon, is `port`.
    static func inodes(inTable text: String, port: UInt16) -> [String] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let columns = line.split(separator: " ")
            guard columns.count > 9, let digits = columns[1].split(separator: ":").last,
                UInt16(digits, radix: 16) == port
            else { return nil }
            return "socket:[\(columns[9])]"
        }
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                    String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    private static func target(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = buffer.withUnsafeMutableBytes { raw in
            raw.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), raw.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    private static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while text.count < 1 << 24 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer.prefix(count)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
