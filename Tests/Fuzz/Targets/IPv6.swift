import FuzzSupport
import Packets

/// The IPv6 view and the walk over its extension headers: bounded, and always inside of the packet.
@main
enum FuzzIPv6 {
    static func main() {
        fuzz { base, count in
            guard let header = IPv6Header(base, available: count) else { return }
            require(header.totalLength <= count, "total length")
            touch(header.payload, header.payloadLength)
            let (label, trafficClass) = (header.flowLabel, header.trafficClass)
            header.trafficClass = ~trafficClass
            require(header.flowLabel == label && header.trafficClass == ~trafficClass, "traffic class")
            header.flowLabel = ~label
            require(header.flowLabel == ~label & 0xF_FFFF && header.trafficClass == ~trafficClass, "flow label")
            require(base.load(as: UInt8.self) >> 4 == 6, "version")

            var walk = IPv6ExtensionWalk()
            guard header.walkExtensions(into: &walk) == .none else { return }
            let offset = Int(walk.offset)
            require(offset >= 40 && offset <= header.totalLength, "offset")
            require(walk.fragmentHeaderOffset == 0 || Int(walk.fragmentHeaderOffset) + 8 <= offset, "fragment header")
            require(walk.isFragment == (walk.moreFragments || walk.fragmentOffset != 0), "fragment")
            require(
                Int(walk.fragmentOffset) + header.totalLength - offset <= 65_535 || !walk.isFragment, "fragment end")
            touch(base + offset, header.totalLength - offset)
        }
    }
}
