import Packets
import Synchronization

/// The outer source of packets in UDP as one number, to be compared per packet: exact for IPv4, mixed for IPv6.
///
/// Two sources of one mark are taken for the same, which costs no more than that a moved peer is not followed; the
/// peer's packets are authenticated in any case.
@usableFromInline
enum SourceMark {
    /// Packets may come from anywhere.
    @inlinable static var anywhere: UInt64 { 0 }

    @inlinable
    @inline(__always)
    static func make(_ address: IPAddress, port: UInt16) -> UInt64 {
        let mixed = (address.high &* 0x9E37_79B9_7F4A_7C15) ^ (address.low &<< 16 | address.low &>> 48)
        return mixed ^ UInt64(port)
    }
}

extension ESPInbound {
    /// Whether an authenticated packet in UDP came from elsewhere than the last ones, and none sent later came before it:
    /// then the peer's NAT mapping has changed (RFC 7296 section 2.23).
    ///
    /// - Parameters:
    ///   - packet: the outer IP header; `esp` is the ESP header behind the UDP header.
    ///   - sequence: the packet's own, whole.
    @inlinable
    @inline(__always)
    public static func isFromElsewhere(
        _ sa: UnsafeMutablePointer<InboundRuntime>, packet: UnsafeRawPointer, esp: UnsafeRawPointer, sequence: UInt64
    ) -> Bool {
        let expected = sa.pointee.sourceMark.load(ordering: .relaxed)
        if expected == SourceMark.anywhere { return false }
        let source = source(packet, esp: esp)
        return SourceMark.make(source.address, port: source.port) != expected
            && sa.pointee.window.top.load(ordering: .relaxed) == sequence
    }

    /// The outer source address.
    @inlinable
    @inline(__always)
    public static func sourceAddress(_ packet: UnsafeRawPointer) -> IPAddress {
        let isIPv4 = packet.load(as: UInt8.self) >> 4 == 4
        return IPAddress(loading: packet + (isIPv4 ? 12 : 8), family: isIPv4 ? .ipv4 : .ipv6)
    }

    /// The outer source address and UDP source port.
    @inlinable
    @inline(__always)
    public static func source(
        _ packet: UnsafeRawPointer, esp: UnsafeRawPointer
    ) -> (address: IPAddress, port: UInt16) {
        (sourceAddress(packet), UInt16(bigEndian: (esp - 8).loadUnaligned(as: UInt16.self)))
    }
}
