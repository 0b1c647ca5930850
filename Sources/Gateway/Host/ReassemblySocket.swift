import CLinux
import Packets
import Platform

/// A raw socket that gives us ESP which came in fragments: the steering program leaves fragments to the kernel, and the
/// kernel gives raw sockets what it has put together.
///
/// Four of them: ESP itself and ESP in UDP (RFC 3948), of either family. ESP that came whole by a WAN port is never here.
struct ReassemblySocket: ~Copyable {
    private let socket: Socket
    private let family: AddressFamily
    private let protocolNumber: UInt8

    /// Non-blocking.
    var fileDescriptor: Int32 { socket.number }

    /// Opens the socket; nil when the kernel does not let us, or does not have this family.
    init?(_ family: AddressFamily, protocolNumber: UInt8) {
        let kind = Socket.Kind.raw(family, protocolNumber: protocolNumber)
        guard let socket = try? Socket(kind, isNonBlocking: true) else { return nil }
        if family == .ipv6 {
            do {
                try socket.turnOn(.receivesPacketInformation(family))
                try socket.turnOn(.receivesTrafficClass)
            } catch {
                return nil
            }
        }
        if protocolNumber == IPProtocol.udp, !SocketFilter.encapsulatedESP(family).attach(to: socket) { return nil }
        self.socket = socket
        self.family = family
        self.protocolNumber = protocolNumber
    }

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
        let body = UnsafeMutableRawBufferPointer(rebasing: buffer[headerLength...])
        guard let packet = PacketInformation.receive(into: body, by: socket) else { return .nothing }
        guard !packet.isCut else { return .unusable }
        if family == .ipv4 { return .packet(packet.count) }
        guard let source = packet.source, let destination = packet.destination, packet.count <= Int(UInt16.max)
        else { return .unusable }
        writeHeader(
            at: start, payloadLength: UInt16(packet.count), source: source, destination: destination,
            trafficClass: packet.trafficClass)
        return .packet(headerLength + packet.count)
    }

    /// The IPv6 header as it was, but for flow label and hop limit, which nobody reads.
    private func writeHeader(
        at start: UnsafeMutableRawPointer, payloadLength: UInt16, source: IPAddress, destination: IPAddress,
        trafficClass: UInt8
    ) {
        let word = UInt32(6) << 28 | UInt32(trafficClass) << 20
        start.storeBytes(of: word.bigEndian, as: UInt32.self)
        start.storeBytes(of: payloadLength.bigEndian, toByteOffset: 4, as: UInt16.self)
        start.storeBytes(of: protocolNumber, toByteOffset: 6, as: UInt8.self)
        start.storeBytes(of: 64, toByteOffset: 7, as: UInt8.self)
        source.store(to: start + 8)
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
                (.isEqual, 0, 3, UInt32(IPsecPort.encapsulation)),
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
    func attach(to socket: borrowing Socket) -> Bool { (try? socket.setFilter(instructions)) != nil }
}
