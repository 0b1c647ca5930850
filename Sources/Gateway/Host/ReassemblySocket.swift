import CLinux
import Glibc
import Packets

/// A raw socket that gives us ESP which came in fragments: the steering program leaves fragments to the kernel, and the
/// kernel gives raw sockets what it has put together.
///
/// Four of them: ESP itself and ESP in UDP (RFC 3948), of either family. ESP that came whole by a WAN port is never here.
struct ReassemblySocket: ~Copyable {
    /// Non-blocking.
    let fileDescriptor: Int32
    private let family: AddressFamily
    private let protocolNumber: UInt8

    /// Control data of a packet: its destination and its traffic class.
    private static let roomForControl = 128

    /// Opens the socket; nil when the kernel does not let us, or does not have this family.
    init?(_ family: AddressFamily, protocolNumber: UInt8) {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family == .ipv4 ? AF_INET : AF_INET6, type, Int32(protocolNumber))
        guard descriptor >= 0 else { return nil }
        var isReady = true
        if family == .ipv6 {
            var one: Int32 = 1
            for option in [IPV6_RECVPKTINFO, IPV6_RECVTCLASS] {
                let length = socklen_t(MemoryLayout<Int32>.size)
                isReady = isReady && setsockopt(descriptor, Int32(IPPROTO_IPV6), Int32(option), &one, length) == 0
            }
        }
        if protocolNumber == IPProtocol.udp {
            isReady = isReady && SocketFilter.encapsulatedESP(family).attach(to: descriptor)
        }
        guard isReady else {
            close(descriptor)
            return nil
        }
        fileDescriptor = descriptor
        self.family = family
        self.protocolNumber = protocolNumber
    }

    deinit { close(fileDescriptor) }

    /// The result of a read.
    enum Outcome {
        case nothing
        /// A complete IP packet of so many bytes.
        case packet(Int)
        /// Something that is longer than the buffer, or of which the kernel does not tell the destination.
        case unusable
    }

    /// Writes the next packet into the buffer, with its IP header.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        // IPv6 comes without its header.
        let headerLength = family == .ipv4 ? 0 : IPv6Header.length
        guard let start = buffer.baseAddress, buffer.count > headerLength else { return .unusable }
        return withUnsafeTemporaryAllocation(byteCount: Self.roomForControl, alignment: 16) { control in
            var part = iovec(iov_base: start + headerLength, iov_len: buffer.count - headerLength)
            var source = sockaddr_in6()
            var message = msghdr()
            let length = withUnsafeMutablePointer(to: &part) { part in
                withUnsafeMutablePointer(to: &source) { name in
                    message.msg_name = UnsafeMutableRawPointer(name)
                    message.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return recvmsg(fileDescriptor, &message, 0)
                }
            }
            if length < 0 { return .nothing }
            let isCut = message.msg_flags & (Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)) != 0
            guard !isCut else { return .unusable }
            if family == .ipv4 { return .packet(length) }
            let info = PacketInformation(UnsafeRawBufferPointer(rebasing: control[..<Int(message.msg_controllen)]))
            guard let destination = info.destination, length <= Int(UInt16.max) else { return .unusable }
            writeHeader(
                at: start, payloadLength: UInt16(length), source: source, destination: destination,
                trafficClass: info.trafficClass)
            return .packet(headerLength + length)
        }
    }

    /// The IPv6 header as it was, but for flow label and hop limit, which nobody reads.
    private func writeHeader(
        at start: UnsafeMutableRawPointer, payloadLength: UInt16, source: sockaddr_in6, destination: IPAddress,
        trafficClass: UInt8
    ) {
        let word = UInt32(6) << 28 | UInt32(trafficClass) << 20
        start.storeBytes(of: word.bigEndian, as: UInt32.self)
        start.storeBytes(of: payloadLength.bigEndian, toByteOffset: 4, as: UInt16.self)
        start.storeBytes(of: protocolNumber, toByteOffset: 6, as: UInt8.self)
        start.storeBytes(of: 64, toByteOffset: 7, as: UInt8.self)
        withUnsafeBytes(of: source.sin6_addr) { bytes in
            if let base = bytes.baseAddress { (start + 8).copyMemory(from: base, byteCount: 16) }
        }
        destination.store(to: start + 24)
    }
}

