/// ESP padding: 1, 2, 3, ... (RFC 4303 section 2.4).
public enum Padding {
    /// 1, 2, ... 16, as the bytes lie in memory.
    @inlinable
    static var pattern: UInt128 { 0x100F_0E0D_0C0B_0A09_0807_0605_0403_0201 }

    /// Writes `length` (0...15) bytes of padding, then the pad length and the next header. Always writes 16 bytes, and
    /// two more: the rest is overwritten by the ICV.
    @inlinable
    @inline(__always)
    public static func write(at end: UnsafeMutableRawPointer, length: Int, nextHeader: UInt8) {
        end.storeBytes(of: pattern.littleEndian, as: UInt128.self)
        let trailer = UInt16(truncatingIfNeeded: length) | UInt16(nextHeader) << 8
        end.storeBytes(of: trailer.littleEndian, toByteOffset: length, as: UInt16.self)
    }

    /// Whether the `length` (0...255) bytes before `end` are 1, 2, 3, ...
    ///
    /// The time never depends on the bytes, and on the length only where it is not what `alignmentMask` (3 or 15) makes
    /// of it. 16 bytes before `end` have to be readable, whatever the length: they are of the packet or its headers.
    @inlinable
    @inline(__always)
    public static func isValid(before end: UnsafeRawPointer, length: UInt8, alignmentMask: UInt8) -> Bool {
        if alignmentMask == 3 && length <= 3 {
            // The padding is the upper end of the word; what lies below is shifted out. Shifted in two steps, because
            // by all 32 bits at once (no padding) is not defined.
            let rest = 24 &- UInt32(length) &* 8
            let bytes = UInt32(littleEndian: end.loadUnaligned(fromByteOffset: -4, as: UInt32.self))
            let expected = ((UInt32(truncatingIfNeeded: pattern) &<< rest) &<< 8)
            return (((bytes ^ expected) &>> rest) &>> 8) == 0
        }
        if length <= 15 {
            let rest = UInt128(120 &- UInt32(length) &* 8)
            let bytes = UInt128(littleEndian: end.loadUnaligned(fromByteOffset: -16, as: UInt128.self))
            return (((bytes ^ ((pattern &<< rest) &<< 8)) &>> rest) &>> 8) == 0
        }
        return isLongValid(before: end, length: length)
    }

    /// Padding of 16 bytes and more, with which a peer may hide lengths (RFC 4303 section 2.4).
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
