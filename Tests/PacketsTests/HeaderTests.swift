import Packets
import Testing

/// A named way to make a view of some bytes, to test all of them alike.
struct View: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// A packet that the view accepts, of exactly the least length.
    let bytes: [UInt8]
    let accepts: @Sendable (UnsafeMutableRawPointer, Int) -> Bool

    static let all: [View] = [
        View(testDescription: "IPv4", bytes: IPv4Sample().bytes) { IPv4Header($0, available: $1) != nil },
        View(testDescription: "IPv4 with options", bytes: IPv4Sample(options: Array(repeating: 1, count: 40)).bytes) {
            IPv4Header($0, available: $1) != nil
        },
        View(testDescription: "IPv6", bytes: IPv6Sample().bytes) { IPv6Header($0, available: $1) != nil },
    ]
}

@Suite("Header views")
struct HeaderTests {
    @Test("Too few bytes, down to none", arguments: View.all)
    func truncation(view: View) {
        for count in 0..<view.bytes.count {
            #expect(!withMemory(Array(view.bytes[..<count]), view.accepts).result, "\(count) bytes")
        }
        #expect(withMemory(view.bytes, view.accepts).result)
        #expect(withMemory(view.bytes + [0], view.accepts).result)
    }

    @Test("IPv4 fields")
    func ipv4() throws {
        let sample = IPv4Sample(trafficClass: 0x28, fragmentField: 0x2010, timeToLive: 9, options: [1, 1, 1, 0])
        try withMemory(sample.bytes) { base, count in
            let header = try #require(IPv4Header(base, available: count))
            #expect(header.headerLength == 24 && header.totalLength == 32 && header.payloadLength == 8)
            #expect(header.trafficClass == 0x28 && header.identification == 0x1234 && header.timeToLive == 9)
            #expect(!header.dontFragment && header.moreFragments && header.fragmentOffset == 128 && header.isFragment)
            #expect(header.protocol == 17 && header.isChecksumValid && header.payload == base + 24)
            #expect(header.source.description == "192.0.2.1" && header.destination.description == "198.51.100.2")
            #expect(Array(header.options) == [1, 1, 1, 0])
            header.moreFragments = false
            header.fragmentOffset = 0
            header.dontFragment = true
            header.source = IPAddress(ipv4: 0x0A00_0001)
            header.destination = IPAddress(ipv4: 0x0A00_0002)
            header.identification = 7
            header.trafficClass = 1
            header.timeToLive = 2
            header.protocol = 6
            header.totalLength = 31
            #expect(!header.isChecksumValid)
            header.updateChecksum()
            #expect(header.isChecksumValid)
            #expect(hex("4601001f 00074000 0206") == Array(bytes(base, count)[..<10]))
            #expect(hex("0a0000010a000002 01010100") == Array(bytes(base, count)[12..<24]))
        }
    }

    @Test("IPv6 fields")
    func ipv6() throws {
        try withMemory(IPv6Sample(trafficClass: 0xA5, flowLabel: 0x12345, hopLimit: 9).bytes) { base, count in
            let header = try #require(IPv6Header(base, available: count))
            #expect(header.trafficClass == 0xA5 && header.flowLabel == 0x12345 && header.hopLimit == 9)
            #expect(header.payloadLength == 8 && header.totalLength == 48 && header.nextHeader == 17)
            #expect(header.source.description == "2001:db8::1" && header.destination.description == "2001:db8:0:1::2")
            header.trafficClass = 0x5A
            header.flowLabel = 0xFFFF_FFFF
            header.payloadLength = 7
            header.nextHeader = 6
            header.hopLimit = 1
            header.source = IPAddress(ipv6High: 1, low: 2)
            header.destination = IPAddress(ipv6High: 3, low: 4)
            #expect(hex("65afffff 00070601") == Array(bytes(base, count)[..<8]))
            #expect(header.source == IPAddress("0:0:0:1::2") && header.destination == IPAddress("0:0:0:3::4"))
            #expect(header.payload == base + 40)
        }
    }

