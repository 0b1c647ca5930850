import Packets
import Testing

/// A named way to make a view of some bytes, to test all of them alike.
struct View: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// A packet that the view accepts, of exactly the least length.
    let bytes: [UInt8]
    let accepts: @Sendable (UnsafeMutableRawPointer, Int) -> Bool

    static let all: [View] = [
        View(testDescription: "Ethernet", bytes: Array(repeating: 0, count: 12) + [8, 0]) {
            EthernetHeader($0, available: $1) != nil
        },
        View(testDescription: "Ethernet with a tag", bytes: Array(repeating: 0, count: 12) + hex("81000064 0800")) {
            EthernetHeader($0, available: $1) != nil
        },
        View(testDescription: "VLAN tag", bytes: hex("00640800")) { VLANTag($0, available: $1) != nil },
        View(testDescription: "IPv4", bytes: IPv4Sample().bytes) { IPv4Header($0, available: $1) != nil },
        View(testDescription: "IPv4 with options", bytes: IPv4Sample(options: Array(repeating: 1, count: 40)).bytes) {
            IPv4Header($0, available: $1) != nil
        },
        View(testDescription: "IPv6", bytes: IPv6Sample().bytes) { IPv6Header($0, available: $1) != nil },
        View(testDescription: "UDP", bytes: samplePorts) { UDPHeader($0, available: $1) != nil },
        View(testDescription: "TCP", bytes: tcp(words: 5)) { TCPHeader($0, available: $1) != nil },
        View(testDescription: "TCP with options", bytes: tcp(words: 15)) { TCPHeader($0, available: $1) != nil },
        View(testDescription: "ICMP", bytes: hex("0800000000000000")) { ICMPHeader($0, available: $1) != nil },
        View(testDescription: "ESP", bytes: hex("0000100000000001")) { ESPHeader($0, available: $1) != nil },
        View(testDescription: "AH", bytes: hex("04040000 00001000 00000001") + Array(repeating: 0, count: 12)) {
            AHHeader($0, available: $1) != nil
        },
    ]

    static func tcp(words: UInt8) -> [UInt8] {
        var bytes = Array(repeating: UInt8(0), count: Int(words) * 4)
        bytes[12] = words << 4
        return bytes
    }
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

    @Test("Ethernet fields")
    func ethernet() throws {
        try withMemory(hex("020000000001 020000000002 0800 45")) { base, count in
            let header = try #require(EthernetHeader(base, available: count))
            #expect(header.destination.description == "02:00:00:00:00:01")
            #expect(header.source.description == "02:00:00:00:00:02")
            #expect(header.etherType == EtherType.ipv4 && header.payloadType == EtherType.ipv4)
            #expect(header.headerLength == 14)
            #expect(header.tag == nil)
            header.destination = .broadcast
            header.source = MACAddress(0x0200_0000_0003)
            header.etherType = EtherType.ipv6
            #expect(hex("ffffffffffff 020000000003 86dd 45") == bytes(base, count))
        }
    }

    @Test("VLAN fields")
    func vlan() throws {
        try withMemory(hex("020000000001 020000000002 8100 b064 86dd")) { base, count in
            let header = try #require(EthernetHeader(base, available: count))
            #expect(header.headerLength == 18)
            #expect(header.payloadType == EtherType.ipv6)
            let tag = try #require(header.tag)
            #expect(tag.identifier == 100 && tag.priority == 5 && tag.etherType == EtherType.ipv6)
            tag.identifier = 0xFABC
            tag.priority = 2
            tag.etherType = EtherType.ipv4
            #expect(bytes(base, count).suffix(4) == hex("5abc 0800"))
        }
        // Two tags: the payload is a tag, not IP.
        try withMemory(hex("020000000001 020000000002 8100 0001 8100 0002 0800")) { base, count in
            let header = try #require(EthernetHeader(base, available: count))
            #expect(header.payloadType == EtherType.vlan)
        }
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

    @Test("UDP length field", arguments: [(0, false), (7, false), (8, true), (10, true), (11, false), (65_535, false)])
    func udpLength(length: UInt16, valid: Bool) {
        var bytes = samplePorts + [1, 2]
        bytes.set(length, at: 4)
        #expect(withMemory(bytes) { UDPHeader($0, available: $1) != nil }.result == valid)
    }

    @Test("TCP data offset", arguments: 0...15 as ClosedRange<UInt8>)
    func tcpOffset(words: UInt8) {
        var bytes = View.tcp(words: 10)
        bytes[12] = words << 4
        #expect(withMemory(bytes) { TCPHeader($0, available: $1) != nil }.result == (5...10).contains(words))
    }

    @Test("AH length", arguments: [(0, false), (1, true), (4, true), (5, false), (255, false)] as [(UInt8, Bool)])
    func ahLength(words: UInt8, valid: Bool) {
        var bytes = Array(repeating: UInt8(0), count: 24)
        bytes[1] = words
        #expect(withMemory(bytes) { AHHeader($0, available: $1) != nil }.result == valid)
    }

    @Test("Transport fields")
    func transport() throws {
        try withMemory(samplePorts + [0xAA]) { base, count in
            let udp = try #require(UDPHeader(base, available: count))
            #expect(udp.sourcePort == 0x1234 && udp.destinationPort == 0x5678 && udp.payloadLength == 0)
            udp.sourcePort = 4500
            udp.destinationPort = 500
            udp.totalLength = 9
            udp.checksum = 0xABCD
            #expect(hex("1194 01f4 0009 abcd aa") == bytes(base, count))
            #expect(udp.payloadLength == 1 && udp.payload == base + 8)
        }
        try withMemory(hex("1234 5678 00000001 00000002 6012 0400 abcd 0000 02040578")) { base, count in
            let tcp = try #require(TCPHeader(base, available: count))
            #expect(tcp.sourcePort == 0x1234 && tcp.destinationPort == 0x5678 && tcp.sequence == 1)
            #expect(tcp.acknowledgement == 2 && tcp.flags == 0x12 && tcp.window == 0x400 && tcp.checksum == 0xABCD)
            #expect(Array(tcp.options) == hex("02040578") && tcp.payload == base + 24)
            tcp.sourcePort = 1
            tcp.destinationPort = 2
            tcp.sequence = 3
            tcp.acknowledgement = 4
            tcp.flags = 5
            tcp.window = 6
            tcp.checksum = 7
            #expect(hex("0001 0002 00000003 00000004 6005 0006 0007 0000 02040578") == bytes(base, count))
        }
        try withMemory(hex("0304 abcd 00000578")) { base, count in
            let icmp = try #require(ICMPHeader(base, available: count))
            #expect(icmp.type == 3 && icmp.code == 4 && icmp.checksum == 0xABCD && icmp.restOfHeader == 1400)
            icmp.type = 8
            icmp.code = 0
            icmp.checksum = 1
            icmp.restOfHeader = 2
            #expect(hex("0800 0001 00000002") == bytes(base, count))
        }
    }

    @Test("Security fields")
    func security() throws {
        try withMemory(hex("00001000 00000007 ff")) { base, count in
            let esp = try #require(ESPHeader(base, available: count))
            #expect(esp.spi == 0x1000 && esp.sequence == 7 && esp.payload == base + 8)
            esp.spi = 0x89AB_CDEF
            esp.sequence = .max
            #expect(hex("89abcdef ffffffff ff") == bytes(base, count))
        }
        try withMemory(hex("04020000 00001000 00000007 01020304")) { base, count in
            let ah = try #require(AHHeader(base, available: count))
            #expect(ah.nextHeader == 4 && ah.headerLength == 16 && ah.spi == 0x1000 && ah.sequence == 7)
            #expect(Array(ah.integrityCheckValue) == [1, 2, 3, 4] && ah.payload == base + 16)
            ah.nextHeader = 41
            ah.spi = 1
            ah.sequence = 2
            #expect(hex("29020000 00000001 00000002 01020304") == bytes(base, count))
        }
    }

    private func bytes(_ base: UnsafeMutableRawPointer, _ count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: base, count: count))
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
