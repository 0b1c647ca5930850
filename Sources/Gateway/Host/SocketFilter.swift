import CLinux
import Glibc
import Packets

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

    /// Of linux/filter.h, put together.
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
