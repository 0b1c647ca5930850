import IPsec
import Packets
import Testing

@Suite("Ranges of addresses as prefixes")
struct AddressRangePrefixesTests {
    @Test(
        "A range is split into the fewest prefixes",
        arguments: [
            ("10.0.0.0", "10.0.0.255", ["10.0.0.0/24"]), ("10.0.0.1", "10.0.0.1", ["10.0.0.1/32"]),
            ("10.0.0.1", "10.0.0.4", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"]),
            ("0.0.0.0", "255.255.255.255", ["0.0.0.0/0"]),
            ("255.255.255.254", "255.255.255.255", ["255.255.255.254/31"]),
            ("127.255.255.255", "128.0.0.0", ["127.255.255.255/32", "128.0.0.0/32"]),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["::/0"]),
            (
                "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::",
                ["2001:db8::ffff:ffff:ffff:ffff/128", "2001:db8:0:1::/128"]
            ),
            (
                "2001:db8::1", "2001:db8::6",
                ["2001:db8::1/128", "2001:db8::2/127", "2001:db8::4/127", "2001:db8::6/128"]
            ),
        ])
    func split(first: String, last: String, expected: [String]) throws {
        let range = try #require(AddressRange(first: address(first), last: address(last)))
        #expect(range.prefixes(limit: 8).map(\.description) == expected)
    }

    @Test("Prefixes hold exactly the range, in order and without overlap", arguments: 0..<200)
    func exact(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let ends = (0..<2).map { _ in randomAddress(&random, seed % 2 == 0 ? .ipv4 : .ipv6) }.sorted()
        let range = try #require(AddressRange(first: ends[0], last: ends[1]))
        let prefixes = range.prefixes(limit: 300)
        #expect(prefixes.first?.first == range.first)
        #expect(prefixes.last?.last == range.last)
        for (left, right) in zip(prefixes, prefixes.dropFirst()) { #expect(left.last.successor == right.first) }
        let width = range.first.bitWidth
        #expect(prefixes.count <= max(1, 2 * width - 2))
        // Two neighbours of one length that could be joined would not be the fewest.
        for (left, right) in zip(prefixes, prefixes.dropFirst()) where left.length == right.length {
            #expect(IPPrefix(address: left.first, length: left.length - 1).contains(right.first) == false)
        }
    }

    @Test(
        "Beyond the limit one prefix holds all",
        arguments: [("10.0.0.1", "10.0.0.254", "10.0.0.0/24"), ("1.0.0.1", "254.0.0.0", "0.0.0.0/0")])
    func limit(first: String, last: String, expected: String) throws {
        let range = try #require(AddressRange(first: address(first), last: address(last)))
        #expect(range.prefixes(limit: 8).map(\.description) == [expected])
    }

    @Test("Every range of five bits: the prefixes hold its addresses once each, and no other")
    func everySmallRange() throws {
        let base: UInt32 = 0x0A00_0000
        for first in UInt32(0)..<32 {
            for last in first..<32 {
                let ends = (IPAddress(ipv4: base + first), IPAddress(ipv4: base + last))
                let prefixes = try #require(AddressRange(first: ends.0, last: ends.1)).prefixes()
                for offset in UInt32(0)..<32 {
                    let holding = prefixes.count { $0.contains(IPAddress(ipv4: base + offset)) }
                    #expect(holding == (offset >= first && offset <= last ? 1 : 0))
                }
            }
        }
    }

    private func randomAddress(_ random: inout SeededGenerator, _ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
        case .ipv6: IPAddress(ipv6High: random.next() & 1, low: random.next())
        }
    }
}
