/// ESP padding: 1, 2, 3, ... (RFC 4303 section 2.4).
public enum Padding {
    /// What the last 16 bytes of padding are relative to their number: byte `i` is `i - 15 + length` if that is
    /// positive, else it is not padding.
    @inlinable
    static var slope: SIMD16<Int8> {
        SIMD16(-15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0)
    }

    /// Writes `length` (0...15) bytes of padding, then the pad length and the next header. Always writes 16 bytes, and
    /// two more: the rest is overwritten by the ICV.
    @inlinable
    @inline(__always)
    public static func write(at end: UnsafeMutableRawPointer, length: Int, nextHeader: UInt8) {
        end.storeBytes(of: 0x0807_0605_0403_0201 as UInt64, as: UInt64.self)
        end.storeBytes(of: 0x100F_0E0D_0C0B_0A09 as UInt64, toByteOffset: 8, as: UInt64.self)
        let trailer = UInt16(truncatingIfNeeded: length) | UInt16(nextHeader) << 8
        end.storeBytes(of: trailer.littleEndian, toByteOffset: length, as: UInt16.self)
    }

    /// Whether the `length` (0...255) bytes before `end` are 1, 2, 3, ...
    ///
    /// The time depends on the length at most, never on the bytes. 16 bytes before `end` have to be readable, whatever
    /// the length: they are part of the packet or of its headers.
    @inlinable
    @inline(__always)
    public static func isValid(before end: UnsafeRawPointer, length: UInt8) -> Bool {
        if length > 15 { return isLongValid(before: end, length: length) }
        let bytes = end.loadUnaligned(fromByteOffset: -16, as: SIMD16<Int8>.self)
        let expected = slope &+ SIMD16(repeating: Int8(truncatingIfNeeded: length))
        let wrong = (bytes .!= expected) .& (expected .> SIMD16<Int8>(repeating: 0))
        return !any(wrong)
    }

    /// Padding of 16 bytes and more: traffic flow confidentiality of peers that pad so (RFC 4303 section 2.4).
    @usableFromInline
    @inline(never)
    static func isLongValid(before end: UnsafeRawPointer, length: UInt8) -> Bool {
        let start = end - Int(length)
        var difference: UInt8 = 0
        for offset in 0..<Int(length) {
            difference |= start.load(fromByteOffset: offset, as: UInt8.self) ^ UInt8(truncatingIfNeeded: offset &+ 1)
        }
        return difference == 0
    }
}
