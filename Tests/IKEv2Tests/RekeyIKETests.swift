import Cryptography
import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// IKE SAs are replaced, and their children go on as if nothing had happened.
@Suite struct RekeyIKETests {
    @Test func theChildrenGoToTheNewIKESA() throws {
        let bench = TwoSessions.joined()
        let (old, child) = (try #require(bench.west.session), try #require(bench.west.onlyChild))
        let logged = bench.west.log.count
        bench.rekeyIKE(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE response 2 { SA Nr KEr }",
            "INFORMATIONAL request 3 { D(IKE) } -->",
            "<-- INFORMATIONAL response 3 { }")
        bench.expectJoined()
        let new = try #require(bench.west.session)
        #expect(new !== old && new.initiatorSPI != old.initiatorSPI && new.responderSPI != old.responderSPI)
        #expect(new.role == .initiator && bench.east.session?.role == .responder)
        #expect(bench.west.onlyChild?.id == child.id && bench.west.onlyChild?.inboundSPI == child.inboundSPI)
        // Nothing is done to the dataplane.
        #expect(Array(bench.west.log.dropFirst(logged)) == ["send", "replaced", "send", "closed"])
        #expect(bench.west.closed.map(\.reason) == [.rekeyed] && bench.east.closed.map(\.reason) == [.rekeyed])
        #expect(bench.west.ikeRekeys == 1 && bench.east.ikeRekeys == 1)
        #expect(bench.west.childrenDown.isEmpty && bench.east.childrenDown.isEmpty)
        #expect(new.identities?.remote == .domainName("east") && new.connection?.name == "to-east")
    }

    @Test func whoRekeysIsTheNewInitiatorAndMessagesCountFromZero() throws {
        let bench = TwoSessions.joined()
        bench.rekeyIKE(bench.east)
        bench.run()
        #expect(bench.east.session?.role == .initiator && bench.west.session?.role == .responder)
        bench.expectJoined()
        bench.forgetTrace()
        bench.rekeyChild(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 0 { N(REKEY_SA) SA Ni TSi TSr } -->",
            "<-- CREATE response 0 { SA Nr TSi TSr }",
            "INFORMATIONAL request 1 { D(ESP) } -->",
            "<-- INFORMATIONAL response 1 { D(ESP) }")
        bench.expectJoined()
        bench.rekeyIKE(bench.west)
        bench.run()
        bench.expectJoined()
        bench.deleteIKE(bench.east)
        bench.run()
        bench.expectNothingLeft()
    }

    @Test func theGroupThatThePeerWants() throws {
        let bench = TwoSessions.joined()
        bench.east.session?.connection?.proposals[0].keyExchanges = [.ecp256]
        bench.rekeyIKE(bench.west)
        bench.run()
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE response 2 { N(INVALID_KE_PAYLOAD) }",
            "CREATE request 3 { SA Ni KEi } -->",
            "<-- CREATE response 3 { SA Nr KEr }",
            "INFORMATIONAL request 4 { D(IKE) } -->",
            "<-- INFORMATIONAL response 4 { }")
        bench.expectJoined()
        let status = bench.west.status(try #require(bench.west.session))
        #expect(status.keyExchange == .ecp256)
    }

    @Test func otherAlgorithmsThanBefore() throws {
        let bench = TwoSessions.joined()
        let proposal = IKEProposal(
            encryption: [.aesCBC(keyBits: 256)], integrity: [.hmacSHA512_256], functions: [.hmacSHA512],
            keyExchanges: [.x448])
        for host in [bench.west, bench.east] { host.session?.connection?.proposals = [proposal] }
        bench.rekeyIKE(bench.west)
        bench.run()
        bench.expectJoined()
        bench.rekeyIKE(bench.east)
        bench.run()
        bench.expectJoined()
        let status = bench.west.status(try #require(bench.west.session))
        #expect(status.suite?.description == "aes256-sha512" && status.function == .hmacSHA512)
        #expect(status.keyExchange == .x448 && status.state == .established)
    }

    @Test func aRefusedRekeyIsTriedAgainUntilTheHardLimit() throws {
        let bench = TwoSessions.joined(watching: false) { bench in
            bench.connection.rekeyTime = 100
            bench.connection.overTime = 50
            bench.connection.randomTime = 0
        }
        let proposals = try #require(bench.east.session?.connection?.proposals)
        bench.east.session?.connection?.proposals = [
            IKEProposal(encryption: [.chaCha20Poly1305], functions: [.hmacSHA256], keyExchanges: [.x25519])
        ]
        bench.pass(seconds: 105)
        bench.expectStory(
            "CREATE request 2 { SA Ni KEi } -->",
            "<-- CREATE response 2 { N(NO_PROPOSAL_CHOSEN) }")
        #expect(bench.west.notes.contains { $0.contains("connections.to-east.proposals") })
        #expect(bench.east.notes.contains { $0.contains("differs from chacha20poly1305") })
        bench.expectJoined()
        bench.east.session?.connection?.proposals = proposals
        bench.pass(seconds: 30)
        bench.expectJoined()
        #expect(bench.west.ikeRekeys == 1)
        bench.east.session?.connection?.proposals = []
        bench.pass(seconds: 151)
        bench.expectNothingLeft()
        #expect(bench.west.closed.last?.reason == .expired)
    }

    @Test func timeAloneRekeysAgainAndAgain() {
        let bench = TwoSessions.joined { bench in
            bench.connection.rekeyTime = 100
            bench.connection.overTime = 20
            bench.connection.randomTime = 10
        }
        bench.pass(seconds: 1000)
        #expect((9...11).contains(bench.west.ikeRekeys))
        bench.expectJoined()
        #expect(bench.west.childrenDown.isEmpty)
    }

    /// Section 2.8.3: fresh keys are no fresh authentication.
    @Test func theTimeOfReauthenticationStays() throws {
        let bench = TwoSessions.joined { bench in
            bench.connection.reauthenticationTime = 1000
            bench.connection.randomTime = 0
        }
        let due = try #require(bench.west.session?.reauthenticateAt)
        bench.pass(seconds: 100)
        bench.rekeyIKE(bench.west)
        bench.run()
        #expect(bench.west.session?.reauthenticateAt == due)
    }

    /// What waits for the window is done by the new IKE SA.
    @Test func whatWaitsGoesAlong() throws {
        let bench = TwoSessions.joined()
        bench.rekeyIKE(bench.west)
        bench.rekeyChild(bench.west)
        bench.run()
        bench.pass(seconds: 1)
        bench.expectJoined()
        #expect(bench.west.rekeys == 1 && bench.west.ikeRekeys == 1)
    }

    @Test(arguments: 1...4, [Fault.lost, .doubled, .delayed(milliseconds: 1500), .overtaken])
    func everyMessageMeetsEveryFault(_ number: Int, _ fault: Fault) {
        for rekeysWest in [true, false] {
            let bench = TwoSessions.joined()
            bench.network.faults[bench.network.sent + number] = fault
            bench.rekeyIKE(rekeysWest ? bench.west : bench.east)
            bench.run()
            bench.pass(seconds: 200)
            bench.expectJoined()
            #expect(bench.west.ikeRekeys == 1 && bench.east.ikeRekeys == 1)
        }
    }

    /// The last answer is lost for good: the one who deletes gives up waiting, and nothing is left behind.
    @Test func aPeerThatIsGoneWithTheOldIKESA() {
        let bench = TwoSessions.joined()
        bench.rekeyIKE(bench.west)
        bench.pass(milliseconds: 25)
        bench.network.isCut = true
        bench.pass(seconds: 300)
        #expect(bench.west.sessions.count == 1 && bench.east.sessions.count == 1)
        bench.network.isCut = false
        bench.expectJoined()
    }

    @Test func theKeysAreLogged() {
        let bench = TwoSessions.joined()
        let before = bench.west.environment.keyLog.count
        bench.rekeyIKE(bench.west)
        bench.run()
        #expect(bench.west.environment.keyLog.count == before + 1)
    }
}
