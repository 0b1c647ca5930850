import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Rekeys of a child that come to nothing, to less than was there, or to an SA that the peer forgets about.
@Suite struct RekeyRefusalTests {
    private func rekey(_ bench: TwoSessions, isDue: Bool) throws {
        let session = try #require(bench.west.session)
        let child = try #require(session.children.first)
        bench.west.perform(session) {
            $0.rekeyChild(id: child.id, isDue: isDue, environment: bench.west.environment)
        }
        bench.run()
    }

    /// No time says when: the sequence numbers do.
    @Test func aLimitThatIsNoTimeAsksAgain() throws {
        let bench = TwoSessions.joined()
        bench.east.environment.isOutOfSPIs = true
        try rekey(bench, isDue: true)
        #expect(bench.west.rekeys == 0)
        bench.east.environment.isOutOfSPIs = false
        bench.pass(seconds: 40)
        #expect(bench.west.rekeys == 1)
        bench.expectJoined()
    }

    @Test func aCommandIsRefusedOnce() throws {
        let bench = TwoSessions.joined()
        bench.east.environment.isOutOfSPIs = true
        try rekey(bench, isDue: false)
        bench.forgetTrace()
        bench.pass(seconds: 400)
        #expect(bench.trace.isEmpty)
    }

    /// After the rekey the same without REKEY_SA, and so on in turn, more and more rarely.
    @Test func itIsAskedForInTwoWays() throws {
        let bench = TwoSessions.joined {
            $0.connection.children[0].time = Child.Limit(rekey: 100, life: 3700, random: 0)
        }
        bench.east.environment.isOutOfSPIs = true
        bench.pass(seconds: 1200)
        let requests = bench.story.filter { $0.hasSuffix("-->") }
        #expect(requests.prefix(4).map { $0.contains("N(REKEY_SA)") } == [true, false, true, false])
        // At 100, 130, 190, 310, 550, 850, 1150 s.
        #expect(requests.count == 7)
    }

