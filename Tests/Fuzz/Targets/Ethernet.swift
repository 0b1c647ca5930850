import FuzzSupport
import Packets

/// The Ethernet header as the dataplane reads it, with a tag and without: the header fits, and what follows is said rightly.
@main
enum FuzzEthernet {
    static func main() {
        fuzz { base, count in
            if count >= 6 {
                let station = MACAddress(loading: base)
                require(MACAddress(station.description) == station, "text of \(station)")
            }
            var link = LinkLayer()
            guard link.parse(base, available: count) else { return }
            let length = link.headerLength
            require(length == 14 || length == 18, "header length")
            require(length <= count, "header beyond the frame")
            touch(base + length, count - length)
            let type = UInt16(bigEndian: base.loadUnaligned(fromByteOffset: length - 2, as: UInt16.self))
            require(type == link.family.etherType, "type")
            let vlan = LinkLayer.vlan(base, headerLength: length)
            require(vlan <= 0xFFF && (length == 18 || vlan == 0), "VLAN")
            guard count > length, [4, 6].contains(base.load(fromByteOffset: length, as: UInt8.self) >> 4) else {
                return
            }
            LinkLayer.writeType(before: base + length)
            var written = LinkLayer()
            require(written.parse(base, available: count) && written.headerLength == length, "written type")
            require(written.family == AddressFamily(ofPacketAt: base + length), "written family")
            require(LinkLayer.vlan(base, headerLength: length) == vlan, "VLAN after the type")
        }
    }
}
