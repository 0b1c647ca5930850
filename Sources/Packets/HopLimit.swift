/// Forwarding lowers the TTL (RFC 1812 section 5.3.1) or hop limit (RFC 8200 section 3) by one.
public enum HopLimit {
    /// Lowers it in place; the IPv4 checksum follows incrementally (RFC 1624).
    ///
    /// `ip` points at an IP header that `PacketSummary.parse` accepted.
    /// - Returns: false when it may not be forwarded: it would reach zero. The packet is then unchanged.
    @inlinable
    @inline(__always)
    public static func decrement(_ ip: UnsafeMutableRawPointer) -> Bool {
        if ip.uint8(at: 0) >> 4 == 4 {
            guard ip.uint8(at: 8) > 1 else { return false }
            ip.store(ip.uint8(at: 8) &- 1, at: 8)
            // TTL is the high byte of its word, so the complement sum grows by 0x0100 in network order; the carry comes
            // around, and 0xFFFF, which no header of a packet has, becomes 0.
            let field = UInt32(ip.loadUnaligned(fromByteOffset: 10, as: UInt16.self))
            let sum = field &+ UInt32(UInt16(0x0100).bigEndian)
            let checksum = UInt16(truncatingIfNeeded: sum &+ (sum >= 0xFFFF ? 1 : 0))
            ip.storeBytes(of: checksum, toByteOffset: 10, as: UInt16.self)
        } else {
            let old = ip.uint8(at: 7)
            guard old > 1 else { return false }
            ip.store(old &- 1, at: 7)
        }
        return true
    }
}