    /// An answer with less than is in use replaces nothing (section 2.9.2). When the peer stays with it, it comes beside what
    /// is there.
    @Test func aNarrowerAnswerReplacesNothing() throws {
        let bench = TwoSessions.joined(watching: false)
        let old = try #require(bench.west.onlyChild)
        bench.network.faults[bench.network.sent + 2] = .lost
        let session = try #require(bench.west.session)
        bench.west.perform(session) {
            $0.rekeyChild(id: old.id, isDue: true, environment: bench.west.environment)
        }
        bench.pass(milliseconds: 15)
        var payloads = try #require(bench.contents(of: bench.datagrams.count))
        let side = SelectorSide(addresses: AddressRange(try #require(IPPrefix("10.1.4.0/24"))))
        payloads = payloads.map { payload in
            guard case .trafficSelectorInitiator = payload else { return payload }
            return .trafficSelectorInitiator(SelectorNegotiation.payload([side]))
        }
        bench.injectProtected(to: bench.west, .createChild, .response, messageID: 2, payloads)
        bench.run()
        #expect(bench.west.notes.contains { $0.contains("10.1.4.0/24") && $0.contains("10.1.0.0/16") })
        #expect(bench.west.onlyChild?.id == old.id && bench.west.rekeys == 0)
        #expect(bench.west.outbound[old.outboundSPI] != nil && bench.east.outbound.count == 1)
        bench.expectJoined()
        bench.pass(seconds: 40)
        #expect(bench.west.rekeys == 1)
        bench.expectJoined()
    }

    // MARK: - The responder

    /// Section 2.8, case 1: a packet in the new SA says that the peer is ready. Its Delete may never come.
    @Test func theFirstPacketDecides() throws {
        let bench = TwoSessions.joined(watching: false)
        let old = try #require(bench.east.onlyChild)
        bench.rekeyChild(bench.west)
        bench.pass(milliseconds: 15)
        bench.network.isCut = true
        bench.pass(seconds: 10)
        #expect(Array(bench.east.outbound.keys) == [old.outboundSPI])
        let new = try #require(bench.east.children.last)
        var usage = ChildUsage()
        usage.inboundPackets = 1
        bench.east.environment.usages[new.inboundSPI] = usage
        bench.pass(seconds: 1)
        #expect(Array(bench.east.outbound.keys) == [new.outboundSPI] && bench.east.rekeys == 1)
        bench.network.isCut = false
        bench.run()
        bench.expectJoined()
        #expect(bench.east.rekeys == 1 && bench.east.childrenDown.isEmpty)
    }

    /// While a rekey of ours may undo that of the peer, a packet decides nothing.
    @Test(arguments: CollisionChildTests.Lowest.allCases)
    func aPacketDecidesNoCollision(_ lowest: CollisionChildTests.Lowest) throws {
        let bench = TwoSessions.joined(watching: false)
        CollisionChildTests.set(lowest, bench)
        bench.network.faults[bench.network.sent + 3] = .lost
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        bench.pass(milliseconds: 15)
        var usage = ChildUsage()
        usage.inboundPackets = 1
        let other = try #require(bench.west.children.last)
        bench.west.environment.usages[other.inboundSPI] = usage
        bench.pass(milliseconds: 100)
        // Where the east's own rekey goes, or its Delete of the old child is not there yet.
        if lowest == .westResponder || lowest == .eastInitiator { #expect(bench.west.rekeys == 0) }
        bench.run()
        bench.pass(seconds: 60)
        bench.expectJoined()
        #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
    }

    /// Section 2.8.1: who made the redundant SA deletes it. If it forgets that, we do not keep the SA for life.
    @Test func aRedundantChildThatThePeerForgetsGoes() throws {
        let bench = TwoSessions.joined(watching: false)
        CollisionChildTests.set(.westResponder, bench)
        bench.network.faults[bench.network.sent + 6] = .lost
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        bench.pass(milliseconds: 25)
        let session = try #require(bench.east.session)
        session.exchanges.finish()
        session.window.takeBack()
        for child in session.children { _ = session.childTable.takeExpiry(child.id, at: .never) }
        bench.pass(seconds: 60)
        #expect(bench.west.children.count == 2)
        bench.pass(seconds: 70)
        bench.run()
        bench.expectJoined()
        #expect(bench.west.childrenDown.isEmpty)
    }

    // MARK: - Liveness

    /// A rekey that never arrives, while the peer's ESP does: the peer lives (section 2.4).
    @Test func aPeerWhoseESPComesLives() throws {
        let bench = TwoSessions.joined(watching: false)
        let child = try #require(bench.west.onlyChild)
        bench.network.isCut = true
        bench.rekeyChild(bench.west)
        for _ in 0..<300 {
            var usage = ChildUsage()
            usage.lastInbound = bench.now
            bench.west.environment.usages[child.inboundSPI] = usage
            bench.pass(seconds: 1)
        }
        #expect(bench.west.session?.isEstablished == true)
        bench.network.isCut = false
        bench.pass(seconds: 20)
        #expect(bench.west.rekeys == 1)
        bench.expectJoined()
        bench.network.isCut = true
        bench.rekeyChild(bench.west)
        bench.pass(seconds: 43)
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
    }

    // MARK: - An IKE SA that is not decided on yet

    /// Two rekeys of the IKE SA crossed, and the peer, who knows which new one stays, deletes a child there before we know.
    @Test func aChildThatIsDeletedInAnUndecidedIKESAIsGone() throws {
        let bench = TwoSessions.joined(watching: false)
        CollisionChildTests.set(.westResponder, bench)
        bench.west.environment.nonces = [nonce(5), nonce(60)]
        bench.east.environment.nonces = [nonce(70), nonce(80)]
        // The east's answer is late, and its Delete of the old IKE SA too.
        bench.network.faults[bench.network.sent + 3] = .lost
        bench.network.faults[bench.network.sent + 5] = .lost
        bench.rekeyIKE(bench.west)
        bench.rekeyIKE(bench.east)
        bench.pass(milliseconds: 25)
        let decided = try #require(bench.east.sessions.first { !$0.children.isEmpty })
        let child = try #require(decided.children.first)
        bench.east.perform(decided) { $0.deleteChild(id: child.id, environment: bench.east.environment) }
        bench.run()
        bench.pass(seconds: 150)
        #expect(bench.west.sessions.count == 1 && bench.east.sessions.count == 1)
        #expect(bench.west.children.isEmpty && bench.east.children.isEmpty)
        #expect(bench.west.inbound.isEmpty && bench.east.inbound.isEmpty)
    }

    // MARK: - Packets that call for a child

    /// The second packet is for another flow: it has its request, unless the first answer is for both.
    @Test func aSecondPacketIsNotForgotten() throws {
        for isNarrow in [false, true] {
            let bench = TwoSessions.joined { bench in
                bench.connection.children = []
                bench.east.connections[0].children[0].remoteSelectors = [
                    SelectorSide(
                        addresses: AddressRange(
                            IPPrefix("10.1.0.0/16") ?? IPPrefix(address: .test(.ipv4, 1), length: 32)))
                ]
            }
            let child = Child.test(network: 1, remoteNetwork: 2)
            let session = try #require(bench.west.session)
            if isNarrow { bench.east.session?.connection?.children[0].remoteSelectors[0].protocolNumber = 6 }
            for number: UInt8 in [6, 6, 17] {
                let hint = TrafficSelector(
                    source: AddressRange(try #require(IPAddress("10.1.0.1"))),
                    destination: AddressRange(try #require(IPAddress("10.2.0.1"))), protocol: number)
                bench.west.perform(session) { $0.create(child, hint: hint, environment: bench.west.environment) }
            }
            bench.run()
            let requests = bench.story.filter { $0.hasPrefix("CREATE request") }
            #expect(requests.count == (isNarrow ? 2 : 1))
        }
    }
}
