import Packets
import Testing

/// Parses exactly these bytes.
func summarise(_ bytes: [UInt8]) -> (failure: ParseFailure, summary: PacketSummary) {
    withMemory(bytes) { base, count in
        var summary = PacketSummary()
        return (PacketSummary.parse(base, available: count, into: &summary), summary)
    }.result
}

@Suite("Packet summary, IPv4")
struct IPv4SummaryTests {
    @Test("Every field")
    func fields() {
        let sample = IPv4Sample(
            trafficClass: 0xB9, fragmentField: 0x4000, timeToLive: 17, payload: samplePorts + [1, 2])
        let (failure, summary) = summarise(sample.bytes + [0xEE, 0xEE])  // Ethernet padding
        #expect(failure == .none)
        #expect(summary.family == .ipv4)
        #expect(summary.source == IPAddress("192.0.2.1"))
        #expect(summary.destination == IPAddress("198.51.100.2"))
        #expect(summary.upperProtocol == IPProtocol.udp)
        #expect(summary.sourcePort == 0x1234)
        #expect(summary.destinationPort == 0x5678)
        #expect(summary.headerLength == 20)
        #expect(summary.totalLength == 30)
        #expect(summary.trafficClass == 0xB9)
        #expect(summary.hopLimit == 17)
        #expect(summary.dontFragment)
        #expect(!summary.isFragment)
        #expect(!summary.isLaterFragment)
    }

    @Test("Options of every length", arguments: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40])
    func options(count: Int) {
        let (failure, summary) = summarise(IPv4Sample(options: Array(repeating: 1, count: count)).bytes)
        #expect(failure == .none)
        #expect(summary.headerLength == 20 + count)
        #expect(summary.sourcePort == 0x1234)
    }

    @Test("Cut off at every byte", arguments: [0, 12])
    func truncation(options: Int) {
        let bytes = IPv4Sample(options: Array(repeating: 1, count: options), payload: samplePorts + [9, 9, 9]).bytes
        for count in 0..<bytes.count {
            let expected: ParseFailure = count < 20 ? .truncatedHeader : .totalLength
            #expect(summarise(Array(bytes[..<count])).failure == expected, "\(count) bytes")
        }
        #expect(summarise(bytes).failure == .none)
    }

    @Test("Versions", arguments: 0...15 as ClosedRange<UInt8>)
    func version(version: UInt8) {
        var bytes = IPv4Sample(payload: Array(repeating: 0, count: 30)).bytes
        bytes[0] = version << 4 | 5
        bytes = withChecksum(bytes)
        let failure = summarise(bytes).failure
        switch version {
        case 4: #expect(failure == .none)
        case 6: #expect(failure != .version)
        default: #expect(failure == .version)
        }
    }

    @Test("Header lengths that cannot be", arguments: 0...15 as ClosedRange<UInt8>)
    func headerLength(words: UInt8) {
        var bytes = IPv4Sample(number: 99, payload: Array(repeating: 0, count: 12)).bytes
        bytes[0] = 0x40 | words
        let failure = summarise(withChecksum(bytes)).failure
        #expect(failure == ((5...8).contains(words) ? .none : .headerLength))
    }

    @Test(
        "Total lengths that cannot be",
        arguments: [(0, false), (19, false), (20, true), (27, true), (28, true), (29, false), (65_535, false)])
    func totalLength(length: UInt16, valid: Bool) {
        var bytes = IPv4Sample(number: 99).bytes
        bytes.set(length, at: 2)
        let failure = summarise(withChecksum(bytes)).failure
        #expect(failure == (valid ? .none : length < 20 ? .headerLength : .totalLength))
    }

    @Test("Every flipped bit of a header is seen", arguments: 0..<160)
    func checksum(bit: Int) {
        var bytes = IPv4Sample().bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(summarise(bytes).failure != .none)
    }

    @Test("Ports need four bytes", arguments: [6, 17, 33, 132, 136, 1, 58] as [UInt8], 0...5)
    func ports(number: UInt8, count: Int) {
        let bytes = IPv4Sample(number: number, payload: Array(samplePorts[..<count])).bytes
        let (failure, summary) = summarise(bytes)
        #expect(failure == (count < 4 ? .truncatedTransport : .none))
        guard failure == .none else { return }
        #expect(summary.sourcePort == 0x1234)
        #expect(summary.destinationPort == (number == 1 || number == 58 ? 0 : 0x5678))
    }

    @Test("Protocols without ports", arguments: [4, 41, 47, 50, 51, 59, 89, 255] as [UInt8])
    func noPorts(number: UInt8) {
        for payload in [[], samplePorts] {
            let (failure, summary) = summarise(IPv4Sample(number: number, payload: payload).bytes)
            #expect(failure == .none)
            #expect(summary.sourcePort == 0 && summary.destinationPort == 0)
        }
    }

    @Test("Fragments")
    func fragments() {
        let first = summarise(IPv4Sample(fragmentField: 0x2000).bytes)
        #expect(first.failure == .none)
        #expect(first.summary.isFragment && !first.summary.isLaterFragment)
        #expect(first.summary.sourcePort == 0x1234)
        for field in [0x2002, 0x0002] as [UInt16] {
            let later = summarise(IPv4Sample(fragmentField: field).bytes)
            #expect(later.failure == .none)
            #expect(later.summary.isFragment && later.summary.isLaterFragment)
            #expect(later.summary.sourcePort == 0 && later.summary.destinationPort == 0)
        }
    }

    @Test(
        "Fragments that nobody may send",
        arguments: [
            (0x2000, 6, 17, false),  // not a multiple of eight, more to come
            (0x2000, 0, 99, false),  // nothing in it, more to come
            (0x0001, 6, 17, true),  // the last may have any length
            (0x1FFF, 8, 17, false),  // ends beyond 65,535
            (0x1FFA, 8, 17, true),
            (0x0001, 8, 6, false),  // RFC 1858: overwrites the TCP header
            (0x0002, 8, 6, true),
        ] as [(UInt16, Int, UInt8, Bool)])
    func badFragments(field: UInt16, count: Int, number: UInt8, valid: Bool) {
        let bytes = IPv4Sample(fragmentField: field, number: number, payload: Array(repeating: 1, count: count)).bytes
        #expect(summarise(bytes).failure == (valid ? .none : .fragment))
    }

    private func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let length = min(max(Int(bytes[0] & 15) * 4, 20), bytes.count)
        bytes.set(0, at: 10)
        bytes.set(naiveChecksum(Array(bytes[..<length])), at: 10)
        return bytes
    }
}

