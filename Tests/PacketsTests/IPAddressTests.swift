import Packets
import Testing

@Suite("IP addresses")
struct IPAddressTests {
    @Test("24 bytes apart in memory")
    func layout() {
        #expect(MemoryLayout<IPAddress>.stride == 24)
        #expect(MemoryLayout<PacketSummary>.stride <= 64)
    }

    @Test("IPv4 text", arguments: [("0.0.0.0", 0), ("10.0.0.1", 0x0A00_0001), ("255.255.255.255", 0xFFFF_FFFF)])
    func ipv4Text(text: String, bits: UInt32) {
        #expect(IPAddress(text) == IPAddress(ipv4: bits))
        #expect(IPAddress(ipv4: bits).description == text)
    }

    /// Every canonical form reads back as itself; the examples are those of RFC 5952 sections 1, 4 and 5.
    @Test(
        "RFC 5952 canonical text",
        arguments: [
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:0:0:0:0:0:0", "::"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"),
            ("2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"),
            ("2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::FFFF:c000:201", "::ffff:192.0.2.1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("::1.2.3.4", "::102:304"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("fe80::1", "fe80::1"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ])
    func ipv6Text(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
        #expect(address.family == .ipv6)
    }

    @Test(
        "Text that is no address",
        arguments: [
            "", ".", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.+4",
            "1..2.3",
            "1.2.3.", "1.2.3.4/8", "0x1.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1::2",
            "1::2::3",
            ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "12345::", "g::", "::%eth0", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5",
            "1:2:3:4:5:6:7:1.2.3.4", "::/0", "1::2:", ":1::2", "2001:db8::1 ", "\u{661}.2.3.4",
        ])
    func refused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("Random addresses read back", arguments: 0..<200)
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        // Half of the groups zero, so that runs are common.
        let zeros = random.next()
        var halves: [UInt64] = [0, 0]
        for group in 0..<8 where zeros >> UInt64(group) & 1 == 0 {
            halves[group / 4] |= (random.next() & 0xFFFF) << UInt64(16 * (group % 4))
        }
        let address = IPAddress(ipv6High: halves[0], low: halves[1])
        #expect(IPAddress(address.description) == address)
        let quad = IPAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
        #expect(IPAddress(quad.description) == quad)
    }

    @Test("Network order, unaligned", arguments: ["192.0.2.1", "2001:db8:1:2:3:4:5:6"])
    func bytes(text: String) throws {
        let address = try #require(IPAddress(text))
        let wire = address.family == .ipv4 ? hex("c0000201") : hex("20010db8000100020003000400050006")
        let (loaded, _) = withMemory([0xEE] + wire) { base, _ in IPAddress(loading: base + 1, family: address.family) }
        #expect(loaded == address)
        let (_, stored) = withMemory(Array(repeating: 0xEE, count: wire.count + 2)) { base, _ in
            address.store(to: base + 1)
        }
        #expect(stored == [0xEE] + wire + [0xEE])
        #expect(address.family.byteCount == wire.count)
        #expect(address.bitWidth == wire.count * 8)
    }

    @Test("Equality and order look at the family")
    func order() {
        let four = IPAddress(ipv4: 1)
        let six = IPAddress(ipv6High: 0, low: 1)
        #expect(four != six)
        #expect(four < six)
        #expect(!(six < four))
        #expect(IPAddress(ipv4: 0x0900_0000) < IPAddress(ipv4: 0x0A00_0000))
        #expect(IPAddress(ipv6High: 1, low: 9) < IPAddress(ipv6High: 2, low: 0))
        #expect(Set([four, six, IPAddress(ipv4: 1)]).count == 2)
    }

    @Test(
        "Kinds of addresses",
        arguments: [
            ("0.0.0.0", "u"), ("0.1.2.3", ""), ("127.0.0.1", "l"), ("169.254.1.1", "ks"), ("224.0.0.1", "m"),
            ("239.255.255.255", "m"), ("240.0.0.1", ""), ("255.255.255.255", "b"), ("10.0.0.1", "s"),
            ("223.255.255.255", "s"),
            ("::", "u"), ("::1", "l"), ("ff02::1", "m"), ("fe80::1", "ks"), ("febf::1", "ks"), ("fec0::1", "s"),
            ("2001:db8::1", "s"),
        ])
    func kinds(text: String, kinds: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.isUnspecified == kinds.contains("u"))
        #expect(address.isLoopback == kinds.contains("l"))
        #expect(address.isLinkLocal == kinds.contains("k"))
        #expect(address.isMulticast == kinds.contains("m"))
        #expect(address.isLimitedBroadcast == kinds.contains("b"))
        #expect(address.isSingleHost == kinds.contains("s"))
    }
}

@Suite("MAC addresses")
struct MACAddressTests {
    @Test("Text and bytes", arguments: ["02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:1b:21:0a:bc:de"])
    func roundTrip(text: String) throws {
        let address = try #require(MACAddress(text))
        #expect(address.description == text)
        #expect(MACAddress(text.uppercased()) == address)
        let wire = hex(text.filter { $0 != ":" })
        #expect(withMemory(wire) { base, _ in MACAddress(loading: base) }.result == address)
        #expect(withMemory(Array(repeating: 0, count: 6)) { base, _ in address.store(to: base) }.bytes == wire)
        #expect(MACAddress(address.bits) == address)
        #expect(MemoryLayout<MACAddress>.size == 6)
    }

    @Test(
        "Refused",
        arguments: [
            "", "02:00:00:00:00", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "02-00-00-00-00-01", "0g:00:00:00:00:00",
        ])
    func refused(text: String) {
        #expect(MACAddress(text) == nil)
    }

    @Test("Group bit")
    func group() {
        #expect(MACAddress.broadcast.isGroup)
        #expect(MACAddress("33:33:00:00:00:01")?.isGroup == true)
        #expect(MACAddress("01:00:5e:00:00:01")?.isGroup == true)
        #expect(MACAddress("02:00:00:00:00:01")?.isGroup == false)
    }
}
