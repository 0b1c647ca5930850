/// The Security Parameters Index of an ESP or AH SA (RFC 4303 section 2.1, RFC 4302 section 2.4): 32 bits, which with the
/// protocol name an inbound SA of the receiver. 0 is never used on the wire, and 1 to 255 are reserved.
@frozen
public struct SPI: Hashable, BitwiseCopyable, Sendable {
    /// In host order.
    public let value: UInt32

    /// The SPI with this value in host order.
    @inlinable
    @inline(__always)
    public init(_ value: UInt32) { self.value = value }

    /// The SPI whose four bytes were loaded as they lie in a packet.
    @inlinable
    @inline(__always)
    public init(networkOrder: UInt32) { value = UInt32(bigEndian: networkOrder) }

    /// Its four bytes as they lie in a packet, to be stored as one word.
    @inlinable
    @inline(__always)
    public var networkOrder: UInt32 { value.bigEndian }

    /// Whether it may name an SA on the wire: 256 and up (RFC 4303 section 2.1).
    @inlinable public var isUsable: Bool { value > 255 }

    /// The number of bytes of an SPI in a packet and in an IKEv2 payload.
    public static let length = 4

    /// The SPI in the bytes of an IKEv2 payload; nil: they are not four.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Its four bytes in network order, as in an IKEv2 payload.
    public var bytes: [UInt8] { withUnsafeBytes(of: networkOrder) { Array($0) } }
}

extension SPI: Comparable {
    @inlinable
    public static func < (left: SPI, right: SPI) -> Bool { left.value < right.value }

    /// The SPI so many further on, in a series of them.
    public static func + (first: SPI, offset: UInt32) -> SPI { SPI(first.value &+ offset) }

    public static func += (spi: inout SPI, offset: UInt32) { spi = spi + offset }
}

extension SPI: CustomStringConvertible {
    /// Its eight hexadecimal digits, as swanctl and charon show an SPI: `00001001`.
    public var digits: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// `0x` and all eight digits, as every log and document of ours shows an SPI: `0x00001001`.
    public var description: String { "0x" + digits }
}

extension SPI: ExpressibleByIntegerLiteral {
    @inlinable
    public init(integerLiteral value: UInt32) { self.value = value }
}
