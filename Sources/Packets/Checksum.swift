/// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
///
/// A *partial sum* is a 64-bit accumulator of words as they lie in memory, so that nothing is swapped per word
/// (RFC 1071 section 2, "byte order independence"). A *checksum* is the 16-bit field value in host order.
public enum Checksum {
    /// Adds `count` bytes to a partial sum, eight at a time. An odd last byte counts as if followed by a zero byte,
    /// so only the last piece of a packet may be odd.
    @inlinable
    public static func sum(_ bytes: UnsafeRawPointer, count: Int, initial: UInt64 = 0) -> UInt64 {
        var sum = initial
        var carries: UInt64 = 0
        var offset = 0
        while count &- offset >= 8 {
            add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), to: &sum, carries: &carries)
            offset &+= 8
        }
        if count &- offset >= 4 {
            let word = UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            add(word, to: &sum, carries: &carries)
            offset &+= 4
        }
        if count &- offset >= 2 {
            let word = UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            add(word, to: &sum, carries: &carries)
            offset &+= 2
        }
        if count &- offset == 1 {
            let byte = UInt16(bytes.loadUnaligned(fromByteOffset: offset, as: UInt8.self))
            add(UInt64((byte << 8).bigEndian), to: &sum, carries: &carries)
        }
        return combine(sum, carries)
    }

    /// Adds two partial sums; the carry comes around.
    @inlinable
    public static func combine(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        // The truncated sum of two 64-bit numbers that overflowed is at most 2^64 - 2: one more cannot overflow.
        return sum &+ (overflow ? 1 : 0)
    }

    @inlinable
    static func add(_ word: UInt64, to sum: inout UInt64, carries: inout UInt64) {
        let (result, overflow) = sum.addingReportingOverflow(word)
        sum = result
        carries &+= overflow ? 1 : 0
    }

    /// The 16-bit ones' complement sum of a partial sum, words still as they lie in memory.
    @inlinable
    public static func fold(_ sum: UInt64) -> UInt16 {
        var folded = (sum & 0xFFFF_FFFF) &+ (sum >> 32)
        folded = (folded & 0xFFFF_FFFF) &+ (folded >> 32)
        folded = (folded & 0xFFFF) &+ (folded >> 16)
        folded = (folded & 0xFFFF) &+ (folded >> 16)
        return UInt16(truncatingIfNeeded: folded)
    }

    /// The value for a checksum field (host order) whose packet has this partial sum.
    @inlinable
    public static func complement(_ sum: UInt64) -> UInt16 { ~UInt16(bigEndian: fold(sum)) }

    /// The checksum (host order) of `count` bytes in which the checksum field is zero, on top of a partial sum.
    /// Over bytes that include a correct checksum the result is 0.
    @inlinable
    public static func internet(_ bytes: UnsafeRawPointer, count: Int, initial: UInt64 = 0) -> UInt16 {
        complement(sum(bytes, count: count, initial: initial))
    }

    /// Whether an IPv4 header sums to all ones, as a correct one does. `headerLength` is a multiple of 4, 20...60.
    @inlinable @inline(__always)
    public static func isIPv4HeaderValid(_ ip: UnsafeRawPointer, headerLength: Int) -> Bool {
        // The option-less header as five 32-bit words in 64 bits: no carry to look after.
        var words = UInt64(ip.loadUnaligned(as: UInt32.self))
        words &+= UInt64(ip.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        words &+= UInt64(ip.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        words &+= UInt64(ip.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        words &+= UInt64(ip.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
        if headerLength > 20 { words = sum(ip + 20, count: headerLength &- 20, initial: words) }
        return fold(words) == 0xFFFF
    }

    /// The partial sum of the TCP, UDP or ICMPv6 pseudo header (RFC 793 section 3.1, RFC 8200 section 8.1).
    ///
    /// `length` is that of the transport header and data in bytes. Both addresses are of one family.
    @inlinable
    public static func pseudoHeader(
        source: IPAddress, destination: IPAddress, protocol number: UInt8, length: UInt32
    ) -> UInt64 {
        var sum = combine(source.high.bigEndian, source.low.bigEndian)
        sum = combine(sum, combine(destination.high.bigEndian, destination.low.bigEndian))
        sum = combine(sum, UInt64(length.bigEndian))
        return combine(sum, UInt64(UInt16(number).bigEndian))
    }

    /// A UDP checksum that came out as zero is sent as all ones: zero means "none" (RFC 768).
    @inlinable
    public static func udpField(_ checksum: UInt16) -> UInt16 { checksum == 0 ? 0xFFFF : checksum }
}

// MARK: - Incremental update

extension Checksum {
    /// RFC 1624 equation 3, `HC' = ~(~HC + ~m + m')`: the checksum after one 16-bit word changed. All in host order.
    @inlinable
    public static func update(checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) &+ UInt32(~old) &+ UInt32(new)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// The same for a 32-bit field that begins at an even offset.
    @inlinable
    public static func update(checksum: UInt16, from old: UInt32, to new: UInt32) -> UInt16 {
        let sum = UInt64(~checksum) &+ UInt64(~old) &+ UInt64(new)
        return ~fold(sum)
    }
}
