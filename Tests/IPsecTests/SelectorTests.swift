import Packets
import Telemetry
import Testing

@testable import IPsec

@Suite("Traffic selectors (RFC 4301 4.4.1.1, 5.2)")
struct SelectorTests {
    /// Whether an SA with these selectors takes the packet.
    private func accepts(_ selectors: [TrafficSelector], _ inner: [UInt8]) throws -> Bool {
        let tunnel = try Tunnel(parameters { $0.selectors = selectors })
        let (verdict, received) = try tunnel.unprotect(tunnel.protect(inner).outer)
        if verdict.isPass {
            #expect(received == inner)
            return true
        }
        #expect(verdict == .drop(.selectorMismatch))
        #expect(tunnel.inboundDrops(.selectorMismatch) == 1)
        return false
    }

    @Test func prefixes() throws {
        let site = try selector("10.1.0.0/16", "10.2.0.0/16")
        #expect(try accepts([site], ipv4(60)))
        #expect(try accepts([site], ipv4(60, source: 0x0A01_FFFF, destination: 0x0A02_0000)))
        #expect(try !accepts([site], ipv4(60, source: 0x0A03_0001)))
        #expect(try !accepts([site], ipv4(60, destination: 0x0A01_FFFF)))
        #expect(try !accepts([site], ipv6(60)))
        let site6 = try selector("2001:db8:1::/48", "2001:db8:2::1/128")
        #expect(try accepts([site6], ipv6(60)))
        #expect(try !accepts([site6], ipv4(60)))
        #expect(try !accepts([selector("2001:db8:1::/48", "2001:db8:2::2")], ipv6(60)))
        #expect(try !accepts([selector("2001:db8:1::2", "2001:db8:2::/48")], ipv6(60)))
    }

    @Test func everythingAndNothing() throws {
        for family in families {
            #expect(try accepts([], packet(family, 60)))
            #expect(try accepts([.any(family)], packet(family, 60)))
        }
        #expect(try !accepts([.any(.ipv4)], ipv6(60)))
        #expect(try !accepts([.any(.ipv6)], ipv4(60)))
    }

    @Test func oneOfSeveral() throws {
        let list = [
            try selector("10.9.0.0/16", "10.2.0.0/16"), try selector("10.1.0.0/24", "10.2.0.0/24"),
            try selector("2001:db8::/32", "::/0"),
        ]
        #expect(try accepts(list, ipv4(60)))
        #expect(try accepts(list, ipv6(60)))
        #expect(try !accepts(list, ipv4(60, destination: 0x0A02_0100)))
    }

    @Test func protocolAndPorts() throws {
        let any = AddressRange.any(.ipv4)
        let tcp = TrafficSelector(source: any, destination: any, protocol: IPProtocol.tcp)
        let web = TrafficSelector(
            source: any, destination: any, protocol: IPProtocol.tcp, destinationPorts: 80...443)
        let inner = ipv4(60, protocol: IPProtocol.tcp, ports: (40_000, 443))
        #expect(try accepts([tcp], inner) && accepts([web], inner))
        #expect(try !accepts([web], ipv4(60, protocol: IPProtocol.tcp, ports: (443, 444))))
        #expect(try !accepts([web, tcp], ipv4(60, protocol: IPProtocol.udp, ports: (40_000, 443))))
        let fromPort = TrafficSelector(source: any, destination: any, sourcePorts: 40_000...40_000)
        #expect(try accepts([fromPort], inner))
        #expect(try !accepts([fromPort], ipv4(60, protocol: IPProtocol.tcp, ports: (40_001, 443))))
    }

