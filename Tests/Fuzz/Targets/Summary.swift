import FuzzSupport
import Packets

/// The parser of the hot path, on the bytes as they are and with an IPv4 checksum that is right.
@main
enum FuzzSummary {
    static func main() {
        fuzz { base, count in
            check(base, count)
            guard let header = IPv4Header(base, available: count) else { return }
            header.updateChecksum()
            check(base, count)
        }
    }
}

/// What holds for every packet that parses.
private func check(_ base: UnsafeMutableRawPointer, _ count: Int) {
    var summary = PacketSummary()
    let failure = PacketSummary.parse(base, available: count, into: &summary)
    guard failure == .none else { return }
    require(summary.totalLength <= count, "total length")
    require(summary.headerLength <= summary.totalLength, "header length")
    require(summary.isFragment || !summary.isLaterFragment, "later fragment")
    require(!summary.isLaterFragment || summary.sourcePort == 0 && summary.destinationPort == 0, "ports")
    touch(base + summary.headerLength, summary.totalLength - summary.headerLength)
    switch summary.family {
    case .ipv4:
        guard let header = IPv4Header(base, available: count) else { fatalError("the view refuses it") }
        require(header.isChecksumValid, "checksum")
        require(header.source == summary.source && header.destination == summary.destination, "addresses")
        require(header.isFragment == summary.isFragment, "fragment")
        require(header.dontFragment == summary.dontFragment, "do not fragment")
    case .ipv6:
        guard let header = IPv6Header(base, available: count) else { fatalError("the view refuses it") }
        require(header.source == summary.source && header.destination == summary.destination, "addresses")
        require(header.trafficClass == summary.trafficClass, "traffic class")
    }
    let before = summary
    guard HopLimit.decrement(base) else { return }
    require(PacketSummary.parse(base, available: count, into: &summary) == .none, "forwarded")
    require(summary.hopLimit == before.hopLimit - 1, "hop limit")
}
