import Packets

/// Explicit congestion notification across the tunnel's end (RFC 6040 section 4.2).
public enum ECN {
    public static let notCapable: UInt8 = 0b00
    public static let capable1: UInt8 = 0b01
    public static let capable0: UInt8 = 0b10
    public static let congestionExperienced: UInt8 = 0b11

    /// RFC 6040 figure 4 as sixteen nibbles, the nibble `outer << 2 | inner` of this number. A nibble is the outgoing
    /// ECN field, plus 4 for a combination that is unused and dangerous ("!!!" or "!"), plus 8 for one to be dropped.
    ///
    ///     outer \\ inner   00   01   10   11
    ///     00 Not-ECT      00   01   10   11
    ///     01 ECT(1)       00!  01   01   11!
    ///     10 ECT(0)       00!  01!  10   11
    ///     11 CE           drop 11   11   11
    @inlinable
    static var decapsulation: UInt64 { 0x333C_3254_7114_3210 }

    @inlinable
    static var anomaly: UInt8 { 4 }

    @inlinable
    static var drop: UInt8 { 8 }

    /// The fate of a packet whose inner and outer traffic class (DS and ECN fields) are these: a nibble of the table.
    @inlinable
    @inline(__always)
    public static func decapsulate(inner: UInt8, outer: UInt8) -> UInt8 {
        let index = UInt64(outer & 3) << 2 | UInt64(inner & 3)
        return UInt8(truncatingIfNeeded: decapsulation &>> (index << 2)) & 0xF
    }

    /// Sets the ECN field of an IP packet whose header is known to be there, with the IPv4 checksum kept right.
    @usableFromInline
    @inline(never)
    static func set(_ field: UInt8, in ip: UnsafeMutableRawPointer, family: AddressFamily) {
        let word = UInt16(bigEndian: ip.loadUnaligned(as: UInt16.self))
        switch family {
        case .ipv4:
            let next = word & ~3 | UInt16(field)
            let checksum = UInt16(bigEndian: ip.loadUnaligned(fromByteOffset: 10, as: UInt16.self))
            let updated = Checksum.update(checksum: checksum, from: word, to: next)
            ip.storeBytes(of: next.bigEndian, as: UInt16.self)
            ip.storeBytes(of: updated.bigEndian, toByteOffset: 10, as: UInt16.self)
        case .ipv6:
            // The traffic class is bits 4...11 of the header.
            let next = word & ~0x30 | UInt16(field) << 4
            ip.storeBytes(of: next.bigEndian, as: UInt16.self)
        }
    }
}
