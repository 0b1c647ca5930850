import FuzzSupport
import Packets

/// The error builder: a byte that chooses the message, then the offending packet. No error answers an error.
@main
enum FuzzICMPError {
    static func main() {
        fuzz { input, size in
            guard size >= 1 else { return }
            let choice = input.load(as: UInt8.self)
            let messages: [ICMPError.Message] = [
                .packetTooBig(mtu: UInt32(choice) &* 0x0101_0101), .timeExceeded, .prohibited, .hostUnreachable,
                .networkUnreachable,
            ]
            let message = messages[Int(choice) % messages.count]
            let (packet, count) = (input + 1, size - 1)
            IPv4Header(packet, available: count)?.updateChecksum()
            let isIPv4 = count > 0 && packet.load(as: UInt8.self) >> 4 == 4
            let source = isIPv4 ? IPAddress(ipv4: 0xC000_0201) : IPAddress(ipv6High: 0x2001_0DB8 << 32, low: 1)
            withOutput(ICMPError.maximumLength) { buffer in
                let length = ICMPError.build(
                    message, from: source, offending: packet, available: count, into: buffer,
                    capacity: ICMPError.maximumLength)
                guard length > 0 else { return }
                var summary = PacketSummary()
                require(PacketSummary.parse(buffer, available: length, into: &summary) == .none, "no packet")
                require(summary.totalLength == length && summary.source == source, "header")
                let icmp = buffer + summary.headerLength
                let pseudo = Checksum.pseudoHeader(
                    source: source, destination: summary.destination, protocol: IPProtocol.icmpv6,
                    length: UInt32(length - summary.headerLength))
                let checksum = Checksum.internet(
                    icmp, count: length - summary.headerLength, initial: isIPv4 ? 0 : pseudo)
                require(checksum == 0, "checksum")
                // The gateway's own error must not provoke the next one.
                withOutput(ICMPError.maximumLength) { second in
                    let answer = ICMPError.build(
                        .timeExceeded, from: summary.destination, offending: buffer, available: length, into: second,
                        capacity: ICMPError.maximumLength)
                    require(answer == 0, "an error about an error")
                }
            }
        }
    }
}
