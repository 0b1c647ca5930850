import FuzzSupport
import Packets

/// The UDP view, and its checksum against the pseudo header.
@main
enum FuzzUDP {
    static func main() {
        fuzz { base, count in
            guard let header = UDPHeader(base, available: count) else { return }
            require(header.totalLength <= count && header.payloadLength + 8 == header.totalLength, "length")
            touch(header.payload, header.payloadLength)
            let address = IPAddress(ipv6High: UInt64(header.sourcePort), low: UInt64(header.destinationPort))
            let pseudo = Checksum.pseudoHeader(
                source: address, destination: address, protocol: IPProtocol.udp, length: UInt32(header.totalLength))
            header.checksum = 0
            let checksum = Checksum.internet(base, count: header.totalLength, initial: pseudo)
            header.checksum = Checksum.udpField(checksum)
            require(header.checksum != 0, "a checksum that means none")
            require(Checksum.internet(base, count: header.totalLength, initial: pseudo) == 0, "checksum")
            // A port translated, the checksum with it.
            let port = header.sourcePort
            header.sourcePort = port ^ 0xA5A5
            header.checksum = Checksum.update(checksum: header.checksum, from: port, to: port ^ 0xA5A5)
            require(Checksum.internet(base, count: header.totalLength, initial: pseudo) == 0, "updated checksum")
        }
    }
}
