import Packets

/// What changes from packet to packet in the outer headers (RFC 4301 section 5.1.2).
@usableFromInline
enum OuterHeader {
    /// Writes lengths, DS and ECN, identification, DF and the IPv4 checksum over the template's copy.
    ///
    /// - Parameters:
    ///   - dontFragment: 0x4000 or 0, the DF bit in place.
    ///   - identification: for packets that may be fragmented; an atomic datagram has 0 (RFC 6864 section 4.1).
    @inlinable
    @inline(__always)
    static func patch(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, outer: OuterPacket, esp: UnsafeMutableRawPointer,
        trafficClass: UInt8,
        dontFragment: UInt16, identification: UInt16
    ) {
        let length = UInt64(truncatingIfNeeded: outer.length)
        let firstWord = sa.pointee.template.firstWord
        let headerLength: Int
        if !sa.pointee.flags.contains(.outerIPv6) {
            headerLength = 20
            let fragmentation = dontFragment != 0 ? UInt64(dontFragment) : UInt64(identification) << 16
            let word = firstWord | UInt64(trafficClass) << 48 | length << 32 | fragmentation
            outer.start.storeBytes(of: word.bigEndian, as: UInt64.self)
            // At most nine 16-bit words: folding twice takes in every carry.
            var sum = sa.pointee.template.checksumBase &+ UInt32(trafficClass)
            sum &+= UInt32(truncatingIfNeeded: length) &+ UInt32(truncatingIfNeeded: fragmentation & 0xFFFF)
            sum &+= UInt32(truncatingIfNeeded: fragmentation >> 16)
            sum = (sum & 0xFFFF) &+ sum >> 16
            sum = (sum & 0xFFFF) &+ sum >> 16
            let checksum = ~UInt16(truncatingIfNeeded: sum)
            outer.start.storeBytes(of: checksum.bigEndian, toByteOffset: 10, as: UInt16.self)
        } else {
            headerLength = 40
            let word = firstWord | UInt64(trafficClass) << 52 | (length &- 40) << 16
            outer.start.storeBytes(of: word.bigEndian, as: UInt64.self)
        }
        if sa.pointee.flags.contains(.udp) {
            let udpLength = UInt16(truncatingIfNeeded: outer.length &- headerLength)
            esp.storeBytes(of: udpLength.bigEndian, toByteOffset: -4, as: UInt16.self)
        }
    }

    /// The UDP checksum of an encapsulated packet over IPv6, which has to have one (RFC 8200 section 8.1).
    @usableFromInline
    @inline(never)
    static func writeUDPChecksum(_ outer: OuterPacket, esp: UnsafeMutableRawPointer) {
        let udp = esp - 8
        let count = outer.length &- 40
        udp.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
        let pseudoHeader = Checksum.pseudoHeader(
            source: IPAddress(loading: outer.start + 8, family: .ipv6),
            destination: IPAddress(loading: outer.start + 24, family: .ipv6), protocol: IPProtocol.udp,
            length: UInt32(truncatingIfNeeded: count))
        let checksum = Checksum.udpField(Checksum.internet(udp, count: count, initial: pseudoHeader))
        udp.storeBytes(of: checksum.bigEndian, toByteOffset: 6, as: UInt16.self)
    }
}
