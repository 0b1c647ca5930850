import FuzzSupport
import Packets

/// The checksum of a UDP datagram against a pseudo header, made, checked, and updated for a translated port.
@main
enum FuzzChecksum {
    static func main() {
        fuzz { base, count in
            guard count >= 8 else { return }
            func number(_ offset: Int) -> UInt16 {
                UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            }
            func set(_ value: UInt16, at offset: Int) {
                base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
            }
            let length = Int(number(4))
            guard length >= 8, length <= count else { return }
            let address = IPAddress(ipv6High: UInt64(number(0)), low: UInt64(number(2)))
            let pseudo = Checksum.pseudoHeader(
                source: address, destination: address, protocol: IPProtocol.udp, length: UInt32(length))
            set(0, at: 6)
            set(Checksum.udpField(Checksum.internet(base, count: length, initial: pseudo)), at: 6)
            require(number(6) != 0, "a checksum that means none")
            require(Checksum.internet(base, count: length, initial: pseudo) == 0, "checksum")
            // A port translated, the checksum with it.
            let port = number(0)
            set(port ^ 0xA5A5, at: 0)
            set(Checksum.update(checksum: number(6), from: port, to: port ^ 0xA5A5), at: 6)
            require(Checksum.internet(base, count: length, initial: pseudo) == 0, "updated checksum")
        }
    }
}
