import IKEv2
import Packets
import Platform

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
    private let socket: Socket

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
        let socket: Socket
        do { socket = try Socket(.udp(family), isNonBlocking: true) } catch {
            if error == .addressFamilyNotSupported { return nil }
            throw IKESocketError(family, port: port, call: "socket", error)
        }
        setOptions(socket, family, receiveBuffer: bufferInBytes)
        let wanted = Endpoint(address ?? .unspecified(family), port: port)
        do { try socket.bind(to: wanted.kernelAddress()) } catch {
            // The kernel has IPv6, and it is turned off (net.ipv6.conf.all.disable_ipv6).
            if error == .addressNotAvailable, address == nil { return nil }
            throw IKESocketError(family, port: port, call: "bind", error)
        }
        return IKESocket(family, port: boundPort(socket) ?? port, hasMarker: hasMarker, socket: socket)
    }

    /// A second socket at the same port, for strangers, to which `steering` leads their datagrams; nil when the kernel does
    /// not let us. The port was bound for this process alone before, so nobody else has joined.
    func openForStrangers(_ steering: PeerSteering, address: IPAddress? = nil) -> IKESocket? {
        guard let second = try? Socket(.udp(family), isNonBlocking: true) else { return nil }
        Self.setOptions(second, family, receiveBuffer: Self.strangersBufferInBytes)
        // The order in which they come to share the port is the order of their numbers.
        try? socket.turnOn(.sharesPort)
        try? second.turnOn(.sharesPort)
        let wanted = Endpoint(address ?? .unspecified(family), port: port)
        do {
            try second.bind(to: wanted.kernelAddress())
            try steering.attach(to: socket)
        } catch {
            try? socket.set(.sharesPort, to: Int32(0))
            return nil
        }
        return IKESocket(family, port: port, hasMarker: hasMarker, socket: second)
    }

    private init(_ family: AddressFamily, port: UInt16, hasMarker: Bool, socket: consuming Socket) {
        self.family = family
        self.port = port
        self.hasMarker = hasMarker
        self.socket = socket
    }

    private static func setOptions(_ socket: borrowing Socket, _ family: AddressFamily, receiveBuffer: Int32) {
        // What comes before the socket is read has its local address too.
        try? socket.turnOn(.receivesPacketInformation(family))
        // A message may be larger than the path takes: it is fragmented by IP rather than lost (RFC 7296 section 2).
        socket.allowFragments(family)
        if family == .ipv6 { try? socket.turnOn(.ipv6Only) }
        socket.setReceiveBuffer(bytes: receiveBuffer)
        socket.setSendBuffer(bytes: bufferInBytes)
    }

    private static func boundPort(_ socket: borrowing Socket) -> UInt16? {
        (try? socket.localAddress())?.internet?.port
    }

    /// Another descriptor of the same socket, for its reader.
    func duplicate() throws(Errno) -> Descriptor { try Descriptor(copying: socket.number) }

    /// Sends one datagram from `source`. Returns nil, or why it was not sent.
    ///
    /// - Parameter interface: the way out; 0: as the kernel's routes say.
    func send(_ bytes: [UInt8], from source: IPAddress, to remote: Endpoint, marker: Bool, interface: UInt32) -> Errno?
    {
        guard source.family == family, remote.address.family == family else { return .addressFamilyNotSupported }
        return PacketInformation.send(
            bytes, prefix: marker ? Self.markerLength : 0, from: source, to: remote.kernelAddress(scope: interface),
            interface: interface, by: socket)
    }
}

/// Reason why an IKE socket could not be opened.
package struct IKESocketError: OperatorError, Hashable, Sendable {
    package let problem: Problem

    /// - Parameters:
    ///   - call: the system call that failed.
    ///   - reason: the kernel's.
    init(_ family: AddressFamily, port: UInt16, call: String, _ reason: Errno) {
        let what = "UDP port \(port) (\(family.name))"
        switch reason {
        case .addressInUse:
            let holder = PortHolder.find(family, port: port) ?? "another process"
            problem = Problem(
                "\(what) is in use by \(holder)",
                remedy: "IKEv2 needs it: stop that (`ss -ulpn 'sport = :\(port)'` shows it, "
                    + "`systemctl disable --now strongswan strongswan-starter` ends a strongSwan), then start again")
        case .permissionDenied, .notPermitted:
            problem = Problem(
                "\(what): no permission to open it", remedy: "run as root, or grant CAP_NET_BIND_SERVICE")
        default:
            problem = Problem("\(what): \(call): \(reason)")
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

    private static func entries(_ path: String) -> [String] { (try? Files.names(in: path)) ?? [] }

    private static func target(_ path: String) -> String? { try? Files.target(ofLink: path) }

    private static func read(_ path: String) -> String { Files.text(of: path) ?? "" }
}