@Suite("Packet summary, IPv6")
struct IPv6SummaryTests {
    @Test("Every field")
    func fields() {
        let sample = IPv6Sample(trafficClass: 0xB9, flowLabel: 0xABCDE, hopLimit: 17, payload: samplePorts + [1])
        let (failure, summary) = summarise(sample.bytes + [0xEE])
        #expect(failure == .none)
        #expect(summary.family == .ipv6)
        #expect(summary.source == IPAddress("2001:db8::1"))
        #expect(summary.destination == IPAddress("2001:db8:0:1::2"))
        #expect(summary.upperProtocol == IPProtocol.udp)
        #expect(summary.sourcePort == 0x1234)
        #expect(summary.destinationPort == 0x5678)
        #expect(summary.headerLength == 40)
        #expect(summary.totalLength == 49)
        #expect(summary.trafficClass == 0xB9)
        #expect(summary.hopLimit == 17)
        #expect(summary.dontFragment)
        #expect(!summary.isFragment)
    }

    @Test("Cut off at every byte")
    func truncation() {
        let sample = IPv6Sample(extensions: [hopByHop, destinationOptions(2), fragmentHeader(offset: 0, more: true)])
        let bytes = sample.bytes
        for count in 0..<bytes.count {
            let expected: ParseFailure = count < 40 ? .truncatedHeader : .totalLength
            #expect(summarise(Array(bytes[..<count])).failure == expected, "\(count) bytes")
        }
        #expect(summarise(bytes).failure == .none)
    }

    @Test("Cut off at every byte, with a payload length that agrees")
    func shortened() {
        let sample = IPv6Sample(extensions: [hopByHop, destinationOptions(2), destinationOptions()])
        let bytes = sample.bytes
        for count in 40..<bytes.count {
            var short = Array(bytes[..<count])
            short.set(UInt16(count - 40), at: 4)
            let expected: ParseFailure = count < 72 ? .truncatedExtension : count < 76 ? .truncatedTransport : .none
            #expect(summarise(short).failure == expected, "\(count) bytes")
        }
    }

    @Test("Chains up to the limit and beyond", arguments: 0...12)
    func chains(count: Int) {
        let sample = IPv6Sample(extensions: (0..<count).map { _ in destinationOptions() })
        let (failure, summary) = summarise(sample.bytes)
        guard count <= IPv6ExtensionWalk.maximumHeaders else {
            #expect(failure == .extensionLimit)
            return
        }
        #expect(failure == .none)
        #expect(summary.headerLength == 40 + 8 * count)
        #expect(summary.sourcePort == 0x1234)
    }

    @Test("Order of extension headers")
    func order() {
        #expect(summarise(IPv6Sample(extensions: [destinationOptions(), hopByHop]).bytes).failure == .extensionOrder)
        #expect(summarise(IPv6Sample(extensions: [hopByHop, hopByHop]).bytes).failure == .extensionOrder)
        let fragment = fragmentHeader(offset: 0, more: false)
        #expect(summarise(IPv6Sample(extensions: [fragment, fragment]).bytes).failure == .extensionOrder)
        let routing: (UInt8, [UInt8]) = (43, [0, 0, 4, 0, 0, 0, 0, 0])
        let (failure, summary) = summarise(
            IPv6Sample(extensions: [hopByHop, destinationOptions(), routing, fragment, destinationOptions(3)]).bytes)
        #expect(failure == .none)
        #expect(summary.headerLength == 40 + 8 * 7)
        #expect(!summary.isFragment)  // atomic, RFC 6946
    }

