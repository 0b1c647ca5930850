import FuzzSupport
import Packets

/// The IPv4 view: all of it is inside of the packet, checksums are right after every change.
@main
enum FuzzIPv4 {
    static func main() {
        fuzz { base, count in
            guard let header = IPv4Header(base, available: count) else { return }
            require(header.headerLength + header.payloadLength == header.totalLength, "lengths")
            require(header.totalLength <= count, "total length")
            touch(header.options.baseAddress ?? base, header.options.count)
            touch(header.payload, header.payloadLength)
            header.updateChecksum()
            require(header.isChecksumValid, "checksum")
            let timeToLive = header.timeToLive
            require(HopLimit.decrement(base) == (timeToLive > 1), "hop limit")
            require(header.isChecksumValid, "checksum after the hop limit")
            let (field, more, dontFragment) = (header.fragmentOffset, header.moreFragments, header.dontFragment)
            header.fragmentOffset = 65_528 - field
            require(header.fragmentOffset == 65_528 - field, "fragment offset")
            require(header.moreFragments == more && header.dontFragment == dontFragment, "flags")
            header.moreFragments = !more
            header.dontFragment = !dontFragment
            require(header.moreFragments != more && header.dontFragment != dontFragment, "flags after a change")
        }
    }
}