/// All of them that there are.
final class ReassemblySockets {
    private let sockets: UnsafeMutablePointer<ReassemblySocket>
    private(set) var count = 0

    /// `isWanted`: false makes none.
    init(isWanted: Bool) {
        sockets = .allocate(capacity: 4)
        guard isWanted else { return }
        for family in [AddressFamily.ipv4, .ipv6] {
            for number in [IPProtocol.esp, IPProtocol.udp] {
                guard let socket = ReassemblySocket(family, protocolNumber: number) else { continue }
                (sockets + count).initialize(to: socket)
                count += 1
            }
        }
    }

    deinit {
        sockets.deinitialize(count: count)
        sockets.deallocate()
    }

    var descriptors: [Int32] { (0..<count).map { sockets[$0].fileDescriptor } }

    func read(_ index: Int, into buffer: UnsafeMutableRawBufferPointer) -> ReassemblySocket.Outcome {
        sockets[index].read(into: buffer)
    }
}

/// The contents of the control messages of a received IPv6 packet (RFC 3542 sections 6.2 and 6.5).
private struct PacketInformation {
    var destination: IPAddress?
    var trafficClass: UInt8 = 0

    /// Length, level, type.
    private static let headerLength = 16

    init(_ control: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + Self.headerLength <= control.count {
            let length = control.loadUnaligned(fromByteOffset: offset, as: Int.self)
            let level = control.loadUnaligned(fromByteOffset: offset + 8, as: Int32.self)
            let type = control.loadUnaligned(fromByteOffset: offset + 12, as: Int32.self)
            guard length >= Self.headerLength, length <= control.count - offset else { return }
            let data = UnsafeRawBufferPointer(rebasing: control[(offset + Self.headerLength)..<(offset + length)])
            if level == Int32(IPPROTO_IPV6), type == Int32(IPV6_PKTINFO), data.count >= 16, let base = data.baseAddress
            {
                destination = IPAddress(loading: base, family: .ipv6)
            } else if level == Int32(IPPROTO_IPV6), type == Int32(IPV6_TCLASS), data.count >= 4 {
                trafficClass = UInt8(truncatingIfNeeded: data.loadUnaligned(as: Int32.self))
            }
            offset += (length + 7) & ~7
        }
    }
}

/// A program of the classic packet filter for a socket (socket(7), SO_ATTACH_FILTER): which packets reach it at all.
struct SocketFilter {
    private let instructions: [sock_filter]

    /// None.
    static var nothing: SocketFilter { SocketFilter([(Code.answer, 0, 0, 0)]) }

    /// On a raw UDP socket: ESP on port 4500, known by its SPI, which is not 0 (RFC 3948 section 2). A packet that ends before
    /// what is looked at is refused. IPv4 packets have their IP header, IPv6 packets none.
    static func encapsulatedESP(_ family: AddressFamily) -> SocketFilter {
        let isIPv4 = family == .ipv4
        let header: [(Code, UInt8, UInt8, UInt32)] = isIPv4 ? [(.headerLength, 0, 0, 0)] : []
        return SocketFilter(
            header + [
                (isIPv4 ? .halfBehindHeader : .half, 0, 0, 2),
                (.isEqual, 0, 3, 4500),
                (isIPv4 ? .wordBehindHeader : .word, 0, 0, 8),
                (.isEqual, 1, 0, 0),
                (.answer, 0, 0, .max),
                (.answer, 0, 0, 0),
            ])
    }

    /// Instruction codes of linux/filter.h, put together.
    private enum Code: UInt16 {
        /// Four times the low half of a byte, into the index register.
        case headerLength = 0xB1
        case half = 0x28
        case halfBehindHeader = 0x48
        case word = 0x20
        case wordBehindHeader = 0x40
        case isEqual = 0x15
        case answer = 0x06
    }

    private init(_ instructions: [(Code, UInt8, UInt8, UInt32)]) {
        self.instructions = instructions.map { sock_filter(code: $0.0.rawValue, jt: $0.1, jf: $0.2, k: $0.3) }
    }

    /// False when the kernel does not take it.
    func attach(to descriptor: Int32) -> Bool {
        var program = instructions
        return program.withUnsafeMutableBufferPointer { buffer in
            var whole = sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
            let length = socklen_t(MemoryLayout<sock_fprog>.size)
            return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &whole, length) == 0
        }
    }
}