    @Test("AH and ESP are next layer protocols (RFC 4301 section 4.4.1.1)", arguments: [50, 51, 59, 4, 41] as [UInt8])
    func nextLayer(number: UInt8) {
        let (failure, summary) = summarise(IPv6Sample(extensions: [hopByHop], number: number, payload: []).bytes)
        #expect(failure == .none)
        #expect(summary.upperProtocol == number)
        #expect(summary.headerLength == 48)
    }

    @Test("Fragments")
    func fragments() {
        let first = summarise(IPv6Sample(extensions: [fragmentHeader(offset: 0, more: true)]).bytes)
        #expect(first.failure == .none)
        #expect(first.summary.isFragment && !first.summary.isLaterFragment)
        #expect(first.summary.sourcePort == 0x1234)
        let later = summarise(IPv6Sample(extensions: [hopByHop, fragmentHeader(offset: 1400, more: false)]).bytes)
        #expect(later.failure == .none)
        #expect(later.summary.isLaterFragment)
        #expect(later.summary.upperProtocol == IPProtocol.udp)
        #expect(later.summary.sourcePort == 0)
        #expect(later.summary.headerLength == 56)
        // What follows a later fragment's header is data, whatever number stands in it.
        let data = summarise(
            IPv6Sample(extensions: [fragmentHeader(offset: 8, more: false)], number: 60, payload: [1]).bytes)
        #expect(data.failure == .none)
        #expect(data.summary.upperProtocol == 60)
    }

    @Test(
        "Fragments that nobody may send",
        arguments: [
            (0, true, 7, 17, false), (0, true, 0, 99, false), (8, false, 7, 17, true), (65_528, false, 8, 17, false),
            (65_528, false, 7, 17, true), (8, false, 8, 6, false), (16, false, 8, 6, true),
        ] as [(UInt16, Bool, Int, UInt8, Bool)])
    func badFragments(offset: UInt16, more: Bool, count: Int, number: UInt8, valid: Bool) {
        let sample = IPv6Sample(
            extensions: [fragmentHeader(offset: offset, more: more)], number: number,
            payload: Array(repeating: 1, count: count))
        #expect(summarise(sample.bytes).failure == (valid ? .none : .fragment))
    }

    @Test("ICMPv6 type and code, mobility type (RFC 4301 section 4.4.1.1)")
    func types() {
        let echo = summarise(IPv6Sample(number: 58, payload: [128, 7, 0, 0]).bytes)
        #expect(echo.summary.sourcePort == 128 << 8 | 7)
        #expect(echo.summary.destinationPort == 0)
        let mobility = summarise(IPv6Sample(number: 135, payload: [59, 0, 5, 0, 0, 0, 0, 0]).bytes)
        #expect(mobility.failure == .none)
        #expect(mobility.summary.sourcePort == 5 << 8)
        #expect(summarise(IPv6Sample(number: 58, payload: [128, 7, 0]).bytes).failure == .truncatedTransport)
    }

    @Test("The walk says where everything is")
    func walk() throws {
        let sample = IPv6Sample(extensions: [
            hopByHop, destinationOptions(4), fragmentHeader(offset: 0x7FF8, more: true),
        ])
        let (walk, _) = try withMemory(sample.bytes) { base, count in
            let header = try #require(IPv6Header(base, available: count))
            var walk = IPv6ExtensionWalk()
            #expect(header.walkExtensions(into: &walk) == .none)
            return walk
        }
        #expect(walk.upperProtocol == 17)
        #expect(walk.offset == 40 + 8 + 32 + 8)
        #expect(walk.fragmentHeaderOffset == 40 + 8 + 32)
        #expect(walk.fragmentOffset == 0x7FF8)
        #expect(walk.isFragment && walk.moreFragments)
    }
}

@Suite("Packet summary, random bytes")
struct RandomSummaryTests {
    @Test("Whatever parses stays inside of its packet", arguments: 0..<8)
    func random(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var parsed = 0
        for _ in 0..<20_000 {
            var bytes = random.bytes(Int(random.next() % 120))
            if bytes.count >= 20 {
                // Steer towards packets that are nearly right.
                bytes[0] = random.next() % 2 == 0 ? 0x45 : 0x60
                bytes.set(UInt16(bytes.count), at: 2)
                if bytes[0] == 0x60, bytes.count >= 40 {
                    bytes.set(UInt16(bytes.count - 40), at: 4)
                    bytes[6] = [0, 43, 44, 60, 17][Int(random.next() % 5)]
                } else {
                    bytes.set(0, at: 10)
                    bytes.set(naiveChecksum(Array(bytes[..<20])), at: 10)
                }
            }
            let (failure, summary) = summarise(bytes)
            guard failure == .none else { continue }
            parsed += 1
            #expect(summary.totalLength <= bytes.count)
            #expect(summary.headerLength <= summary.totalLength)
            #expect(summary.headerLength >= (summary.family == .ipv4 ? 20 : 40))
            #expect(!summary.isLaterFragment || summary.isFragment)
        }
        #expect(parsed > 100)
    }
}
