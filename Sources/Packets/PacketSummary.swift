/// The facts about one IP packet of either family that policy and forwarding need, in 56 bytes.
///
/// Filled once per packet by `parse`; selectors (RFC 4301 section 4.4.1.1) are matched against it.
@frozen
public struct PacketSummary: Sendable, BitwiseCopyable {
    public var source: IPAddress
    public var destination: IPAddress
    /// The next layer protocol, behind all IPv6 extension headers.
    public var upperProtocol: UInt8
    @usableFromInline var flags: UInt8
    /// Source port in host order. ICMP: type << 8 | code; Mobility Header: type << 8 (RFC 4301 section 4.4.1.1).
    /// 0 for protocols without ports and for later fragments, which do not carry them.
    public var sourcePort: UInt16
    /// Destination port in host order; 0 where there is none.
    public var destinationPort: UInt16
    @usableFromInline var storedHeaderLength: UInt16
    @usableFromInline var storedTotalLength: UInt32
    /// The DS field and, in the low two bits, ECN (RFC 2474, RFC 3168).
    public var trafficClass: UInt8
    /// TTL or hop limit, as received.
    public var hopLimit: UInt8

    /// A summary of a packet of one protocol, for lookups without a packet (tests, `check`).
    @inlinable
    public init(
        source: IPAddress, destination: IPAddress, upperProtocol: UInt8, sourcePort: UInt16 = 0,
        destinationPort: UInt16 = 0
    ) {
        self.source = source
        self.destination = destination
        self.upperProtocol = upperProtocol
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        flags = 0
        storedHeaderLength = 0
        storedTotalLength = 0
        trafficClass = 0
        hopLimit = 64
    }

    /// An empty summary, to be filled by `parse`.
    @inlinable
    public init() {
        self.init(source: .unspecified(.ipv4), destination: .unspecified(.ipv4), upperProtocol: IPProtocol.none)
    }

    @inlinable
    public var family: AddressFamily { source.family }

    /// Bytes from the IP header to the next layer: IPv4 options and IPv6 extension headers included.
    @inlinable
    public var headerLength: Int { Int(storedHeaderLength) }

    /// Bytes of the packet as its IP header says; never more than arrived.
    @inlinable
    public var totalLength: Int { Int(truncatingIfNeeded: storedTotalLength) }

    /// A piece of a larger packet (more fragments follow, or it is a later one).
    @inlinable
    public var isFragment: Bool { flags & PacketSummary.fragmentFlag != 0 }

    /// A fragment without the start of the next layer: its ports are unknown (RFC 4301 section 7).
    @inlinable
    public var isLaterFragment: Bool { flags & PacketSummary.laterFragmentFlag != 0 }

    /// No router may fragment it: the IPv4 DF bit is set, or it is IPv6.
    @inlinable
    public var dontFragment: Bool { flags & PacketSummary.dontFragmentFlag != 0 }

    @inlinable static var fragmentFlag: UInt8 { 1 }
    @inlinable static var laterFragmentFlag: UInt8 { 2 }
    @inlinable static var dontFragmentFlag: UInt8 { 4 }
}

// MARK: - Parsing

extension PacketSummary {
    /// Reads an IP packet of either family.
    ///
    /// 1. IP header: version, lengths, and the IPv4 header checksum (RFC 1812 section 5.2.2).
    /// 2. IPv6 extension headers, with a bound.
    /// 3. Fragment fields, with the checks of RFC 791, RFC 1858 and RFC 8200 section 4.5.
    /// 4. Ports, or ICMP type and code. Not the transport checksum: that is for the end host.
    ///
    /// - `available`: bytes that may be read from `ip`; bytes beyond the packet's own length are padding.
    /// - Returns: `.none` on success, else why not; the summary is then meaningless.
    @inlinable
    public static func parse(
        _ ip: UnsafeMutableRawPointer, available: Int, into summary: inout PacketSummary
    ) -> ParseFailure {
        guard available >= 20 else { return .truncatedHeader }
        switch ip.uint8(at: 0) >> 4 {
        case 4: return parseIPv4(UnsafeRawPointer(ip), available: available, into: &summary)
        case 6: return parseIPv6(UnsafeRawPointer(ip), available: available, into: &summary)
        default: return .version
        }
    }

