/// An IEEE 802 MAC address: six bytes, kept as three words in host order.
@frozen
public struct MACAddress: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline let word0: UInt16
    @usableFromInline let word1: UInt16
    @usableFromInline let word2: UInt16

    /// An address of the low 48 bits, first byte on the wire topmost: `0x0200_0000_0001` is 02:00:00:00:00:01.
    @inlinable
    public init(_ bits: UInt64) {
        word0 = UInt16(truncatingIfNeeded: bits >> 32)
        word1 = UInt16(truncatingIfNeeded: bits >> 16)
        word2 = UInt16(truncatingIfNeeded: bits)
    }

    /// Reads six bytes. The caller has checked that they are there.
    @inlinable
    public init(loading bytes: UnsafeRawPointer) {
        word0 = UInt16(bigEndian: bytes.loadUnaligned(as: UInt16.self))
        word1 = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        word2 = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    }

    /// Writes six bytes. The caller has checked that there is room.
    @inlinable
    public func store(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: word0.bigEndian, as: UInt16.self)
        bytes.storeBytes(of: word1.bigEndian, toByteOffset: 2, as: UInt16.self)
        bytes.storeBytes(of: word2.bigEndian, toByteOffset: 4, as: UInt16.self)
    }

    /// The 48 bits, first byte on the wire topmost.
    @inlinable
    public var bits: UInt64 { UInt64(word0) << 32 | UInt64(word1) << 16 | UInt64(word2) }

    /// ff:ff:ff:ff:ff:ff.
    public static let broadcast = MACAddress(0xFFFF_FFFF_FFFF)

    /// The group bit: a multicast or the broadcast address.
    @inlinable
    public var isGroup: Bool { word0 & 0x0100 != 0 }
}

extension MACAddress: LosslessStringConvertible {
    /// Six groups of two hexadecimal digits between colons.
    public init?(_ text: String) {
        let parts = Array(text.utf8).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 6 else { return nil }
        var bits: UInt64 = 0
        for part in parts {
            guard part.count == 2 else { return nil }
            for byte in part {
                guard let digit = AddressText.hexDigit(byte) else { return nil }
                bits = bits << 4 | UInt64(digit)
            }
        }
        self.init(bits)
    }

    public var description: String {
        (0..<6).map { index in
            let byte = bits >> UInt64(40 - 8 * index) & 0xFF
            return (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined(separator: ":")
    }
}
