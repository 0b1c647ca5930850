import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// One end rekeys or deletes the IKE SA, and the other does something at once (RFC 7296 sections 2.8.2 and 2.25.2).
@Suite struct CollisionIKETests {
    typealias Lowest = CollisionChildTests.Lowest

    /// The lowest nonce is in the west's answer: the east deletes the IKE SA that it has made, the west the old one.
    @Test func twoRekeysAtOnce() throws {
        let bench = TwoSessions.joined()
        CollisionChildTests.set(.westResponder, bench)
        bench.rekeyIKE(bench.west)
        bench.rekeyIKE(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE request 0 { SA Ni KEi }",
            "<-- CREATE response 2 { SA Nr KEr }",
            "CREATE response 0 { SA Nr KEr } -->",
            "INFORMATIONAL request 3 { D(IKE) } -->",  // the old IKE SA
            "<-- INFORMATIONAL request 0 { D(IKE) }",  // what the east has made
            "<-- INFORMATIONAL response 3 { }",
            "INFORMATIONAL response 0 { } -->")
        bench.expectJoined()
        for host in [bench.west, bench.east] {
            #expect(host.ikeRekeys == 1 && host.childrenDown.isEmpty)
            #expect(host.closed.map(\.reason) == [.rekeyed, .rekeyed])
        }
        #expect(bench.west.session?.role == .initiator)
    }

    @Test(arguments: Lowest.allCases)
    func theIKESAWithTheLowestNonceGoes(_ lowest: Lowest) throws {
        let bench = TwoSessions.joined()
        CollisionChildTests.set(lowest, bench)
        let child = try #require(bench.west.onlyChild)
        bench.rekeyIKE(bench.west)
        bench.rekeyIKE(bench.east)
        bench.run()
        bench.pass(seconds: 200)
        bench.expectJoined()
        let westWins = lowest == .westResponder || lowest == .eastInitiator
        #expect(bench.west.session?.role == (westWins ? .initiator : .responder))
        #expect(bench.west.onlyChild?.id == child.id)
        #expect(bench.west.ikeRekeys == 1 && bench.east.ikeRekeys == 1)
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectJoined()
    }

    @Test(arguments: 1...8, [Fault.lost, .doubled, .delayed(milliseconds: 1500), .overtaken])
    func everyMessageOfTwoRekeysMeetsEveryFault(_ number: Int, _ fault: Fault) {
        for lowest in Lowest.allCases {
            let bench = TwoSessions.joined()
            CollisionChildTests.set(lowest, bench)
            bench.network.faults[bench.network.sent + number] = fault
            bench.rekeyIKE(bench.west)
            bench.rekeyIKE(bench.east)
            bench.run()
            bench.pass(seconds: 200)
            bench.expectJoined("\(lowest)")
            #expect(bench.west.ikeRekeys == 1 && bench.east.ikeRekeys == 1, "\(lowest)")
            #expect(bench.west.childrenDown.isEmpty && bench.east.childrenDown.isEmpty, "\(lowest)")
        }
    }

    /// The example of section 2.8.2: the west is done before it hears of the east's rekey; the east forgets its own.
    @Test func onlyOneEndNoticesTheOther() {
        let bench = TwoSessions.joined()
        bench.network.faults[bench.network.sent + 2] = .delayed(milliseconds: 15)
        bench.rekeyIKE(bench.west)
        bench.rekeyIKE(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE request 0 { SA Ni KEi } (delayed by 15 ms)",
            "<-- CREATE response 2 { SA Nr KEr }",
            "INFORMATIONAL request 3 { D(IKE) } -->",
            "CREATE response 0 { N(TEMPORARY_FAILURE) } -->",
            "<-- INFORMATIONAL response 3 { }")
        bench.pass(seconds: 200)
        bench.expectJoined()
        #expect(bench.west.ikeRekeys == 1 && bench.east.ikeRekeys == 1)
        #expect(bench.west.session?.role == .initiator)
    }

    /// Both are refused for now; both are tried again, at different times.
    @Test func aRekeyOfTheIKESAMeetsOneOfAChild() {
        let bench = TwoSessions.joined()
        bench.rekeyIKE(bench.west)
        bench.rekeyChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr }",
            "<-- CREATE response 2 { N(TEMPORARY_FAILURE) }",
            "CREATE response 0 { N(TEMPORARY_FAILURE) } -->")
        bench.pass(seconds: 60)
        bench.run()
        bench.expectJoined()
        #expect(bench.west.ikeRekeys == 1 && bench.west.rekeys == 1)
        #expect(bench.east.ikeRekeys == 1 && bench.east.rekeys == 1)
    }

    @Test func aRekeyOfTheIKESAMeetsANewChild() {
        let bench = TwoSessions.joined(watching: false) { bench in
            bench.connection.children.append(.test("second", network: 3, remoteNetwork: 4))
            bench.east.connections[0].children.append(.test("second", network: 4, remoteNetwork: 3))
            bench.connection.children[1].time = Child.Limit()
            bench.east.connections[0].children[1].time = Child.Limit()
        }
        bench.rekeyIKE(bench.west)
        bench.create(bench.east, .test("second", network: 4, remoteNetwork: 3))
        bench.run()
        #expect(bench.story.count { $0.contains("TEMPORARY_FAILURE") } == 2)
        bench.pass(seconds: 60)
        bench.expectJoined(children: 3)
        #expect(bench.west.ikeRekeys == 1 && bench.east.childrenUp.count == 1)
    }

    /// Section 2.25.2: a child may be deleted while the IKE SA is rekeyed; the rekey has to wait.
    @Test func aRekeyOfTheIKESAMeetsADeletionOfAChild() {
        let bench = TwoSessions.joined()
        bench.rekeyIKE(bench.west)
        bench.deleteChild(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- INFORMATIONAL request 0 { D(ESP) }",
            "<-- CREATE response 2 { N(TEMPORARY_FAILURE) }",
            "INFORMATIONAL response 0 { D(ESP) } -->")
        bench.pass(seconds: 60)
        bench.expectJoined(children: 0)
        #expect(bench.west.ikeRekeys == 1)
    }

    @Test func aRekeyMeetsADeletion() {
        let bench = TwoSessions.joined(watching: false)
        bench.rekeyIKE(bench.west)
        bench.deleteIKE(bench.east)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- INFORMATIONAL request 0 { D(IKE) }",
            "<-- CREATE response 2 { N(TEMPORARY_FAILURE) }",
            "INFORMATIONAL response 0 { } -->")
        bench.pass(seconds: 60)
        bench.expectNothingLeft()
        #expect(bench.west.closed.map(\.reason) == [.deletedByPeer])
    }

    @Test func twoDeletionsAtOnce() {
        let bench = TwoSessions.joined(watching: false)
        bench.deleteIKE(bench.west)
        bench.deleteIKE(bench.east)
        bench.run()
        bench.pass(seconds: 60)
        bench.expectNothingLeft()
    }

    /// What the peer has made in a collision ends by itself when nobody comes to delete it.
    @Test func aSecondIKESAThatIsForgottenEndsByItself() {
        let bench = TwoSessions.joined()
        CollisionChildTests.set(.eastResponder, bench)
        bench.rekeyIKE(bench.west)
        bench.rekeyIKE(bench.east)
        // The west's new IKE SA is the redundant one; its deletion never comes.
        bench.tamper = { bytes, number in bytes }
        bench.pass(milliseconds: 15)
        bench.network.isCut = true
        bench.pass(milliseconds: 20)
        bench.network.isCut = false
        bench.pass(seconds: 400)
        bench.expectJoined()
    }
}