    /// `available` is at least 20 and the version is 4.
    @inlinable
    static func parseIPv4(
        _ ip: UnsafeRawPointer, available: Int, into summary: inout PacketSummary
    ) -> ParseFailure {
        let headerLength = Int(ip.uint8(at: 0) & 0xF) &* 4
        let totalLength = Int(ip.uint16(at: 2))
        guard headerLength >= 20, headerLength <= totalLength else { return .headerLength }
        guard totalLength <= available else { return .totalLength }
        guard Checksum.isIPv4HeaderValid(ip, headerLength: headerLength) else { return .headerChecksum }

        summary.source = IPAddress(loading: ip + 12, family: .ipv4)
        summary.destination = IPAddress(loading: ip + 16, family: .ipv4)
        let number = ip.uint8(at: 9)
        summary.upperProtocol = number
        summary.storedHeaderLength = UInt16(truncatingIfNeeded: headerLength)
        summary.storedTotalLength = UInt32(truncatingIfNeeded: totalLength)
        summary.trafficClass = ip.uint8(at: 1)
        summary.hopLimit = ip.uint8(at: 8)

        let field = ip.uint16(at: 6)
        summary.flags = field & 0x4000 != 0 ? dontFragmentFlag : 0
        if field & 0x3FFF != 0 {
            let offset = Int(field & 0x1FFF) &* 8
            let dataLength = totalLength &- headerLength
            summary.flags |= offset == 0 ? fragmentFlag : fragmentFlag | laterFragmentFlag
            guard offset &+ dataLength &+ headerLength <= 65_535 else { return .fragment }
            if field & 0x2000 != 0, dataLength & 7 != 0 || dataLength == 0 { return .fragment }
            if offset == 8, number == IPProtocol.tcp { return .fragment }
        }
        return summary.readPorts(ip, offset: headerLength, end: totalLength)
    }

    /// `available` is at least 20 and the version is 6.
    @inlinable
    static func parseIPv6(
        _ ip: UnsafeRawPointer, available: Int, into summary: inout PacketSummary
    ) -> ParseFailure {
        guard available >= 40 else { return .truncatedHeader }
        let totalLength = 40 &+ Int(ip.uint16(at: 4))
        guard totalLength <= available else { return .totalLength }
        var number = ip.uint8(at: 6)
        var headerLength = 40
        summary.flags = dontFragmentFlag
        if IPv6ExtensionWalk.isExtension(number) {
            var walk = IPv6ExtensionWalk()
            let failure = IPv6ExtensionWalk.walk(ip, totalLength: totalLength, into: &walk)
            guard failure == .none else { return failure }
            number = walk.upperProtocol
            headerLength = Int(walk.offset)
            if walk.isFragment { summary.flags |= fragmentFlag }
            if walk.fragmentOffset != 0 { summary.flags |= laterFragmentFlag }
            if walk.fragmentOffset == 8, number == IPProtocol.tcp { return .fragment }
        }

        summary.source = IPAddress(loading: ip + 8, family: .ipv6)
        summary.destination = IPAddress(loading: ip + 24, family: .ipv6)
        summary.upperProtocol = number
        summary.storedHeaderLength = UInt16(truncatingIfNeeded: headerLength)
        summary.storedTotalLength = UInt32(truncatingIfNeeded: totalLength)
        let word = ip.uint16(at: 0)
        summary.trafficClass = UInt8(truncatingIfNeeded: word >> 4)
        summary.hopLimit = ip.uint8(at: 7)
        return summary.readPorts(ip, offset: headerLength, end: totalLength)
    }

    /// Ports, ICMP type and code, or Mobility Header type. `offset <= end`, both inside of the packet.
    @inlinable @inline(__always)
    mutating func readPorts(_ ip: UnsafeRawPointer, offset: Int, end: Int) -> ParseFailure {
        let number = upperProtocol
        guard number == IPProtocol.tcp || number == IPProtocol.udp, flags & PacketSummary.laterFragmentFlag == 0 else {
            return readOtherPorts(ip, offset: offset, end: end)
        }
        guard end &- offset >= 4 else { return .truncatedTransport }
        sourcePort = ip.uint16(at: offset)
        destinationPort = ip.uint16(at: offset &+ 2)
        return .none
    }

    /// All but the first bytes of TCP and UDP, kept out of the way of those.
    @inlinable @inline(never)
    mutating func readOtherPorts(_ ip: UnsafeRawPointer, offset: Int, end: Int) -> ParseFailure {
        sourcePort = 0
        destinationPort = 0
        if isLaterFragment { return .none }
        switch upperProtocol {
        case IPProtocol.sctp, IPProtocol.udpLite, IPProtocol.dccp:
            guard end &- offset >= 4 else { return .truncatedTransport }
            sourcePort = ip.uint16(at: offset)
            destinationPort = ip.uint16(at: offset &+ 2)
        case IPProtocol.icmp, IPProtocol.icmpv6:
            guard end &- offset >= 4 else { return .truncatedTransport }
            sourcePort = ip.uint16(at: offset)
        case IPProtocol.mobility:
            guard end &- offset >= 4 else { return .truncatedTransport }
            sourcePort = UInt16(ip.uint8(at: offset &+ 2)) << 8
        default:
            break
        }
        return .none
    }
}
