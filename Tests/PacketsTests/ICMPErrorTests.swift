import Packets
import Testing

private let ours4 = IPAddress(ipv4: 0xC000_02FE)  // 192.0.2.254
private let ours6 = IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: 0xFE)

/// Builds an error about these bytes; empty when none is sent.
private func error(
    _ message: ICMPError.Message, about packet: [UInt8], from source: IPAddress? = nil, broadcast: Bool = false,
    capacity: Int = ICMPError.maximumLength
) -> [UInt8] {
    let source = source ?? (packet.first.map { $0 >> 4 } == 4 ? ours4 : ours6)
    return withMemory(packet) { offending, available in
        let (length, buffer) = withMemory(Array(repeating: 0xEE, count: capacity)) { buffer, capacity in
            ICMPError.build(
                message, from: source, offending: offending, available: available, receivedAsBroadcast: broadcast,
                into: buffer, capacity: capacity)
        }
        return Array(buffer[..<length])
    }.result
}

@Suite("ICMP errors")
struct ICMPErrorTests {
    /// Every byte written out by hand: RFC 791, RFC 792, RFC 1191.
    @Test("Fragmentation needed, byte by byte")
    func fragmentationNeeded() {
        let packet = hex(
            """
            4500001c 00014000 40110000 c0000201 c6336402
            12345678 00080000
            """)
        var offending = packet
        offending.set(naiveChecksum(Array(packet[..<20])), at: 10)
        #expect(offending.uint16(at: 10) == 0x4E99)
        let expected = hex(
            """
            45c00038 00004000 4001b505 c00002fe c0000201
            03048ecf 00000578
            4500001c 00014000 40114e99 c0000201 c6336402
            12345678 00080000
            """)
        #expect(error(.packetTooBig(mtu: 1400), about: offending) == expected)
    }

    @Test("Packet too big, byte by byte")
    func packetTooBig() {
        let offending = IPv6Sample().bytes
        let expected = hex(
            """
            60000000 00383a40
            20010db8 00000000 00000000 000000fe
            20010db8 00000000 00000000 00000001
            02006695 00000514
            """)
        #expect(error(.packetTooBig(mtu: 1300), about: offending) == expected + offending)
    }

    @Test(
        "Types and codes",
        arguments: [
            (ICMPError.Message.packetTooBig(mtu: 1400), [3, 4], [2, 0], 1400), (.timeExceeded, [11, 0], [3, 0], 0),
            (.prohibited, [3, 13], [1, 1], 0), (.hostUnreachable, [3, 1], [1, 3], 0),
            (.networkUnreachable, [3, 0], [1, 0], 0),
        ] as [(ICMPError.Message, [UInt8], [UInt8], UInt16)])
    func codes(message: ICMPError.Message, ipv4: [UInt8], ipv6: [UInt8], rest: UInt16) {
        let four = error(message, about: IPv4Sample().bytes)
        #expect(Array(four[20..<22]) == ipv4)
        #expect(message.typeAndCode(.ipv4) == UInt16(ipv4[0]) << 8 | UInt16(ipv4[1]))
        #expect(message.typeAndCode(.ipv6) == UInt16(ipv6[0]) << 8 | UInt16(ipv6[1]))
        #expect(four.uint16(at: 24) == 0 && four.uint16(at: 26) == rest)
        #expect(naiveChecksum(Array(four[20...])) == 0)
        #expect(naiveChecksum(Array(four[..<20])) == 0)
        let six = error(message, about: IPv6Sample().bytes)
        #expect(Array(six[40..<42]) == ipv6)
        #expect(six.uint16(at: 44) == 0 && six.uint16(at: 46) == rest)
        #expect(icmpv6Checksum(six) == 0)
    }

    @Test("The quote is as long as the rules allow", arguments: [0, 1, 8, 500, 519, 520, 521, 1400, 4000])
    func quote(count: Int) {
        let payload = Array(repeating: UInt8(0x5A), count: count)
        let four = IPv4Sample(number: 99, payload: payload).bytes
        let errorFour = error(.timeExceeded, about: four + [0xEE, 0xEE])
        #expect(errorFour.count == min(576, 28 + four.count))
        #expect(Array(errorFour[28...]) == Array(four[..<(errorFour.count - 28)]))
        #expect(Int(errorFour.uint16(at: 2)) == errorFour.count)
        let six = IPv6Sample(number: 99, payload: payload).bytes
        let errorSix = error(.timeExceeded, about: six + [0xEE])
        #expect(errorSix.count == min(1280, 48 + six.count))
        #expect(Array(errorSix[48...]) == Array(six[..<(errorSix.count - 48)]))
        #expect(Int(errorSix.uint16(at: 4)) + 40 == errorSix.count)
        #expect(icmpv6Checksum(errorSix) == 0)
    }

    @Test("An MTU beyond the IPv4 field is the largest it can say")
    func largeMTU() {
        #expect(error(.packetTooBig(mtu: 70_000), about: IPv4Sample().bytes).uint16(at: 26) == 0xFFFF)
    }

    @Test("None about an ICMP error (RFC 1122 section 3.2.2)", arguments: 0...255 as ClosedRange<UInt8>)
    func aboutErrors(type: UInt8) {
        let four = IPv4Sample(number: 1, payload: [type, 0, 0, 0, 0, 0, 0, 0]).bytes
        #expect(error(.timeExceeded, about: four).isEmpty == [3, 4, 5, 11, 12].contains(type))
        let six = IPv6Sample(number: 58, payload: [type, 0, 0, 0, 0, 0, 0, 0]).bytes
        #expect(error(.timeExceeded, about: six).isEmpty == (type < 128 || type == 137))
    }