    @Test func ranges() throws {
        let range = try #require(
            AddressRange(first: IPAddress(ipv4: 0x0A01_0001), last: IPAddress(ipv4: 0x0A01_0005)))
        let selector = TrafficSelector(source: range, destination: .any(.ipv4))
        for host in 0...6 as ClosedRange<UInt32> {
            #expect(try accepts([selector], ipv4(60, source: 0x0A01_0000 + host)) == (1...5).contains(host))
        }
    }

    /// Later fragments have no ports, so only selectors for all ports take them (RFC 4301 section 7).
    @Test func fragments() throws {
        var later = PacketSummary()
        var bytes = ipv4(60, protocol: IPProtocol.tcp)
        bytes.replaceSubrange(6..<8, with: [0, 10])
        bytes.replaceSubrange(10..<12, with: [0, 0])
        let failure = bytes.withUnsafeMutableBytes { buffer -> ParseFailure in
            guard let base = buffer.baseAddress else { return .truncatedHeader }
            base.storeBytes(of: Checksum.internet(base, count: 20).bigEndian, toByteOffset: 10, as: UInt16.self)
            return PacketSummary.parse(base, available: 60, into: &later)
        }
        #expect(failure == .none && later.isLaterFragment)
        let any = AddressRange.any(.ipv4)
        #expect(TrafficSelector(source: any, destination: any, protocol: IPProtocol.tcp).matches(later))
        let zero = TrafficSelector(source: any, destination: any, protocol: IPProtocol.tcp, destinationPorts: 0...80)
        #expect(!zero.matches(later))
    }

    @Test(
        arguments: [
            ("10.0.0.0", "10.0.0.255", 24), ("10.0.0.1", "10.0.0.1", 32), ("0.0.0.0", "255.255.255.255", 0),
            ("10.0.0.1", "10.0.0.2", nil), ("10.0.0.128", "10.0.1.127", nil),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0),
            ("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", 64), ("2001:db8::", "2001:db8:0:1::", nil),
            ("fe80::", "fe80:0:0:ffff:ffff:ffff:ffff:ffff", 48),
        ] as [(String, String, Int?)])
    func rangeAsPrefix(first: String, last: String, length: Int?) throws {
        let range = try #require(AddressRange(first: address(first), last: address(last)))
        #expect(range.prefix?.length == length)
        #expect(range.isAny == (length == 0))
        #expect(range.contains(range.first) && range.contains(range.last))
        if let prefix = range.prefix { #expect(AddressRange(prefix) == range) }
    }

    @Test func badRanges() throws {
        #expect(try AddressRange(first: address("10.0.0.2"), last: address("10.0.0.1")) == nil)
        #expect(try AddressRange(first: address("10.0.0.2"), last: address("::1")) == nil)
    }

    /// Value and mask say the same as the selector, for random prefixes around the packet.
    @Test func masksEqualSelector() throws {
        var generator = SeededGenerator(seed: 3)
        for round in 0..<3000 {
            let family = families[round % 2]
            let bytes = packet(family, 60)
            var summary = PacketSummary()
            _ = bytes.withUnsafeBytes {
                $0.baseAddress.map { PacketSummary.parse(.init(mutating: $0), available: 60, into: &summary) }
            }
            func near(_ address: IPAddress) -> IPPrefix {
                var changed = address
                if Bool.random(using: &generator) {
                    let bit = Int.random(in: 0..<address.bitWidth, using: &generator)
                    if bit < 64 { changed.low ^= 1 << bit } else { changed.high ^= 1 << (bit - 64) }
                }
                return IPPrefix(address: changed, length: Int.random(in: 0...address.bitWidth, using: &generator))
            }
            let number: UInt8? = [nil, experimental, IPProtocol.tcp][round % 3]
            let selector = TrafficSelector(
                source: AddressRange(near(summary.source)), destination: AddressRange(near(summary.destination)),
                protocol: number)
            let (masks, tag) = SelectorMasks.make([selector])
            let matches = bytes.withUnsafeBytes { buffer in
                buffer.baseAddress.map {
                    masks.matches($0, family: family, upperProtocol: summary.upperProtocol, tag: tag)
                }
            }
            #expect(matches == selector.matches(summary), "\(selector)")
        }
    }

    @Test func reversed() throws {
        let forth = TrafficSelector(
            source: .any(.ipv4), destination: AddressRange(try prefix("10.0.0.0/8")), protocol: IPProtocol.tcp,
            destinationPorts: 22...22)
        #expect(forth.reversed.reversed == forth)
        #expect(forth.reversed.sourcePorts == 22...22 && forth.reversed.source == forth.destination)
        #expect("\(forth)" == "0.0.0.0/0 -> 10.0.0.0/8 proto 6 dport 22")
    }
}
