import FuzzSupport
import Packets

/// The ICMP view.
@main
enum FuzzICMP {
    static func main() {
        fuzz { base, count in
            guard let header = ICMPHeader(base, available: count) else { return }
            let (type, code, rest) = (header.type, header.code, header.restOfHeader)
            header.checksum = 0
            header.checksum = Checksum.internet(base, count: count)
            require(Checksum.internet(base, count: count) == 0, "checksum")
            require(header.type == type && header.code == code && header.restOfHeader == rest, "fields overlap")
            touch(header.payload, count - ICMPHeader.length)
        }
    }
}
