import Packets
import Testing

@Suite("IP prefixes")
struct IPPrefixTests {
    @Test(
        "Text, canonical form and range",
        arguments: [
            ("10.0.0.0/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
            ("10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
            ("192.0.2.1", "192.0.2.1/32", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.129/25", "192.0.2.128/25", "192.0.2.128", "192.0.2.255"),
            ("1.2.3.4/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("255.255.255.255/31", "255.255.255.254/31", "255.255.255.254", "255.255.255.255"),
            ("2001:db8::1", "2001:db8::1/128", "2001:db8::1", "2001:db8::1"),
            ("2001:db8::1/32", "2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::1/64", "2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
            ("2001:db8::ffff/65", "2001:db8::/65", "2001:db8::", "2001:db8::7fff:ffff:ffff:ffff"),
            ("2001:db8::ffff/127", "2001:db8::fffe/127", "2001:db8::fffe", "2001:db8::ffff"),
            ("fe80::/63", "fe80::/63", "fe80::", "fe80::1:ffff:ffff:ffff:ffff"),
            ("::/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ])
    func text(text: String, canonical: String, first: String, last: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.description == canonical)
        #expect(prefix.first.description == first)
        #expect(prefix.last == IPAddress(last))
        #expect(IPPrefix(canonical) == prefix)
    }

    @Test(
        "Refused",
        arguments: [
            "", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "::/129", "10/8",
            "10.0.0.0/8/8", "10.0.0.0/8 ",
        ])
    func refused(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test("A prefix of any length holds exactly the addresses that share its bits", arguments: 0...128)
    func contains(length: Int) {
        let six = IPAddress(ipv6High: 0x2001_0DB8_1234_5678, low: 0x9ABC_DEF0_1234_5678)
        check(six, length: length)
        if length <= 32 { check(IPAddress(ipv4: 0xC0A8_5A33), length: length) }
    }

    private func check(_ address: IPAddress, length: Int) {
        let prefix = IPPrefix(address: address, length: length)
        #expect(prefix.length == length)
        #expect(prefix.contains(address))
        for bit in 0..<address.bitWidth {
            var other = address
            let fromRight = address.bitWidth - 1 - bit
            if fromRight >= 64 {
                other.high ^= 1 << UInt64(fromRight - 64)
            } else {
                other.low ^= 1 << UInt64(fromRight)
            }
            #expect(prefix.contains(other) == (bit >= length), "bit \(bit)")
            #expect(prefix.range.contains(other) == (bit >= length), "bit \(bit)")
        }
        let otherFamily = address.family == .ipv4 ? IPAddress(ipv6High: 0, low: address.low) : IPAddress(ipv4: 1)
        #expect(!prefix.contains(otherFamily))
    }

    @Test("Lengths outside of the family are brought into it")
    func clamped() {
        #expect(IPPrefix(address: IPAddress(ipv4: 1), length: 99).length == 32)
        #expect(IPPrefix(address: IPAddress(ipv4: 1), length: -1) == .all(.ipv4))
        #expect(IPPrefix(address: IPAddress(ipv6High: 1, low: 1), length: 999).length == 128)
    }

    @Test("Blocks in blocks")
    func blocks() throws {
        let wide = try #require(IPPrefix("10.0.0.0/8"))
        let narrow = try #require(IPPrefix("10.1.0.0/16"))
        let other = try #require(IPPrefix("11.0.0.0/16"))
        #expect(wide.contains(narrow))
        #expect(!narrow.contains(wide))
        #expect(wide.contains(wide))
        #expect(wide.overlaps(narrow) && narrow.overlaps(wide))
        #expect(!wide.overlaps(other) && !other.overlaps(wide))
        #expect(!IPPrefix.all(.ipv6).overlaps(wide))
    }
}
