import Packets

/// The Ethernet header in front of an IP packet, with at most one VLAN tag (the steering program lets no more pass).
struct LinkLayer {
    /// 14 or 18 bytes.
    var headerLength = 14
    var family = AddressFamily.ipv4

    /// EtherTypes as they lie in the header. Computed, as a stored one would be initialised under a lock at its first use.
    static var ipv4: UInt16 { UInt16(0x0800).bigEndian }
    static var ipv6: UInt16 { UInt16(0x86DD).bigEndian }
    static var vlan: UInt16 { UInt16(0x8100).bigEndian }
    static var serviceVLAN: UInt16 { UInt16(0x88A8).bigEndian }

    /// False when the frame is too short or carries something else than IP.
    @inline(__always)
    mutating func parse(_ start: UnsafeMutableRawPointer, available: Int) -> Bool {
        guard available >= 14 else { return false }
        var type = start.loadUnaligned(fromByteOffset: 12, as: UInt16.self)
        if type == LinkLayer.vlan || type == LinkLayer.serviceVLAN {
            guard available >= 18 else { return false }
            type = start.loadUnaligned(fromByteOffset: 16, as: UInt16.self)
            headerLength = 18
        }
        if type == LinkLayer.ipv4 {
            family = .ipv4
            return true
        }
        family = .ipv6
        return type == LinkLayer.ipv6
    }
}
