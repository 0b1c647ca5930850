import IKEv2
import IKEv2Messages
import IPsec
import Packets
import Testing

@Suite struct SelectorNegotiationTests {
    private func side(
        _ prefix: String, _ number: UInt8? = nil, ports: ClosedRange<UInt16> = TrafficSelector.anyPort
    ) throws -> SelectorSide {
        SelectorSide(
            addresses: AddressRange(try #require(IPPrefix(prefix))), protocolNumber: number, ports: ports)
    }
    private let gateway = IPAddress(ipv4: 0xC000_0201)

    private func offer(_ sides: SelectorSide...) -> TrafficSelectorPayload { SelectorNegotiation.payload(sides) }

    @Test func theResponderNarrowsToWhatBothHave() throws {
        let narrowed = SelectorNegotiation.narrow(
            offer(try side("10.0.0.0/8"), try side("2001:db8::/32")),
            to: [try side("10.1.0.0/16", 6), try side("192.168.0.0/16"), try side("2001:db8:1::/48")], dynamic: gateway)
        #expect(narrowed == [try side("10.1.0.0/16", 6), try side("2001:db8:1::/48")])
        let ports = SelectorNegotiation.narrow(
            offer(try side("10.0.0.0/8", 6, ports: 0...1023)), to: [try side("10.1.0.0/16", ports: 443...8443)],
            dynamic: gateway)
        #expect(ports == [try side("10.1.0.0/16", 6, ports: 443...1023)])
    }

    @Test func nothingInCommonIsNothing() throws {
        let cases: [(SelectorSide, SelectorSide)] = [
            (try side("10.0.0.0/8"), try side("11.0.0.0/8")), (try side("10.0.0.0/8", 6), try side("10.0.0.0/8", 17)),
            (try side("10.0.0.0/8", 6, ports: 1...2), try side("10.0.0.0/8", 6, ports: 3...4)),
            (try side("0.0.0.0/0"), try side("::/0")),
        ]
        for (theirs, ours) in cases {
            #expect(SelectorNegotiation.narrow(offer(theirs), to: [ours], dynamic: gateway).isEmpty)
        }
    }

    /// 255 selectors of either side can have 65,025 intersections, and each would be compared with all others.
    @Test(.timeLimit(.minutes(1))) func manySelectorsTakeNoLongerThanAnAnswerCanHold() throws {
        let theirs = try (0..<255).map { try side("10.\($0).0.0/16") }
        let ours = try (0..<255).map { try side("10.0.0.0/8", 6, ports: $0...$0) }
        let narrowed = SelectorNegotiation.narrow(SelectorNegotiation.payload(theirs), to: ours, dynamic: gateway)
        #expect(narrowed.count == 255)
        #expect(Set(narrowed).count == 255)
    }

    @Test func dynamicIsTheAddressOfTheEndpoint() throws {
        let payload = SelectorNegotiation.offer([.dynamic], dynamic: gateway)
        #expect(payload == offer(SelectorSide(addresses: AddressRange(gateway))))
        let narrowed = SelectorNegotiation.narrow(offer(try side("0.0.0.0/0")), to: [.dynamic], dynamic: gateway)
        #expect(narrowed == [SelectorSide(addresses: AddressRange(gateway))])
    }

    /// RFC 7296 section 2.9: the packet that calls for the SA goes first, and the answer has the whole range once.
    @Test func thePacketGoesFirst() throws {
        let packet = try #require(
            AddressRangeSelector(
                protocolNumber: 6, firstPort: 443, lastPort: 443, firstAddress: IPAddress(ipv4: 0x0A01_0203),
                lastAddress: IPAddress(ipv4: 0x0A01_0203)))
        let payload = SelectorNegotiation.offer([try side("10.1.0.0/16")], dynamic: gateway, hint: packet)
        #expect(payload.selectors.first == .range(packet))
        #expect(payload.selectors.count == 2)
        let whole = SelectorNegotiation.narrow(payload, to: [try side("10.0.0.0/8")], dynamic: gateway)
        #expect(whole == [try side("10.1.0.0/16")])
        let narrow = SelectorNegotiation.narrow(payload, to: [try side("10.1.2.3/32", 6)], dynamic: gateway)
        #expect(narrow == [try side("10.1.2.3/32", 6)])
        let foreign = SelectorNegotiation.offer([try side("10.9.0.0/16")], dynamic: gateway, hint: packet)
        #expect(foreign.selectors.count == 1, "a packet that the child is not for is not mentioned")
    }

    @Test func theAnswerMustBeWithinTheOffer() throws {
        let ours = [try side("10.1.0.0/16"), try side("10.2.0.0/16", 17)]
        func check(_ sides: SelectorSide...) -> [SelectorSide]? {
            SelectorNegotiation.check(SelectorNegotiation.payload(sides), within: ours, dynamic: gateway)
        }
        #expect(check(try side("10.1.7.0/24")) == [try side("10.1.7.0/24")])
        #expect(check(try side("10.1.0.0/16"), try side("10.2.0.0/24", 17, ports: 53...53))?.count == 2)
        #expect(check(try side("10.0.0.0/8")) == nil)
        #expect(check(try side("10.2.0.0/16")) == nil, "all protocols are more than UDP")
        let unknown = TrafficSelectorPayload([.unknown(type: .securityLabel, data: [0, 1])])
        #expect(SelectorNegotiation.check(unknown, within: ours, dynamic: gateway) == nil)
    }

    @Test func unknownAndEmptySelectorsArePassedOver() throws {
        let empty = try #require(
            AddressRangeSelector(
                firstAddress: IPAddress(ipv4: 9), lastAddress: IPAddress(ipv4: 3)))
        let payload = TrafficSelectorPayload([
            .unknown(type: .securityLabel, data: [1]), .range(empty),
            .range(try #require(offer(try side("10.1.0.0/16")).first)),
        ])
        let narrowed = SelectorNegotiation.narrow(payload, to: [try side("0.0.0.0/0")], dynamic: gateway)
        #expect(narrowed == [try side("10.1.0.0/16")])
    }

    /// RFC 7296 section 3.13.1 and RFC 4301 section 4.4.1.1: OPAQUE is within all ports, and within nothing less.
    @Test func opaquePorts() throws {
        var opaque = try side("10.1.0.0/16", 6)
        opaque.hasOpaquePorts = true
        #expect(offer(opaque).first.map { $0.firstPort > $0.lastPort } == true)
        let any = try side("10.0.0.0/8")
        #expect(SelectorNegotiation.narrow(offer(opaque), to: [any], dynamic: gateway) == [opaque])
        let some = try side("10.0.0.0/8", 6, ports: 0...1023)
        #expect(SelectorNegotiation.narrow(offer(opaque), to: [some], dynamic: gateway).isEmpty)
        #expect(SelectorNegotiation.pairs(local: [opaque], remote: [any]).isEmpty)
    }

    @Test func pairsHaveOneFamilyAndOneProtocol() throws {
        let local = [try side("10.1.0.0/16", 6, ports: 443...443), try side("2001:db8:1::/48")]
        let remote = [try side("10.2.0.0/16"), try side("10.3.0.0/16", 17), try side("2001:db8:2::/48")]
        let pairs = SelectorNegotiation.pairs(local: local, remote: remote)
        #expect(
            pairs.map(\.description) == [
                "10.1.0.0/16 -> 10.2.0.0/16 proto 6 sport 443", "2001:db8:1::/48 -> 2001:db8:2::/48",
            ])
    }

