import Packets

/// Builds frames for the steering tests, byte by byte and independently of the code under test.
public enum Frames {
    public static let unicast: [UInt8] = [0x02, 0, 0, 0, 0, 0x01]
    /// Of VLAN 6.
    public static let vlanUnicast: [UInt8] = [0x02, 0, 0, 0, 0, 0x06]
    public static let peer: [UInt8] = [0x02, 0, 0, 0, 0, 0x02]

    /// An Ethernet frame around an IP packet (its type is taken from the version), with VLAN tags outermost first.
    public static func ethernet(
        _ packet: [UInt8], to destination: [UInt8] = unicast, tags: [UInt16] = [], vlan: UInt16 = 5,
        type: UInt16? = nil
    ) -> [UInt8] {
        let detected: UInt16 = (packet.first ?? 0) >> 4 == 6 ? 0x86dd : 0x0800
        return destination + peer + tags.flatMap { big($0) + big(0x2000 | vlan) } + big(type ?? detected) + packet
    }

    /// An IPv4 packet; `fragment` is the field of flags and offset, `options` a multiple of four bytes.
    public static func ipv4(
        to destination: String, from source: String = "198.51.100.7", protocol number: UInt8, fragment: UInt16 = 0,
        options: [UInt8] = [], _ payload: [UInt8]
    ) -> [UInt8] {
        let headerLength = 20 + options.count
        return [0x40 | UInt8(headerLength / 4), 0] + big(UInt16(headerLength + payload.count)) + [0, 1] + big(fragment)
            + [64, number, 0, 0] + address(source) + address(destination) + options + payload
    }

    /// An IPv4 packet without options, with a right header checksum: the kernel would not forward it otherwise.
    public static func withChecksum(_ packet: [UInt8]) -> [UInt8] {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: 20, by: 2) where index != 10 {
            sum += UInt32(packet[index]) << 8 | UInt32(packet[index + 1])
        }
        sum = (sum & 0xffff) + (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16)
        var copy = packet
        copy.replaceSubrange(10..<12, with: big(~UInt16(sum & 0xffff)))
        return copy
    }

    /// An IPv6 packet with extension headers: each is its number and its bytes, whose first is overwritten by the next
    /// header's number.
    public static func ipv6(
        to destination: String, from source: String = "2001:db8:ffff::7", protocol number: UInt8,
        extensions: [(number: UInt8, bytes: [UInt8])] = [], _ payload: [UInt8]
    ) -> [UInt8] {
        let numbers = extensions.map(\.number) + [number]
        let chain = extensions.enumerated().flatMap { [numbers[$0.offset + 1]] + $0.element.bytes.dropFirst() }
        return [0x60, 0, 0, 0] + big(UInt16(chain.count + payload.count)) + [numbers[0], 64] + address(source)
            + address(destination) + chain + payload
    }

    public static func udp(to port: UInt16, length: Int? = nil, _ payload: [UInt8]) -> [UInt8] {
        big(4500) + big(port) + big(UInt16(length ?? 8 + payload.count)) + [0, 0] + payload
    }

    /// SPI 0x01020304, sequence 1, some payload.
    public static let esp: [UInt8] = [1, 2, 3, 4, 0, 0, 0, 1] + [UInt8](repeating: 0xab, count: 40)
    public static let authentication: [UInt8] =
        [50, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1] + [UInt8](repeating: 0xcd, count: 24)
    /// Hop-by-hop or destination options: six bytes of padding.
    public static let options: [UInt8] = [0, 0, 1, 4, 0, 0, 0, 0]
    /// The same with 16 bytes.
    public static let longOptions: [UInt8] = [0, 1, 1, 12] + [UInt8](repeating: 0, count: 12)

    public static func address(_ text: String) -> [UInt8] {
        guard let address = IPAddress(text) else { return [] }
        var bytes = [UInt8](repeating: 0, count: address.bitWidth / 8)
        bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { address.store(to: base) }
        }
        return bytes
    }

    public static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
}
