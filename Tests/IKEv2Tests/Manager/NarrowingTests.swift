import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Peers that agree to less than was asked for, or refuse the form in which it was asked for (RFC 7296 section 2.9).
@Suite struct NarrowingTests {
    private static let networks = ["10.2.2.0/24", "10.2.3.0/24", "10.2.4.0/24"]

    private func packet(to network: Int) -> TrafficSelector {
        TrafficSelector(
            source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.\(network).9")), protocol: 17,
            sourcePorts: 1000...1000, destinationPorts: 53...53)
    }

    /// Moon has one child for three networks, with a trap; sun has a child for each of `networks`.
    private func bench(sun networks: [String]) -> MoonAndSun {
        let pair = MoonAndSun()
        pair.load(
            {
                $0.children[0].startAction = .trap
                $0.children[0].remoteSelectors = Self.networks.map { SelectorSide(addresses: prefix($0)) }
            }, sun: { $0.children = Self.children(networks) })
        return pair
    }

    private static func children(_ networks: [String]) -> [Child] {
        networks.map { .between("net-\($0)", $0, "10.1.0.0/16") }
    }

    /// From now on sun has these networks; SAs stay.
    private func change(_ pair: MoonAndSun, sun networks: [String]) {
        var connection = Connection.sunToMoon
        connection.children = Self.children(networks)
        pair.sun.manager.load([connection], replacingAll: true, at: pair.now)
    }

    private func acquire(_ pair: MoonAndSun, _ packet: TrafficSelector) throws {
        let trap = try #require(pair.moon.manager.traps.first)
        pair.moon.manager.handle(.acquire(requestID: trap.requestID, packet: packet), at: pair.now)
    }

    private func notes(_ pair: MoonAndSun, _ word: String) -> [String] {
        pair.moon.events.compactMap { event in
            if case .note(_, let text) = event.event, text.contains(word) { text } else { nil }
        }
    }

    private func destinations(_ pair: MoonAndSun) -> Set<String> {
        Set(pair.moon.dataplane.outbound.values.flatMap(\.selectors).map { "\($0.destination)" })
    }

    /// A packet every 100 ms for so many seconds.
    private func send(_ pair: MoonAndSun, _ packet: TrafficSelector, seconds: Int) throws {
        for _ in 0..<(10 * seconds) {
            try acquire(pair, packet)
            pair.lab.run(seconds: 0.1)
        }
    }

    @Test func aPacketThatIsLeftOutIsAskedForOnceMoreByItsPair() throws {
        let pair = bench(sun: ["10.2.4.0/24"])
        try acquire(pair, packet(to: 2))
        pair.lab.run(within: 5) { !notes(pair, "narrows child net").isEmpty }
        change(pair, sun: ["10.2.4.0/24", "10.2.2.0/24", "10.2.3.0/24"])
        pair.lab.run(seconds: 5)
        #expect(destinations(pair) == ["10.2.4.0/24", "10.2.2.0/24"])
        #expect(pair.moon.dataplane.inboundInstalled == 2)
        // The next network is asked for by itself at once: no second SA for what is there.
        try send(pair, packet(to: 3), seconds: 5)
        #expect(destinations(pair) == Set(Self.networks))
        #expect(pair.moon.dataplane.inboundInstalled == 3)
        #expect(pair.moon.manager.counters.initiated == 1)
        pair.expectOrder()
    }

    /// 286 CHILD_SAs in 81 seconds came of that once.
    @Test func whatThePeerDoesNotCoverIsNotAskedForWithoutEnd() throws {
        let pair = bench(sun: ["10.2.4.0/24"])
        try send(pair, packet(to: 2), seconds: 120)
        #expect(destinations(pair) == ["10.2.4.0/24"])
        #expect(pair.moon.dataplane.inboundInstalled == 1)
        let failures = pair.moon.events.count { if case .session(.childFailed) = $0.event { true } else { false } }
        #expect((6...8).contains(failures), "\(failures)")
        // Another network has pauses of its own.
        change(pair, sun: ["10.2.4.0/24", "10.2.3.0/24"])
        try send(pair, packet(to: 3), seconds: 2)
        #expect(destinations(pair) == ["10.2.3.0/24", "10.2.4.0/24"])
        pair.expectOrder()
    }

    /// The peer takes the pair, and narrows it to something without the packet.
    @Test func anSAThatIsNotForThePacketIsNotMadeAgainAndAgain() throws {
        let pair = bench(sun: ["10.2.2.128/25"])
        try send(pair, packet(to: 2), seconds: 120)
        #expect(pair.moon.dataplane.inbound.count == 1)
        #expect((7...9).contains(pair.moon.dataplane.inboundInstalled), "\(pair.moon.dataplane.inboundInstalled)")
        let warnings = notes(pair, "leaves out packets from 10.1.0.5 to 10.2.2.9")
        #expect((6...8).contains(warnings.count), "\(warnings)")
        #expect(warnings.last?.contains("packets ask again in 64 s") == true, "\(warnings)")
        pair.expectOrder()
    }

