/// Why a packet could not be read. `.none` is success, so that the hot path compares one byte.
@frozen
public enum ParseFailure: UInt8, Sendable, CaseIterable {
    case none = 0
    /// Fewer bytes than the fixed header.
    case truncatedHeader
    /// The version field is neither 4 nor 6, or not that of the header asked for.
    case version
    /// IPv4 header length below 20 bytes or beyond the packet.
    case headerLength
    /// The length in the IP header is smaller than the header or larger than what arrived.
    case totalLength
    /// The IPv4 header checksum is wrong (RFC 1812 section 5.2.2).
    case headerChecksum
    /// An IPv6 extension header reaches beyond the packet.
    case truncatedExtension
    /// More IPv6 extension headers than `IPv6ExtensionWalk.maximumHeaders`.
    case extensionLimit
    /// A hop-by-hop header that does not follow the IPv6 header at once (RFC 8200 section 4.1), or a second
    /// fragment header.
    case extensionOrder
    /// A fragment that ends beyond 65,535 bytes, has a length that no sender may give it, or would overwrite the
    /// TCP header (RFC 1858).
    case fragment
    /// Too few bytes for the ports of the transport protocol, or for type and code of an ICMP message.
    case truncatedTransport
}
