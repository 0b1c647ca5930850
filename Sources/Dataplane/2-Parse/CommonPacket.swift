import Packets

/// Reads the packets that nearly all traffic consists of without a `PacketSummary`: TCP, UDP and ICMP right behind an
/// IPv4 header without options or an IPv6 header, not fragmented. For them the flow key says all that policies see.
enum CommonPacket {
    /// Fills the key, and the slot's length, traffic class, next header and DF. False, with both unchanged, for any
    /// other packet and for whatever is wrong: those take the long way, which names the fault.
    @inline(__always)
    static func read(
        _ packet: UnsafeMutableRawPointer, available: Int, family: AddressFamily,
        slot: UnsafeMutablePointer<PacketSlot>, key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        switch family {
        case .ipv4: readIPv4(packet, available: available, slot: slot, key: key)
        case .ipv6: readIPv6(packet, available: available, slot: slot, key: key)
        }
    }

    /// With the checks of RFC 1812 section 5.2.2.
    @inline(__always)
    private static func readIPv4(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        guard available >= 24 else { return false }
        let first = packet.loadUnaligned(as: UInt32.self)
        let total = Int(UInt16(truncatingIfNeeded: first >> 16).byteSwapped)
        let fragment = packet.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        // 0xFF3F: more-fragments and offset, as they lie in the header.
        guard first & 0xFF == 0x45, fragment & 0xFF3F == 0, total >= 24, total <= available,
            Checksum.isIPv4HeaderValid(packet, headerLength: 20)
        else { return false }
        let number = packet.load(fromByteOffset: 9, as: UInt8.self)
        var ports = packet.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
        if number == IPProtocol.icmp {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return false
        }
        key.pointee = FlowKey(ipv4: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 8)
        slot.pointee.nextHeader = IPProtocol.ipv4
        if fragment & 0x0040 != 0 { slot.pointee.flags.insert(.dontFragment) }
        return true
    }

    @inline(__always)
    private static func readIPv6(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        guard available >= 44 else { return false }
        let first = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        let total = 40 &+ Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        let number = packet.load(fromByteOffset: 6, as: UInt8.self)
        guard first >> 28 == 6, total >= 44, total <= available else { return false }
        var ports = packet.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
        if number == IPProtocol.icmpv6 {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return false
        }
        key.pointee = FlowKey(ipv6: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        slot.pointee.nextHeader = IPProtocol.ipv6
        slot.pointee.flags.insert(.dontFragment)
        return true
    }
}