    private func bytes(_ base: UnsafeMutableRawPointer, _ count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: base, count: count))
    }
}

@Suite("Link layer")
struct LinkLayerTests {
    /// Ethernet with no tag or one, IPv4 and IPv6; anything else is not IP.
    @Test func linkLayer() {
        func parse(_ bytes: [UInt8]) -> (Bool, Int, AddressFamily) {
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: bytes)
            var link = LinkLayer()
            guard let start = memory.baseAddress else { return (false, 0, .ipv4) }
            let isIP = link.parse(start, available: bytes.count)
            return (isIP, link.headerLength, link.family)
        }
        let stations = [UInt8](repeating: 2, count: 12)
        #expect(parse(stations + [0x08, 0x00]) == (true, 14, .ipv4))
        #expect(parse(stations + [0x86, 0xDD]) == (true, 14, .ipv6))
        for tag in [[0x81, 0x00], [0x88, 0xA8]] as [[UInt8]] {
            #expect(parse(stations + tag + [0, 5, 0x08, 0x00]) == (true, 18, .ipv4))
            #expect(parse(stations + tag + [0, 5, 0x86, 0xDD]) == (true, 18, .ipv6))
            #expect(!parse(stations + tag + [0, 5, 0x08]).0)
            #expect(!parse(stations + tag + [0, 5] + tag + [0, 6, 0x08, 0x00]).0, "one tag, not two")
        }
        #expect(!parse(stations + [0x08, 0x06]).0)
        for length in 0..<14 { #expect(!parse(Array((stations + [0x08, 0x00])[..<length])).0) }
    }

    @Test("The VLAN of a frame: 802.1Q only, without its priority")
    func vlan() {
        let stations = [UInt8](repeating: 2, count: 12)
        func vlan(_ bytes: [UInt8], headerLength: Int) -> UInt16 {
            withMemory(stations + bytes) { base, _ in LinkLayer.vlan(base, headerLength: headerLength) }.result
        }
        #expect(vlan(hex("0800 4500"), headerLength: 14) == 0)
        #expect(vlan(hex("8100 0064 0800"), headerLength: 18) == 100)
        #expect(vlan(hex("8100 bfff 86dd"), headerLength: 18) == 0xFFF)
        #expect(vlan(hex("8100 a000 86dd"), headerLength: 18) == 0, "no more than a priority")
        #expect(vlan(hex("88a8 0064 0800"), headerLength: 18) == 0, "another tag")
    }

    @Test(
        "The type before a packet is that of its version",
        arguments: [(0x45, 0x0800), (0x60, 0x86DD)] as [(UInt8, UInt16)])
    func type(first: UInt8, type: UInt16) {
        let (_, after) = withMemory([1, 2, 3, first]) { base, _ in LinkLayer.writeType(before: base + 3) }
        #expect(after == [1, UInt8(type >> 8), UInt8(type & 0xFF), first])
    }
}

@Suite("Hop limit")
struct HopLimitTests {
    @Test("IPv4, every TTL", arguments: 0...255 as ClosedRange<UInt8>)
    func ipv4(timeToLive: UInt8) throws {
        for identification in [0, 0x1234, 0xFFFF] as [UInt16] {
            let sample = IPv4Sample(identification: identification, timeToLive: timeToLive).bytes
            let (forwarded, after) = withMemory(sample) { base, _ in HopLimit.decrement(base) }
            #expect(forwarded == (timeToLive > 1))
            var expected = IPv4Sample(identification: identification, timeToLive: timeToLive)
            if forwarded { expected.timeToLive -= 1 }
            #expect(after == expected.bytes)
        }
    }

    @Test("IPv6", arguments: 0...255 as ClosedRange<UInt8>)
    func ipv6(hopLimit: UInt8) {
        let (forwarded, after) = withMemory(IPv6Sample(hopLimit: hopLimit).bytes) { base, _ in HopLimit.decrement(base)
        }
        #expect(forwarded == (hopLimit > 1))
        #expect(after == IPv6Sample(hopLimit: forwarded ? hopLimit - 1 : hopLimit).bytes)
    }
}
