import Packets

/// An ICMP or ICMPv6 error as a gateway sent it, checked on the way in.
public struct ICMPMessage: Sendable {
    public let source: IPAddress
    public let destination: IPAddress
    public let type: UInt8
    public let code: UInt8
    /// The field that holds the MTU, where the message has one.
    public let mtu: Int
    /// As much of the offending packet as the message carries.
    public let quoted: [UInt8]
    public let hopLimit: UInt8

    /// nil unless there is exactly one packet, an ICMP message with correct checksums.
    public init?(_ packets: [[UInt8]]) {
        guard packets.count == 1, let packet = packets.first, packet.count > 48 else { return nil }
        let header = packet.isIPv4 ? 20 : 40
        let icmp = Array(packet[header...])
        if packet.isIPv4 {
            guard packet[0] == 0x45, packet[9] == IPProtocol.icmp, internetChecksum(Array(packet[..<20])) == 0,
                Int(packet.number16(2)) == packet.count, internetChecksum(icmp) == 0
            else { return nil }
        } else {
            let pseudo = packet.addresses + bigEndian(UInt32(icmp.count)) + [0, 0, 0, IPProtocol.icmpv6]
            guard packet[6] == IPProtocol.icmpv6, Int(packet.number16(4)) == icmp.count,
                internetChecksum(pseudo + icmp) == 0
            else { return nil }
        }
        let addresses = packet.addresses
        let family: AddressFamily = packet.isIPv4 ? .ipv4 : .ipv6
        func address(_ bytes: ArraySlice<UInt8>) -> IPAddress {
            Array(bytes).withUnsafeBytes { buffer in
                buffer.baseAddress.map { IPAddress(loading: $0, family: family) } ?? .unspecified(family)
            }
        }
        source = address(addresses[..<(addresses.count / 2)])
        destination = address(addresses[(addresses.count / 2)...])
        type = icmp[0]
        code = icmp[1]
        mtu = Int(family == .ipv4 ? UInt32(icmp.number16(6)) : icmp.number32(4))
        quoted = Array(icmp[8...])
        hopLimit = packet[packet.isIPv4 ? 8 : 7]
    }

    /// Whether the message carries the beginning of this packet; hop limits that routers lowered since do not count.
    public func quotes(_ packet: [UInt8]) -> Bool {
        guard !quoted.isEmpty, quoted.count <= packet.count, quoted.count >= min(packet.count, 28) else { return false }
        var (ours, theirs) = (Array(packet.prefix(quoted.count)), quoted)
        let fields = packet.isIPv4 ? [8, 10, 11] : [7]
        for field in fields {
            ours[field] = 0
            theirs[field] = 0
        }
        return ours == theirs
    }
}
