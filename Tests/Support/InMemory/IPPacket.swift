import Packets

/// An IP packet of either family as a test describes it; `bytes` is the packet, with all checksums right.
///
/// Checksums are computed here by themselves, so that a fault of the gateway's cannot hide behind the same fault in a test.
public struct IPPacket: Sendable {
    public var source: IPAddress
    public var destination: IPAddress
    public var protocolNumber = IPProtocol.udp
    public var sourcePort: UInt16 = 40_000
    public var destinationPort: UInt16 = 5_001
    /// Bytes behind the transport header.
    public var payload: [UInt8]
    public var hopLimit: UInt8 = 64
    /// DS field and ECN.
    public var trafficClass: UInt8 = 0
    /// IPv4 only.
    public var dontFragment = true
    /// IPv4 only.
    public var identification: UInt16 = 0x1234
    /// IPv4 options, a multiple of four bytes.
    public var options: [UInt8] = []

    public init(from source: IPAddress, to destination: IPAddress, payload: [UInt8]) {
        self.source = source
        self.destination = destination
        self.payload = payload
    }

    /// A packet of `size` bytes in all, at least 28 (IPv4) or 48 (IPv6), whose payload depends on `seed`.
    public init(from source: IPAddress, to destination: IPAddress, size: Int, seed: Int = 0) {
        let headers = source.family == .ipv4 ? 28 : 48
        self.init(
            from: source, to: destination,
            payload: (0..<max(0, size - headers)).map { UInt8(truncatingIfNeeded: $0 &* 29 &+ seed &* 17 &+ seed >> 8) }
        )
    }

    public var bytes: [UInt8] {
        let upper = transport
        var header: [UInt8]
        switch source.family {
        case .ipv4:
            let fragmentation: UInt16 = dontFragment ? 0x4000 : 0
            header = [0x45 + UInt8(options.count / 4), trafficClass]
            header += bigEndian(UInt16(20 + options.count + upper.count)) + bigEndian(identification)
            header += bigEndian(fragmentation) + [hopLimit, protocolNumber, 0, 0]
            header += addressBytes(source) + addressBytes(destination) + options
            header.replaceSubrange(10..<12, with: bigEndian(internetChecksum(header)))
        case .ipv6:
            header = [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + bigEndian(UInt16(upper.count))
            header += [protocolNumber, hopLimit] + addressBytes(source) + addressBytes(destination)
        }
        return header + upper
    }

    /// UDP, TCP or ICMP echo; other protocols have the payload only.
    private var transport: [UInt8] {
        let ports = bigEndian(sourcePort) + bigEndian(destinationPort)
        var bytes: [UInt8]
        var place: Int
        switch protocolNumber {
        case IPProtocol.udp:
            bytes = ports + bigEndian(UInt16(8 + payload.count)) + [0, 0] + payload
            place = 6
        case IPProtocol.tcp:
            bytes = ports + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xFF, 0xFF, 0, 0, 0, 0] + payload
            place = 16
        case IPProtocol.icmp:
            bytes = [8, 0, 0, 0] + ports + payload
            place = 2
        case IPProtocol.icmpv6:
            bytes = [128, 0, 0, 0] + ports + payload
            place = 2
        default: return payload
        }
        let pseudo =
            protocolNumber == IPProtocol.icmp
            ? []
            : addressBytes(source) + addressBytes(destination) + bigEndian(UInt32(bytes.count)) + [
                0, 0, 0, protocolNumber,
            ]
        let checksum = internetChecksum(pseudo + bytes)
        bytes.replaceSubrange(place..<place + 2, with: bigEndian(checksum == 0 ? 0xFFFF : checksum))
        return bytes
    }
}

/// A number in network order.
public func bigEndian<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
    (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (Number.bitWidth - 8 - 8 * $0)) }
}

/// 4 or 16 bytes in network order.
public func addressBytes(_ address: IPAddress) -> [UInt8] {
    address.family == .ipv4
        ? bigEndian(UInt32(address.low)) : bigEndian(address.high) + bigEndian(address.low)
}

/// RFC 1071, plainly.
public func internetChecksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 + UInt32(index + 1 < bytes.count ? bytes[index + 1] : 0)
        sum = sum & 0xFFFF + sum >> 16
    }
    return ~UInt16(sum)
}