    /// A peer that takes the packet alone, as it comes first, would make an SA for each flow.
    @Test func aFlowIsWidenedToThePairThatHoldsIt() throws {
        let pair = bench(sun: Self.networks)
        var connection = Connection.sunToMoon
        let flow = packet(to: 2)
        connection.children = [Child(name: "flow", proposals: ChildProposal.default)]
        connection.children[0].localSelectors = [
            SelectorSide(addresses: flow.destination, protocolNumber: 17, ports: 53...53)
        ]
        connection.children[0].remoteSelectors = [
            SelectorSide(addresses: flow.source, protocolNumber: 17, ports: 1000...1000)
        ]
        pair.sun.manager.load([connection], replacingAll: true, at: pair.now)
        try acquire(pair, flow)
        pair.lab.run(within: 5) { !notes(pair, "single flow").isEmpty }
        connection.children += Self.children(Self.networks)
        pair.sun.manager.load([connection], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 10)
        // The SA of the flow alone was there for the packet meanwhile, and has gone.
        #expect(destinations(pair) == ["10.2.2.0/24"])
        #expect(pair.moon.dataplane.inbound.count == 1)
        // What was learned is kept: the packet is not offered any more.
        try send(pair, packet(to: 4), seconds: 2)
        #expect(destinations(pair) == ["10.2.2.0/24", "10.2.4.0/24"])
        #expect(pair.moon.dataplane.inboundInstalled == 3)
        pair.expectOrder()
    }

    @Test func whoRefusesSelectorsWithThePacketIsAskedWithoutIt() throws {
        let pair = bench(sun: ["10.9.0.0/16"])
        try acquire(pair, packet(to: 2))
        pair.lab.run(within: 5) { !notes(pair, "without the packet").isEmpty }
        change(pair, sun: ["10.2.0.0/16"])
        pair.lab.run(seconds: 5)
        #expect(destinations(pair) == Set(Self.networks))
        let failures = pair.moon.events.count { if case .session(.childFailed) = $0.event { true } else { false } }
        #expect(failures == 0)
        pair.expectOrder()
    }

    @Test func theInitiatorKeepsTheLimitOfChildren() throws {
        var settings = ProtocolSettings()
        settings.maximumChildren = 2
        let pair = MoonAndSun(settings: settings)
        pair.load(
            { connection in
                connection.children = (2...5).map { .between("net-\($0)", "10.1.0.0/16", "10.2.\($0).0/24") }
            },
            sun: { connection in
                connection.children = (2...5).map { .between("net-\($0)", "10.2.\($0).0/24", "10.1.0.0/16") }
            })
        #expect(pair.initiate("net-2") && pair.initiate("net-3"))
        var outcome: Result<Void, Explanation>?
        let requests = pair.moon.sent.count
        pair.moon.manager.initiate(connection: "sun", child: "net-4", at: pair.now) { outcome = $0 }
        pair.lab.run(seconds: 2)
        guard case .failure(let why) = outcome else {
            Issue.record("one child too many came up")
            return
        }
        #expect(why.description.contains("2 children") && why.description.contains("--maximum-children"), "\(why)")
        #expect(pair.moon.sent.count == requests)
        // A rekey replaces one.
        #expect(pair.moon.manager.rekey(SAFilter(child: "net-2"), reauthenticate: false, at: pair.now) == 1)
        pair.lab.run(seconds: 10)
        #expect(pair.moon.manager.counters.childrenRekeyed == 1)
        pair.expectOrder()
    }

    // MARK: By hand

    @Test func initiatingWhatIsUpSaysSoAndSucceeds() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.initiate("net", within: 0))
        #expect(notes(pair, "is up already").count == 1)
        #expect(pair.moon.dataplane.inboundInstalled == 1)
    }

    @Test func initiatingWhatIsUpAndNarrowerAsksForTheRest() throws {
        let pair = bench(sun: ["10.2.4.0/24"])
        #expect(pair.initiate("net"))
        #expect(destinations(pair) == ["10.2.4.0/24"])
        change(pair, sun: ["10.2.4.0/24", "10.2.2.0/24", "10.2.3.0/24"])
        #expect(pair.initiate("net", within: 5))
        #expect(destinations(pair) == Set(Self.networks))
        #expect(notes(pair, "without 10.1.0.0/16 === 10.2.2.0/24").count == 1, "\(pair.moon.events)")
        #expect(pair.moon.dataplane.inboundInstalled == 3)
        #expect(pair.initiate("net", within: 0))
        pair.expectOrder()
    }

    @Test func initiatingWhatThePeerDoesNotHaveFailsWithTheReason() {
        let pair = bench(sun: ["10.2.4.0/24"])
        #expect(pair.initiate("net"))
        var outcome: Result<Void, Explanation>?
        pair.moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { outcome = $0 }
        pair.lab.run(seconds: 5)
        guard case .failure(let why) = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(why.what.contains("traffic selectors unacceptable"))
        #expect(pair.moon.dataplane.inbound.count == 1)
    }
}

