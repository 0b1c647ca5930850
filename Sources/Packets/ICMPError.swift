import Glibc

/// Builds ICMP and ICMPv6 error messages about packets that the gateway cannot forward.
///
/// 1. Must one be sent at all? RFC 1122 section 3.2.2, RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e).
/// 2. IP header from our address to the sender.
/// 3. ICMP header: RFC 792, RFC 1191 section 4, RFC 4443 section 3.
/// 4. As much of the packet as fits in 576 (RFC 1812 section 4.3.2.3) or 1280 bytes (RFC 4443 section 2.4 (c)).
///
/// Not handled here: the rate (`RateLimiter`), and directed broadcasts, which only the routing table knows.
public enum ICMPError {
    /// The error that is to be said. The family of the packet chooses type and code.
    @frozen
    public enum Message: Sendable, Hashable {
        /// IPv4 "fragmentation needed and DF set", IPv6 "packet too big": the largest packet in bytes that would fit.
        case packetTooBig(mtu: UInt32)
        /// TTL or hop limit reached zero in transit.
        case timeExceeded
        /// A policy forbids it: "communication administratively prohibited".
        case prohibited
        /// The route is there, but not its neighbour.
        case hostUnreachable
        /// No route.
        case networkUnreachable

        /// Type << 8 | code of the message, as policies see it (`PacketSummary.sourcePort`).
        public func typeAndCode(_ family: AddressFamily) -> UInt16 {
            let isIPv4 = family == .ipv4
            switch self {
            case .packetTooBig: return isIPv4 ? 3 << 8 | 4 : 2 << 8
            case .timeExceeded: return isIPv4 ? 11 << 8 : 3 << 8
            case .prohibited: return isIPv4 ? 3 << 8 | 13 : 1 << 8 | 1
            case .hostUnreachable: return isIPv4 ? 3 << 8 | 1 : 1 << 8 | 3
            case .networkUnreachable: return isIPv4 ? 3 << 8 : 1 << 8
            }
        }

        /// The field behind the checksum: the MTU, in a message that names one.
        fileprivate func rest(_ family: AddressFamily) -> UInt32 {
            guard case .packetTooBig(let mtu) = self else { return 0 }
            // Less than 1280 is no size that a sender of IPv6 could keep to (RFC 8201 section 4).
            return family == .ipv4 ? min(mtu, 0xFFFF) : max(mtu, 1280)
        }
    }

    /// Type, code, checksum, and a word that depends on these.
    private static let icmpHeaderLength = 8

    /// Room that is enough for any message.
    public static let maximumLength = 1280

    /// Writes a complete IP packet with the error message.
    ///
    /// - `source`: our address, of the packet's family.
    /// - `offending`: the packet as it arrived, at its IP header. Not changed.
    /// - `available`: bytes that may be read from it.
    /// - `receivedAsBroadcast`: it came in a link-layer broadcast or multicast.
    /// - `buffer`: does not overlap the packet.
    /// - `capacity`: bytes of the buffer; `maximumLength` is always enough.
    /// - Returns: the length of the message in bytes; 0 when none must be sent, or there is no room for it.
    public static func build(
        _ message: Message, from source: IPAddress, offending: UnsafeMutableRawPointer, available: Int,
        receivedAsBroadcast: Bool = false, into buffer: UnsafeMutableRawPointer, capacity: Int
    ) -> Int {
        var packet = PacketSummary()
        guard PacketSummary.parse(offending, available: available, into: &packet) == .none,
            source.family == packet.family, source.isSingleHost,
            mayAnswer(packet, message, receivedAsBroadcast: receivedAsBroadcast)
        else { return 0 }
        let headers = (packet.family == .ipv4 ? IPv4Header.minimumLength : IPv6Header.length) + icmpHeaderLength
        let length = min(headers &+ packet.totalLength, packet.family == .ipv4 ? 576 : 1280)
        guard length <= capacity else { return 0 }
        buffer.initializeMemory(as: UInt8.self, repeating: 0, count: headers)
        memcpy(buffer + headers, offending, length &- headers)
        switch packet.family {
        case .ipv4: writeIPv4(message, from: source, to: packet.source, buffer, length)
        case .ipv6: writeIPv6(message, from: source, to: packet.source, buffer, length)
        }
        return length
    }

    /// The cases in which no error may be sent, so that errors never multiply.
    static func mayAnswer(_ packet: PacketSummary, _ message: Message, receivedAsBroadcast: Bool) -> Bool {
        guard packet.source.isSingleHost else { return false }
        switch packet.family {
        case .ipv4:
            guard !receivedAsBroadcast, !packet.destination.isMulticast, !packet.destination.isLimitedBroadcast,
                !packet.isLaterFragment
            else { return false }
            return packet.upperProtocol != IPProtocol.icmp || !isICMPv4Error(type: packet.sourcePort >> 8)
        case .ipv6:
            // Path MTU discovery works for multicast too: "packet too big" is the exception.
            if receivedAsBroadcast || packet.destination.isMulticast {
                guard case .packetTooBig = message else { return false }
            }
            guard packet.upperProtocol == IPProtocol.icmpv6 else { return true }
            let type = packet.sourcePort >> 8
            // Of a later fragment the type is unknown: it could be an error.
            return !packet.isLaterFragment && type >= 128 && type != 137
        }
    }

    /// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
    private static func isICMPv4Error(type: UInt16) -> Bool {
        switch type {
        case 3, 4, 5, 11, 12: true
        default: false
        }
    }

    private static func writeIPv4(
        _ message: Message, from source: IPAddress, to destination: IPAddress, _ buffer: UnsafeMutableRawPointer,
        _ length: Int
    ) {
        let icmp = buffer + IPv4Header.minimumLength
        writeICMP(message, .ipv4, icmp)
        icmp.store(Checksum.internet(icmp, count: length &- IPv4Header.minimumLength), at: 2)

        buffer.store(UInt8(0x45), at: 0)
        buffer.store(UInt8(0xC0), at: 1)  // precedence "internetwork control", RFC 1812 section 4.3.2.5
        buffer.store(UInt16(truncatingIfNeeded: length), at: 2)
        buffer.store(UInt16(0x4000), at: 6)  // DF: an atomic datagram needs no identification (RFC 6864)
        buffer.store(UInt8(64), at: 8)
        buffer.store(IPProtocol.icmp, at: 9)
        source.store(to: buffer + 12)
        destination.store(to: buffer + 16)
        buffer.store(Checksum.internet(buffer, count: IPv4Header.minimumLength), at: 10)
    }

    private static func writeIPv6(
        _ message: Message, from source: IPAddress, to destination: IPAddress, _ buffer: UnsafeMutableRawPointer,
        _ length: Int
    ) {
        let icmp = buffer + IPv6Header.length
        let payloadLength = length &- IPv6Header.length
        writeICMP(message, .ipv6, icmp)
        let pseudo = Checksum.pseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6,
            length: UInt32(truncatingIfNeeded: payloadLength))
        icmp.store(Checksum.internet(icmp, count: payloadLength, initial: pseudo), at: 2)

        buffer.store(UInt8(0x60), at: 0)
        buffer.store(UInt16(truncatingIfNeeded: payloadLength), at: 4)
        buffer.store(IPProtocol.icmpv6, at: 6)
        buffer.store(UInt8(64), at: 7)
        source.store(to: buffer + 8)
        destination.store(to: buffer + 24)
    }

    private static func writeICMP(_ message: Message, _ family: AddressFamily, _ icmp: UnsafeMutableRawPointer) {
        icmp.store(message.typeAndCode(family), at: 0)
        icmp.store(message.rest(family), at: 4)
    }
}
