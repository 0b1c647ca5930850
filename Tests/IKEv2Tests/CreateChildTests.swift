import Cryptography
import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// More children in an IKE SA that is up.
@Suite struct CreateChildTests {
    private func second(_ network: UInt8 = 3, _ remote: UInt8 = 4) -> Child {
        var child = Child.test("second", network: network, remoteNetwork: remote)
        child.time = Child.Limit()
        return child
    }

    /// The east knows the second child as well.
    private func bench(_ adjust: (inout Child) -> Void = { _ in }) -> TwoSessions {
        var child = second(4, 3)
        adjust(&child)
        // The first SA for some selectors may be sent in before its answer has come (RFC 7296 section 2.8).
        return TwoSessions.joined(watching: false) { $0.east.connections[0].children.append(child) }
    }

    @Test func aSecondChild() throws {
        let bench = bench()
        bench.create(bench.west, second())
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr TSi TSr }")
        bench.expectJoined(children: 2)
        #expect(bench.west.childrenUp.map(\.child.name) == ["second"])
        #expect(bench.east.childrenUp.map(\.child.name) == ["second"])
        let keys = Set(bench.west.children.map { hexadecimal($0.inboundKey) })
        #expect(keys.count == 2)
    }

    @Test func theResponderOfTheIKESAMakesOneToo() throws {
        let bench = bench()
        let session = try #require(bench.west.session)
        session.connection?.children.append(second())
        bench.create(bench.east, second(4, 3))
        bench.run()
        bench.expectStory(
            "<-- CREATE request 0 { SA Ni TSi TSr }",
            "CREATE response 0 { SA Nr TSi TSr } -->")
        bench.expectJoined(children: 2)
    }

    /// A peer that names more selectors than anybody needs does not get a policy for each pair of them.
    @Test func tooManyPairsOfSelectorsAreRefused() {
        let bench = bench()
        func hosts(_ network: UInt32) -> [SelectorSide] {
            (0..<100).map { SelectorSide(addresses: AddressRange(IPAddress(ipv4: 10 << 24 | network << 16 | $0 << 1))) }
        }
        var child = second()
        child.localSelectors = hosts(3)
        child.remoteSelectors = Array(hosts(4).prefix(40))
        bench.create(bench.west, child)
        bench.run()
        #expect(bench.west.children.last?.selectors.count == 4000)
        child.name = "third"
        child.remoteSelectors = hosts(4)
        bench.create(bench.west, child)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr TSi TSr }",
            "CREATE request 3 { SA Ni TSi TSr } -->",
            "<-- CREATE response 3 { N(TS_UNACCEPTABLE) }")
        for host in [bench.west, bench.east] {
            #expect(host.inbound.count == 2 && host.outbound.count == 2)
            #expect(host.environment.pendingSPIs.isEmpty)
        }
    }

    /// What all children of a peer together make every policy lookup cost has an end too.
    @Test func tooManyPairsOfOnePeerAreRefused() {
        let bench = bench()
        func hosts(_ network: UInt32) -> [SelectorSide] {
            (0..<60).map { SelectorSide(addresses: AddressRange(IPAddress(ipv4: 10 << 24 | network << 16 | $0 << 1))) }
        }
        var child = second()
        child.localSelectors = hosts(3)
        child.remoteSelectors = hosts(4)
        for number in 0..<3 {
            child.name = "child \(number)"
            bench.create(bench.west, child)
            bench.run()
        }
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr TSi TSr }",
            "CREATE request 3 { SA Ni TSi TSr } -->",
            "<-- CREATE response 3 { SA Nr TSi TSr }",
            "CREATE request 4 { SA Ni TSi TSr } -->",
            "<-- CREATE response 4 { N(NO_ADDITIONAL_SAS) }")
        for host in [bench.west, bench.east] {
            #expect(host.inbound.count == 3 && host.outbound.count == 3)
            #expect(host.environment.pendingSPIs.isEmpty)
        }
    }

    @Test(arguments: KeyExchangeMethod.allCases)
    func withEveryKeyExchange(_ method: KeyExchangeMethod) throws {
        let proposals = [ChildProposal(encryption: [.chaCha20Poly1305], keyExchanges: [method])]
        let bench = bench { $0.proposals = proposals }
        var child = second()
        child.proposals = proposals
        bench.create(bench.west, child)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi TSi TSr } -->",
            "<-- CREATE response 2 { SA Nr KEr TSi TSr }")
        bench.expectJoined(children: 2)
        #expect(bench.west.childrenUp.first?.keyExchange == method)
    }

    @Test func whatIsAskedForTwiceIsMadeOnce() {
        let bench = bench()
        bench.create(bench.west, second())
        bench.create(bench.west, second())
        bench.run()
        bench.expectJoined(children: 2)
    }

    @Test func unknownSelectorsAreRefused() {
        let bench = bench()
        bench.create(bench.west, second(50, 60))
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(TS_UNACCEPTABLE) }")
        bench.expectJoined()
        #expect(bench.west.childFailures.first?.remedy.contains("connections.to-east.children.second.local_ts") == true)
        #expect(bench.east.notes.contains { $0.contains("TS_UNACCEPTABLE") && $0.contains("10.50.0.0/16") })
    }

    @Test func unknownAlgorithmsAreRefused() {
        let bench = bench { $0.proposals = [ChildProposal(encryption: [.chaCha20Poly1305])] }
        bench.create(bench.west, second())
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_PROPOSAL_CHOSEN) }")
        bench.expectJoined()
        #expect(bench.west.childFailures.count == 1)
        #expect(bench.east.notes.contains { $0.contains("connections.to-west.children.second.esp_proposals") })
    }

    @Test func theLimitOfChildrenIsKept() {
        let bench = bench()
        bench.east.environment.settings.maximumChildren = 1
        bench.create(bench.west, second())
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_ADDITIONAL_SAS) }")
        bench.expectJoined()
    }

    @Test func withoutAnSPIThereIsNoChild() {
        let bench = bench()
        bench.west.environment.isOutOfSPIs = true
        bench.create(bench.west, second())
        bench.run()
        #expect(bench.trace.isEmpty && bench.west.childFailures.count == 1)
        bench.west.environment.isOutOfSPIs = false
        bench.east.environment.isOutOfSPIs = true
        bench.create(bench.west, second())
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_ADDITIONAL_SAS) }")
        bench.expectJoined()
    }

    /// What the dataplane could not hold is refused before the answer says that it is there.
    @Test func withoutRoomThereIsNoChild() {
        let bench = bench()
        bench.east.environment.hasRoom = false
        bench.create(bench.west, second())
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni TSi TSr } -->",
            "<-- CREATE response 2 { N(NO_ADDITIONAL_SAS) }")
        bench.expectJoined()
        #expect(bench.east.environment.pendingSPIs.isEmpty)
    }

    /// A group that the peer wants and we do not have ends it; so does one asked for again and again.
    @Test func aGroupThatWasNotOfferedEndsIt() {
        let bench = bench { $0.proposals[0].keyExchanges = [.modp2048] }
        var child = second()
        child.proposals[0].keyExchanges = [.x25519]
        bench.create(bench.west, child)
        bench.run()
        bench.expectJoined()
        #expect(bench.west.childFailures.count == 1)
    }

    @Test(arguments: 1...2, [Fault.lost, .doubled, .delayed(milliseconds: 1500), .overtaken])
    func everyMessageMeetsEveryFault(_ number: Int, _ fault: Fault) {
        let bench = bench()
        bench.network.faults[bench.network.sent + number] = fault
        bench.create(bench.west, second())
        bench.run()
        bench.expectJoined(children: 2)
    }

    /// The SPI that was taken for a child is given back when the IKE SA ends before the answer.
    @Test func nothingIsLeftWhenTheAnswerNeverComes() {
        let bench = bench()
        bench.network.isCut = true
        bench.create(bench.west, second())
        bench.run()
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
        #expect(bench.west.environment.pendingSPIs.isEmpty && bench.west.inbound.isEmpty)
    }
}