/// What is asked next, after each refusal.
@Suite struct ChildCallTests {
    private let path = Path(
        local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(ip("192.0.2.2"), port: 500))
    private let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.3.0.9")))

    private func child(_ remotes: String...) -> Child {
        var child = Child.between("net", "10.1.0.0/16", "10.2.0.0/16")
        child.remoteSelectors = remotes.map { SelectorSide(addresses: prefix($0)) }
        return child
    }

    private func pair(_ remote: String) -> ChildCall.Manner {
        .pair(
            SelectorPair(
                local: SelectorSide(addresses: prefix("10.1.0.0/16")), remote: SelectorSide(addresses: prefix(remote))))
    }

    @Test func singlePairRequiredIsAnsweredWithThePairOfThePacket() {
        let two = child("10.2.0.0/16", "10.3.0.0/16")
        for manner in [ChildCall.Manner.hinted, .plain] {
            let next = ChildCall(packet, manner).after(.singlePair, of: two, in: SelectorContext(path))
            #expect(next?.manner == pair("10.3.0.0/16"))
            #expect(next?.rest.isEmpty == true && next?.lesson == .onePair)
        }
        // Without a packet all of them are asked for, one after the other.
        let next = ChildCall(nil, .plain).after(.singlePair, of: two, in: SelectorContext(path))
        #expect(next?.manner == pair("10.2.0.0/16"))
        #expect(next?.next?.manner == pair("10.3.0.0/16"))
        #expect(next?.next?.next == nil)
        // Of a child with one pair there was only the packet to leave out.
        #expect(
            ChildCall(packet, .hinted).after(.singlePair, of: child("10.3.0.0/16"), in: SelectorContext(path)) != nil)
        #expect(
            ChildCall(packet, .plain).after(.singlePair, of: child("10.3.0.0/16"), in: SelectorContext(path)) == nil)
        #expect(FailureCause(.singlePairRequired) == .singlePair)
    }

    @Test func unacceptableSelectorsLoseThePacketThenAllButOnePair() {
        let two = child("10.2.0.0/16", "10.3.0.0/16")
        let second = ChildCall(packet, .hinted).after(.selectors, of: two, in: SelectorContext(path))
        #expect(second?.manner == .plain && second?.hint == nil && second?.lesson == .plain)
        let third = second?.after(.selectors, of: two, in: SelectorContext(path))
        #expect(third?.manner == pair("10.3.0.0/16"))
        #expect(third?.after(.selectors, of: two, in: SelectorContext(path)) == nil)
        #expect(ChildCall(packet, .plain).after(.selectors, of: child("10.3.0.0/16"), in: SelectorContext(path)) == nil)
    }

    @Test(arguments: [FailureCause.proposals, .other, .authentication])
    func otherRefusalsAreNotAboutTheForm(cause: FailureCause) {
        #expect(
            ChildCall(packet, .hinted).after(cause, of: child("10.2.0.0/16", "10.3.0.0/16"), in: SelectorContext(path))
                == nil)
    }

    /// A peer that wants none of a thousand pairs is not asked for each.
    @Test func afterEightRefusalsInARowNoMoreIsAsked() {
        let many = child((0..<200).map { "10.2.\($0).0/24" })
        var call = ChildCall(pairs: many.pairs(in: SelectorContext(path)))
        var asked = 0
        while let current = call {
            asked += 1
            var refused = current
            refused.refusals += 1
            call = refused.next
        }
        #expect(asked == ChildCall.mostRefusals)
    }

    @Test func pairsAreThoseThatAPacketCanHave() {
        var mixed = child("10.2.0.0/16", "2001:db8::/32")
        mixed.localSelectors.append(.dynamic)
        #expect(
            mixed.pairs(in: SelectorContext(path)).map(\.description) == [
                "10.1.0.0/16 === 10.2.0.0/16", "dynamic === 10.2.0.0/16",
            ])
        let own = TrafficSelector(source: AddressRange(ip("192.0.2.1")), destination: AddressRange(ip("10.2.0.9")))
        #expect(mixed.pair(holding: own, in: SelectorContext(path))?.local == .dynamic)
        #expect(mixed.pair(holding: packet, in: SelectorContext(path)) == nil)
    }

    private func child(_ remotes: [String]) -> Child {
        var child = Child.between("net", "10.1.0.0/16", "10.2.0.0/16")
        child.remoteSelectors = remotes.map { SelectorSide(addresses: prefix($0)) }
        return child
    }
}
