import Glibc

/// Splits an IPv6 packet of this host into fragments that fit an MTU (RFC 8200 section 4.5), one per call, without allocation.
///
/// Only the IPv6 header is left unfragmented: packets that a router would have to look into further (hop-by-hop options,
/// routing header) are not for this, nor are fragments.
public struct IPv6Fragmenter {
    private let packet: UnsafeRawPointer
    private let dataLength: Int
    private let mtu: Int
    private let identification: UInt32
    /// Bytes of data already in fragments.
    private var done = 0
    private var isFinished = false

    private static var fragmentHeaderLength: Int { 8 }

    /// A fragmenter; nil when the packet is shorter than its header says, its first header must not be split off, or
    /// the MTU has no room for eight bytes of data.
    ///
    /// - Parameters:
    ///   - packet: the IPv6 header; must outlive the fragmenter. Not changed.
    ///   - available: bytes that may be read from it.
    ///   - mtu: the largest fragment in bytes, headers included.
    ///   - identification: of no other packet between the same addresses that may still be on its way.
    public init?(_ packet: UnsafeRawPointer, available: Int, mtu: Int, identification: UInt32) {
        guard available >= IPv6Header.length else { return nil }
        dataLength = Int(packet.uint16(at: 4))
        let first = packet.uint8(at: 6)
        guard available >= IPv6Header.length &+ dataLength, dataLength > 0,
            mtu >= IPv6Header.length &+ Self.fragmentHeaderLength &+ 8,
            first == IPProtocol.esp || first == IPProtocol.udp || first == IPProtocol.tcp || first == IPProtocol.icmpv6
        else { return nil }
        self.packet = packet
        self.mtu = mtu
        self.identification = identification
    }

    /// Writes the next fragment, a complete IPv6 packet.
    ///
    /// - Parameter buffer: room for `mtu` bytes. Does not overlap the packet.
    /// - Returns: the fragment's length in bytes; 0 when all are written.
    public mutating func next(into buffer: UnsafeMutableRawPointer) -> Int {
        if isFinished { return 0 }
        let headers = IPv6Header.length &+ Self.fragmentHeaderLength
        let remaining = dataLength &- done
        let isLast = remaining <= mtu &- headers
        let count = isLast ? remaining : (mtu &- headers) & ~7
        memcpy(buffer, packet, IPv6Header.length)
        buffer.store(UInt16(truncatingIfNeeded: Self.fragmentHeaderLength &+ count), at: 4)
        buffer.store(IPProtocol.fragment, at: 6)
        let fragment = buffer + IPv6Header.length
        fragment.store(packet.uint8(at: 6), at: 0)
        fragment.store(UInt8(0), at: 1)
        // The offset counts eights, and stands above three bits of which the lowest says "more".
        fragment.store(UInt16(truncatingIfNeeded: done) | (isLast ? 0 : 1), at: 2)
        fragment.store(UInt16(truncatingIfNeeded: identification &>> 16), at: 4)
        fragment.store(UInt16(truncatingIfNeeded: identification), at: 6)
        memcpy(buffer + headers, packet + IPv6Header.length + done, count)
        done &+= count
        isFinished = isLast
        return headers &+ count
    }
}