    /// Type and code are those of the message, whichever side says them.
    @Test func icmpHasOneTypeAndCode() throws {
        let echo = try side("10.1.0.0/16", 1, ports: 0x0800...0x08FF)
        let pairs = SelectorNegotiation.pairs(local: [echo], remote: [try side("10.2.0.0/16", 1)])
        #expect(pairs.first?.sourcePorts == 0x0800...0x08FF)
        #expect(pairs.first?.destinationPorts == TrafficSelector.anyPort)
        let reply = try side("10.2.0.0/16", 1, ports: 0...255)
        #expect(SelectorNegotiation.pairs(local: [echo], remote: [reply]).isEmpty)
    }

    @Test func theExplanationShowsBothSidesAndTheSettings() throws {
        var child = Child(name: "net", proposals: ChildProposal.default)
        child.localSelectors = [try side("10.1.0.0/16")]
        child.remoteSelectors = [.dynamic]
        let explanation = SelectorNegotiation.explain(
            localOffered: offer(try side("10.9.0.0/16", 6, ports: 22...22)),
            remoteOffered: offer(try side("10.2.0.0/16")),
            child: child, connection: "hq")
        #expect(explanation.details[0] == "our side: the peer wants 10.9.0.0/16[6/22], here local_ts = 10.1.0.0/16")
        #expect(explanation.details[1] == "its side: the peer wants 10.2.0.0/16, here remote_ts = dynamic")
        #expect(explanation.remedy.contains("connections.hq.children.net.local_ts"))
    }
}

extension TrafficSelectorPayload {
    fileprivate var first: AddressRangeSelector? {
        if case .range(let range)? = selectors.first { range } else { nil }
    }
}
