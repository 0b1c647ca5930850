import Packets

/// What an outbound policy decision depends on: addresses, upper protocol, ports (or ICMP type and code).
///
/// For IPv4 the first two words say everything; `kind` keeps the families apart, so the other words are compared
/// for IPv6 only.
struct FlowKey: BitwiseCopyable {
    /// IPv4: source and destination as they lie in the header. IPv6: the upper half of the source.
    var addresses: UInt64
    /// Ports as they lie in the header (bits 0...31), protocol (32...39), family (40...47), later fragment (48).
    var kind: UInt64
    var sourceLow: UInt64
    var destinationHigh: UInt64
    var destinationLow: UInt64

    static let laterFragment: UInt64 = 1 << 48

    var isIPv4: Bool { UInt8(truncatingIfNeeded: kind >> 40) == AddressFamily.ipv4.rawValue }

    /// The key of an IPv4 packet without options and not a fragment: `ports` are the four bytes behind the header.
    @inline(__always)
    init(ipv4 header: UnsafeRawPointer, protocolNumber: UInt8, ports: UInt32) {
        addresses = header.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
        kind = UInt64(ports) | UInt64(protocolNumber) << 32 | UInt64(AddressFamily.ipv4.rawValue) << 40
        sourceLow = 0
        destinationHigh = 0
        destinationLow = 0
    }

    /// The key of an IPv6 packet.
    @inline(__always)
    init(ipv6 header: UnsafeRawPointer, protocolNumber: UInt8, ports: UInt32) {
        addresses = header.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        sourceLow = header.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        destinationHigh = header.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        destinationLow = header.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        kind = UInt64(ports) | UInt64(protocolNumber) << 32 | UInt64(AddressFamily.ipv6.rawValue) << 40
    }

    /// The key of any parsed packet; equal to the fast forms where those apply.
    init(_ summary: PacketSummary, header: UnsafeRawPointer) {
        var ports = UInt32(summary.sourcePort.bigEndian) | UInt32(summary.destinationPort.bigEndian) << 16
        if summary.upperProtocol == IPProtocol.icmp || summary.upperProtocol == IPProtocol.icmpv6 { ports &= 0xFFFF }
        switch summary.family {
        case .ipv4: self.init(ipv4: header, protocolNumber: summary.upperProtocol, ports: ports)
        case .ipv6: self.init(ipv6: header, protocolNumber: summary.upperProtocol, ports: ports)
        }
        if summary.isLaterFragment { kind |= FlowKey.laterFragment }
    }

    /// A hash whose seed the network does not know, so that nobody can aim flows at one cache line.
    @inline(__always)
    func hash(seed: UInt64) -> UInt64 {
        var mixed = (addresses ^ seed) &* 0x9E37_79B9_7F4A_7C15
        if !isIPv4 {
            mixed ^= (sourceLow ^ (mixed >> 29)) &* 0xC2B2_AE3D_27D4_EB4F
            mixed ^= (destinationHigh ^ (mixed >> 31)) &* 0x1656_67B1_9E37_79F9
            mixed ^= (destinationLow ^ (mixed >> 30)) &* 0x27D4_EB2F_1656_67C5
        }
        mixed = (mixed ^ (mixed >> 32) ^ kind) &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ (mixed >> 32)
    }

    @inline(__always)
    func isSame(as other: UnsafePointer<FlowKey>) -> Bool {
        if addresses != other.pointee.addresses || kind != other.pointee.kind { return false }
        if isIPv4 { return true }
        return sourceLow == other.pointee.sourceLow && destinationHigh == other.pointee.destinationHigh
            && destinationLow == other.pointee.destinationLow
    }
}
