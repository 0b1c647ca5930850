import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// Both ends do something with one child at once (RFC 7296 sections 2.8.1 and 2.25.1).
@Suite struct CollisionChildTests {
    enum Lowest: CaseIterable { case westInitiator, westResponder, eastInitiator, eastResponder }

    /// The nonces that the ends will use: of four equal bytes each, `lowest` the lowest.
    static func set(_ lowest: Lowest, _ bench: TwoSessions) {
        func value(_ which: Lowest, _ otherwise: UInt8) -> [UInt8] { nonce(which == lowest ? 1 : otherwise) }
        bench.west.environment.nonces = [value(.westInitiator, 50), value(.westResponder, 60)]
        bench.east.environment.nonces = [value(.eastInitiator, 70), value(.eastResponder, 80)]
    }

    /// The example of section 2.8.1: the lowest nonce is in the west's answer, so the east undoes its own exchange.
    @Test func twoRekeysAtOnce() throws {
        let bench = TwoSessions.joined()
        Self.set(.westResponder, bench)
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr }",
            "<-- CREATE response 2 { SA Nr TSi TSr }",
            "CREATE response 0 { SA Nr TSi TSr } -->",
            "INFORMATIONAL request 3 { D(ESP) } -->",  // the old child
            "<-- INFORMATIONAL request 1 { D(ESP) }",  // what the east has made
            "<-- INFORMATIONAL response 3 { D(ESP) }",
            "INFORMATIONAL response 1 { D(ESP) } -->")
        bench.expectJoined()
        for host in [bench.west, bench.east] {
            #expect(host.rekeys == 1 && host.childrenDown.isEmpty && host.childrenUp.isEmpty)
        }
    }

    @Test(arguments: Lowest.allCases)
    func theExchangeWithTheLowestNonceIsUndone(_ lowest: Lowest) throws {
        let bench = TwoSessions.joined()
        Self.set(lowest, bench)
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        // As responder each end takes its second SPI.
        let taken = bench.west.environment.pendingSPIs
        bench.run()
        bench.expectJoined()
        let westWins = lowest == .westResponder || lowest == .eastInitiator
        #expect(bench.west.onlyChild.map { taken.contains($0.inboundSPI) } == westWins)
        #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectJoined()
    }

    /// The second example of section 2.8.1: the east is done before it hears of the west's rekey.
    @Test func oneOfTwoRekeysIsLost() {
        let bench = TwoSessions.joined()
        bench.network.faults[bench.network.sent + 1] = .lost
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } (lost) -->",
            "<-- CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr }",
            "CREATE response 0 { SA Nr TSi TSr } -->",
            "<-- INFORMATIONAL request 1 { D(ESP) }",
            "INFORMATIONAL response 1 { D(ESP) } -->",
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } (again) -->",
            "<-- CREATE response 2 { N(CHILD_SA_NOT_FOUND) }")
        bench.expectJoined()
        #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
    }

    /// The west is done before it hears of the east's rekey: its answer is that the child is being deleted.
    @Test func oneOfTwoRekeysIsLate() {
        let bench = TwoSessions.joined()
        bench.network.faults[bench.network.sent + 2] = .delayed(milliseconds: 15)
        bench.rekeyChild(bench.west)
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr } (delayed by 15 ms)",
            "<-- CREATE response 2 { SA Nr TSi TSr }",
            "INFORMATIONAL request 3 { D(ESP) } -->",
            "CREATE response 0 { N(TEMPORARY_FAILURE) } -->",
            "<-- INFORMATIONAL response 3 { D(ESP) }")
        bench.pass(seconds: 60)
        bench.expectJoined()
        #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1)
    }

    @Test(arguments: 1...8, [Fault.lost, .doubled, .delayed(milliseconds: 1500), .overtaken])
    func everyMessageOfTwoRekeysMeetsEveryFault(_ number: Int, _ fault: Fault) {
        for lowest in Lowest.allCases {
            let bench = TwoSessions.joined()
            Self.set(lowest, bench)
            bench.network.faults[bench.network.sent + number] = fault
            bench.rekeyChild(bench.west)
            bench.rekeyChild(bench.east)
            bench.run()
            bench.pass(seconds: 60)
            bench.expectJoined("\(lowest)")
            #expect(bench.west.rekeys == 1 && bench.east.rekeys == 1, "\(lowest)")
            #expect(bench.west.childrenDown.isEmpty && bench.east.childrenDown.isEmpty, "\(lowest)")
        }
    }

    /// Section 2.25.1: the one who deletes refuses to rekey for now; the other deletes, and forgets its rekey.
    @Test func aRekeyMeetsADeletion() {
        let bench = TwoSessions.joined()
        bench.rekeyChild(bench.west)
        bench.deleteChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- INFORMATIONAL request 0 { D(ESP) }",
            "<-- CREATE response 2 { N(TEMPORARY_FAILURE) }",
            "INFORMATIONAL response 0 { D(ESP) } -->")
        bench.pass(seconds: 60)
        bench.expectJoined(children: 0)
        #expect(bench.west.childrenDown.count == 1 && bench.east.childrenDown.count == 1)
    }

    /// Section 1.4.1: each has named its own SA already, and the answers are empty.
    @Test func twoDeletionsAtOnce() {
        let bench = TwoSessions.joined()
        bench.deleteChild(bench.west)
        bench.deleteChild(bench.east)
        bench.run()
        bench.expectStory(
            "INFORMATIONAL request 2 { D(ESP) } -->",
            "<-- INFORMATIONAL request 0 { D(ESP) }",
            "<-- INFORMATIONAL response 2 { }",
            "INFORMATIONAL response 0 { } -->")
        bench.expectJoined(children: 0)
    }

    /// The child that the user wants deleted is not brought back by the peer's rekey.
    @Test func aDeletionThatWaitsIsNotOvertakenByARekey() throws {
        let bench = TwoSessions.joined()
        let session = try #require(bench.east.session)
        bench.east.perform(session) { $0.probe(environment: bench.east.environment) }
        bench.deleteChild(bench.east)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.pass(seconds: 60)
        bench.expectJoined(children: 0)
    }

    /// Section 2.25: after minutes of TEMPORARY_FAILURE the IKE SA is given up.
    @Test func aPeerThatIsBusyForEver() throws {
        let bench = TwoSessions.joined()
        bench.east.session?.lifecycle.rekeyBegan()
        bench.rekeyChild(bench.west)
        bench.pass(seconds: 100)
        let tries = bench.story.count { $0.contains("TEMPORARY_FAILURE") }
        #expect((5...25).contains(tries), "not at once, and not only once: \(tries)")
        bench.expectJoined()
        bench.pass(seconds: 200)
        bench.expectNothingLeft()
        guard case .negotiationFailed(let explanation)? = bench.west.closed.first?.reason else {
            Issue.record("\(bench.west.closed)")
            return
        }
        #expect(explanation.what.contains("busy for minutes"))
    }
}