    @Test(
        "None to a source that is not one host",
        arguments: [
            "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1",
        ])
    func sources(text: String) throws {
        let source = try #require(IPAddress(text))
        let wire = withMemory(Array(repeating: 0, count: source.family.byteCount)) { base, _ in source.store(to: base) }
            .bytes
        let packet = source.family == .ipv4 ? IPv4Sample(source: wire).bytes : IPv6Sample(source: wire).bytes
        #expect(summarise(packet).failure == .none)
        #expect(error(.packetTooBig(mtu: 1400), about: packet).isEmpty)
    }

    @Test("None about multicast and broadcast, except IPv6 packet too big")
    func destinations() {
        let multicast4 = IPv4Sample(destination: [224, 0, 0, 5]).bytes
        let broadcast4 = IPv4Sample(destination: [255, 255, 255, 255]).bytes
        let multicast6 = IPv6Sample(destination: hex("ff020000000000000000000000000001")).bytes
        for message in [ICMPError.Message.packetTooBig(mtu: 1400), .timeExceeded] {
            #expect(error(message, about: multicast4).isEmpty)
            #expect(error(message, about: broadcast4).isEmpty)
            #expect(error(message, about: IPv4Sample().bytes, broadcast: true).isEmpty)
        }
        #expect(error(.timeExceeded, about: multicast6).isEmpty)
        #expect(!error(.packetTooBig(mtu: 1400), about: multicast6).isEmpty)
        #expect(error(.timeExceeded, about: IPv6Sample().bytes, broadcast: true).isEmpty)
        #expect(!error(.packetTooBig(mtu: 1400), about: IPv6Sample().bytes, broadcast: true).isEmpty)
    }

    @Test("None about later fragments")
    func fragments() {
        #expect(!error(.timeExceeded, about: IPv4Sample(fragmentField: 0x2000).bytes).isEmpty)
        #expect(error(.timeExceeded, about: IPv4Sample(fragmentField: 0x2002).bytes).isEmpty)
        #expect(error(.timeExceeded, about: IPv4Sample(fragmentField: 0x0002).bytes).isEmpty)
        // IPv6 has no such rule; but a later fragment of ICMPv6 may be an error.
        let later = fragmentHeader(offset: 1200, more: false)
        #expect(!error(.packetTooBig(mtu: 1300), about: IPv6Sample(extensions: [later]).bytes).isEmpty)
        #expect(error(.packetTooBig(mtu: 1300), about: IPv6Sample(extensions: [later], number: 58).bytes).isEmpty)
    }

    @Test("None without a proper source of our own, room, or a packet that can be read")
    func refusals() {
        let four = IPv4Sample().bytes
        #expect(error(.timeExceeded, about: four, from: ours6).isEmpty)
        #expect(error(.timeExceeded, about: IPv6Sample().bytes, from: ours4).isEmpty)
        #expect(error(.timeExceeded, about: four, from: IPAddress(ipv4: 0)).isEmpty)
        #expect(error(.timeExceeded, about: four, capacity: 55).isEmpty)
        #expect(error(.timeExceeded, about: four, capacity: 56).count == 56)
        for count in 0..<four.count {
            #expect(error(.timeExceeded, about: Array(four[..<count]), from: ours4).isEmpty)
        }
    }

    /// 0 when the checksum is right.
    private func icmpv6Checksum(_ packet: [UInt8]) -> UInt16 {
        let length = UInt16(packet.count - 40)
        return naiveChecksum(
            Array(packet[8..<40]) + [0, 0, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, 0, 58] + Array(packet[40...])
        )
    }
}

@Suite("Rate limiter")
struct RateLimiterTests {
    @Test("A burst, then the rate", arguments: [1, 2, 10, 1000] as [UInt32])
    func burst(burst: UInt32) {
        var limiter = RateLimiter(perSecond: 100, burst: burst)
        let start: UInt64 = 5_000_000_000
        for _ in 0..<burst { #expect(limiter.allow(now: start) == true) }
        #expect(limiter.allow(now: start) == false)
        #expect(limiter.allow(now: start + 9_999_999) == false)
        #expect(limiter.allow(now: start + 10_000_000) == true)
        #expect(limiter.allow(now: start + 10_000_000) == false)
        // After a long rest the bucket is full, and no fuller.
        for _ in 0..<burst { #expect(limiter.allow(now: start + 100_000_000_000) == true) }
        #expect(limiter.allow(now: start + 100_000_000_000) == false)
    }

    @Test("Over a second no more than rate and burst", arguments: [1, 7, 1000] as [UInt32])
    func rate(perSecond: UInt32) {
        var limiter = RateLimiter(perSecond: perSecond, burst: 5)
        var allowed: UInt32 = 0
        for tick in 0..<10_000 where limiter.allow(now: 1 + UInt64(tick) * 100_000) { allowed += 1 }
        #expect(allowed >= min(perSecond, 5) && allowed <= perSecond + 5)
    }

    @Test("A rate of zero allows nothing; the clock may start anywhere")
    func limits() {
        var none = RateLimiter(perSecond: 0, burst: 10)
        #expect(none.allow(now: 1) == false)
        var late = RateLimiter(perSecond: 1, burst: 1)
        #expect(late.allow(now: .max - 1) == true)
        var nothing = RateLimiter(perSecond: 0, burst: 0)
        #expect(nothing.allow(now: 0) == false)
        var widest = RateLimiter(perSecond: 1, burst: .max)
        #expect(widest.allow(now: 0) == true)
        var fastest = RateLimiter(perSecond: .max, burst: 1)
        #expect(fastest.allow(now: 10) == true)
        #expect(fastest.allow(now: 10) == false)
        #expect(fastest.allow(now: 11) == true)
    }
}
