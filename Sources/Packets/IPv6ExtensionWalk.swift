/// The end of the extension headers of an IPv6 packet, and what follows them.
///
/// Walks hop-by-hop options, routing, fragment and destination options headers: the list of RFC 4301 section
/// 4.4.1.1. AH and ESP count as next layer protocols there, and so they do here.
@frozen
public struct IPv6ExtensionWalk: Sendable, BitwiseCopyable {
    /// A chain longer than this is refused: the walk is bounded whatever the sender does.
    public static let maximumHeaders = 8

    /// The next layer protocol; of a later fragment, what the fragment header names.
    public var upperProtocol: UInt8
    /// Whether a fragment header was seen that splits the packet (atomic fragments, RFC 6946, do not).
    public var isFragment: Bool
    /// More fragments follow.
    public var moreFragments: Bool
    /// Bytes from the start of the IPv6 header to the next layer (to the fragment's data in a later fragment).
    public var offset: UInt16
    /// The place of this fragment's data, in bytes; 0 when it is the first or no fragment.
    public var fragmentOffset: UInt16
    /// The fragment header's position from the start of the IPv6 header; 0 without one.
    public var fragmentHeaderOffset: UInt16

    @inlinable
    public init() {
        upperProtocol = IPProtocol.none
        isFragment = false
        moreFragments = false
        offset = 0
        fragmentOffset = 0
        fragmentHeaderOffset = 0
    }

    /// Walks the chain that begins behind the fixed header.
    ///
    /// - `ip`: an IPv6 header of which 40 bytes are there.
    /// - `totalLength`: 40 + payload length, at most what arrived.
    @inlinable
    public static func walk(
        _ ip: UnsafeRawPointer, totalLength: Int, into walk: inout IPv6ExtensionWalk
    ) -> ParseFailure {
        var next = ip.uint8(at: 6)
        var offset = 40
        var headers = 0
        walk = IPv6ExtensionWalk()
        while isExtension(next) {
            // Each header is at least eight bytes, all of which must be inside of the packet.
            guard headers < maximumHeaders else { return .extensionLimit }
            guard totalLength &- offset >= 8 else { return .truncatedExtension }
            if next == IPProtocol.hopByHop, headers > 0 { return .extensionOrder }
            let header = ip + offset
            let following = header.uint8(at: 0)
            if next == IPProtocol.fragment {
                guard walk.fragmentHeaderOffset == 0 else { return .extensionOrder }
                walk.fragmentHeaderOffset = UInt16(truncatingIfNeeded: offset)
                offset &+= 8
                let failure = walk.readFragment(header, dataLength: totalLength &- offset)
                guard failure == .none else { return failure }
                if walk.fragmentOffset != 0 {
                    next = following
                    break
                }
            } else {
                offset &+= (Int(header.uint8(at: 1)) &+ 1) &* 8
                guard offset <= totalLength else { return .truncatedExtension }
            }
            next = following
            headers &+= 1
        }
        walk.upperProtocol = next
        walk.offset = UInt16(truncatingIfNeeded: offset)
        return .none
    }

    /// RFC 8200 section 4.5: all but the last fragment carry a multiple of eight bytes, and none ends beyond 65,535.
    @inlinable
    mutating func readFragment(_ header: UnsafeRawPointer, dataLength: Int) -> ParseFailure {
        let field = header.uint16(at: 2)
        fragmentOffset = field & 0xFFF8
        moreFragments = field & 1 != 0
        isFragment = moreFragments || fragmentOffset != 0
        if moreFragments, dataLength & 7 != 0 || dataLength == 0 { return .fragment }
        return Int(fragmentOffset) &+ dataLength > 65_535 ? .fragment : .none
    }

    /// One bit test instead of four comparisons: most packets have no extension header at all.
    @inlinable @inline(__always)
    static func isExtension(_ number: UInt8) -> Bool {
        let members: UInt64 =
            1 << UInt64(IPProtocol.hopByHop) | 1 << UInt64(IPProtocol.routing) | 1 << UInt64(IPProtocol.fragment)
            | 1 << UInt64(IPProtocol.destinationOptions)
        return number < 64 && members &>> UInt64(number) & 1 != 0
    }
}
