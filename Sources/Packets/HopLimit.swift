/// Forwarding lowers the TTL (RFC 1812 section 5.3.1) or hop limit (RFC 8200 section 3) by one.
public enum HopLimit {
    /// Lowers it in place; the IPv4 checksum follows incrementally (RFC 1624).
    ///
    /// `ip` points at an IP header that `PacketSummary.parse` accepted.
    /// - Returns: false when it may not be forwarded: it would reach zero. The packet is then unchanged.
    @inlinable
    public static func decrement(_ ip: UnsafeMutableRawPointer) -> Bool {
        if ip.uint8(at: 0) >> 4 == 4 {
            let old = ip.uint16(at: 8)  // TTL and protocol: one word of the checksum
            guard old >> 8 > 1 else { return false }
            let new = old &- 0x0100
            ip.store(new, at: 8)
            ip.store(Checksum.update(checksum: ip.uint16(at: 10), from: old, to: new), at: 10)
        } else {
            let old = ip.uint8(at: 7)
            guard old > 1 else { return false }
            ip.store(old &- 1, at: 7)
        }
        return true
    }
}
