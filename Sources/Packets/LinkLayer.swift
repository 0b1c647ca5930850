/// The Ethernet header in front of an IP packet, with at most one VLAN tag: the steering program lets no more pass, and a frame
/// with two carries a tag and no IP packet.
@frozen
public struct LinkLayer {
    /// 14 or 18 bytes.
    public var headerLength = LinkLayer.untaggedLength
    public var family = AddressFamily.ipv4

    @inlinable public init() {}

    @inlinable public static var untaggedLength: Int { 14 }
    @inlinable public static var taggedLength: Int { 18 }

    /// False when the frame is too short or carries something else than IP.
    @inlinable @inline(__always)
    public mutating func parse(_ start: UnsafeMutableRawPointer, available: Int) -> Bool {
        guard available >= LinkLayer.untaggedLength else { return false }
        var type = start.loadUnaligned(fromByteOffset: 12, as: UInt16.self)
        if type == EtherType.vlan.bigEndian || type == EtherType.serviceVLAN.bigEndian {
            guard available >= LinkLayer.taggedLength else { return false }
            type = start.loadUnaligned(fromByteOffset: 16, as: UInt16.self)
            headerLength = LinkLayer.taggedLength
        }
        if type == EtherType.ipv4.bigEndian {
            family = .ipv4
            return true
        }
        family = .ipv6
        return type == EtherType.ipv6.bigEndian
    }

    /// The VLAN of a frame: its 802.1Q identifier; 0 for none, and for a tag that says no more than a priority. `headerLength`
    /// bytes were parsed before.
    public static func vlan(_ start: UnsafeRawPointer, headerLength: Int) -> UInt16 {
        guard headerLength == taggedLength, start.uint16(at: 12) == EtherType.vlan else { return 0 }
        return start.uint16(at: 14) & 0xFFF
    }

    /// Writes the type of a packet right before it, where its Ethernet header ends.
    @inlinable
    public static func writeType(before packet: UnsafeMutableRawPointer) {
        let type = AddressFamily(ofPacketAt: packet).etherType.bigEndian
        packet.storeBytes(of: type, toByteOffset: -2, as: UInt16.self)
    }
}
