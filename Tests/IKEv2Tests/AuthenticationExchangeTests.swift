import Cryptography
import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// IKE_AUTH (RFC 7296 sections 1.2, 2.9, 2.15, 2.21.2, RFC 6023).
@Suite struct AuthenticationExchangeTests {
    /// Runs, and expects that nothing comes of it.
    private func expectFailure(
        _ bench: TwoSessions, sourceLocation: SourceLocation = #_sourceLocation, _ change: (TwoSessions) -> Void
    ) {
        change(bench)
        bench.initiate()
        bench.run()
        bench.pass(seconds: 40)
        bench.expectNothingLeft(sourceLocation: sourceLocation)
        #expect(bench.west.failures.count == 1, sourceLocation: sourceLocation)
        #expect(bench.east.failures.count == 1, sourceLocation: sourceLocation)
    }

    // MARK: - Authentication fails

    @Test func aWrongKeyAtTheInitiator() {
        let bench = TwoSessions()
        expectFailure(bench) {
            $0.west.environment.credentials.sharedKeys[0].secret = SecretBytes(copying: [1, 2, 3])
        }
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]")
        #expect(bench.east.failures.first?.description.contains("another shared key") == true)
        #expect(bench.west.failures.first?.details.contains("identity sent: west") == true)
        #expect(!bench.east.failures.description.contains("secret\""))
    }

    /// The responder is not whom we want: it is told, since it counts the IKE SA as up.
    @Test func aResponderWithAnotherIdentity() {
        let bench = TwoSessions()
        bench.connection.remote.identity = .domainName("*.example.org")
        bench.initiate()
        bench.run()
        #expect(
            bench.trace.suffix(3) == [
                "<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]",
                "INFORMATIONAL request 2 [SK { N(AUTHENTICATION_FAILED) }] -->",
                "<-- INFORMATIONAL response 2 [SK { }]",
            ])
        bench.expectNothingLeft()
        #expect(bench.west.failures.first?.details.contains("identity tried: east") == true)
        #expect(bench.west.failures.first?.remedy.contains("connections.to-east.remote.id") == true)
    }

    @Test func noConnectionForTheInitiatorsIdentity() {
        let bench = TwoSessions()
        expectFailure(bench) { $0.connection.local.identity = .domainName("mars") }
        #expect(bench.east.failures.first?.summary == "authentication failed: no connection is for this peer")
        #expect(bench.east.failures.first?.details.first == "identities tried: mars (peer), east (here)")
    }

    @Test func noConnectionForTheIdentityThatIsAskedFor() {
        let bench = TwoSessions()
        expectFailure(bench) { $0.connection.remote.identity = .domainName("moon") }
        #expect(bench.east.failures.first?.details.first == "identities tried: west (peer), moon (here)")
    }

    @Test func anInitiatorWithoutAKeyBeginsNothing() {
        let bench = TwoSessions()
        bench.west.environment.credentials.sharedKeys = []
        bench.initiate()
        bench.run()
        #expect(bench.trace.count == 2)
        #expect(bench.west.failures.count == 1)
        #expect(bench.west.sessions.isEmpty)
    }

    @Test func aResponderWithoutAKeyRefuses() {
        let bench = TwoSessions()
        expectFailure(bench) { $0.east.environment.credentials.sharedKeys = [] }
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]")
    }

    /// The refusal is repeated as long as the peer may ask for it.
    @Test func aRefusalThatIsLostIsRepeated() {
        let bench = TwoSessions()
        bench.network.faults[4] = .lost
        expectFailure(bench) {
            $0.west.environment.credentials.sharedKeys[0].secret = SecretBytes(copying: [1, 2, 3])
        }
        #expect(bench.west.failures.first?.summary.hasPrefix("authentication failed") == true)
        #expect(bench.trace.last?.hasSuffix("(again)") == true)
    }

    /// `unique = keep`. A peer that knows of no earlier one, and says so, gets in (`UniquenessTests`).
    @Test func aSecondConnectionOfTheSamePeerIsRefused() {
        let bench = TwoSessions()
        expectFailure(bench) {
            $0.west.environment.isFirst = false
            $0.east.environment.refusesDuplicates = true
        }
        #expect(bench.east.failures.first?.summary == "west is connected already")
    }

    /// IKE_AUTH without AUTH asks for EAP (section 2.16).
    @Test func extensibleAuthenticationIsRefused() {
        let bench = TwoSessions()
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        bench.forgetTrace()
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1,
            [.identificationInitiator(IdentificationPayload(type: .fullyQualifiedDomainName, data: Array("west".utf8)))]
        )
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]"])
        #expect(bench.east.failures.first?.summary.contains("EAP") == true)
    }

    /// A peer that knows of no other IKE SA has lost it: it is not kept out by what it has forgotten.
    @Test func aPeerThatHasStartedAnewIsNotRefused() {
        let bench = TwoSessions()
        bench.east.environment.refusesDuplicates = true
        bench.initiate()
        bench.run()
        bench.expectJoined()
    }

    // MARK: - Which connection

    @Test func theConnectionIsChosenByIdentity() {
        let bench = TwoSessions()
        var other = bench.east.connections[0]
        other.name = "anybody"
        other.remote.identity = .any
        bench.east.connections.insert(other, at: 0)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.session?.connection?.name == "to-west")
    }

    /// Two that fit equally: the one by which the proof holds.
    @Test func theConnectionIsChosenByProof() {
        let bench = TwoSessions()
        var other = bench.east.connections[0]
        other.name = "certificates"
        other.remote.method = .publicKey(schemes: [])
        bench.east.connections.insert(other, at: 0)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.session?.connection?.name == "to-west")
    }

    // MARK: - Notifies

    @Test func initialContactOnlyWhenItIsTrue() {
        let bench = TwoSessions()
        bench.west.environment.isFirst = false
        bench.initiate()
        bench.run()
        #expect(bench.east.established == [false])
        #expect(!bench.trace.joined().contains("INITIAL_CONTACT"))
    }

    @Test func initialContactNotWithUniqueNever() {
        let bench = TwoSessions()
        bench.connection.unique = .never
        bench.initiate()
        bench.run()
        #expect(bench.east.established == [false])
    }

    // MARK: - Childless (RFC 6023)

    @Test(arguments: [Connection.Childless.prefer, .force])
    func withoutAChildWhenThatIsPreferred(childless: Connection.Childless) {
        let bench = TwoSessions()
        bench.connection.childless = childless
        bench.initiate(children: [])
        bench.run()
        #expect(bench.trace[2] == "IKE_AUTH request 1 [SK { IDi N(INITIAL_CONTACT) IDr AUTH }] -->")
        #expect(bench.trace[3] == "<-- IKE_AUTH response 1 [SK { IDr AUTH }]")
        bench.expectJoined(children: 0)
    }

    @Test func withAChildWhenThePeerCannotDoWithout() {
        let bench = TwoSessions()
        bench.connection.childless = .prefer
        bench.east.connections[0].childless = .never
        bench.initiate()
        bench.run()
        bench.expectJoined()
    }

    @Test func notAtAllWhenItIsForcedAndThePeerCannot() {
        let bench = TwoSessions()
        bench.connection.childless = .force
        bench.east.connections[0].childless = .never
        bench.initiate()
        bench.pass(seconds: 60)
        bench.expectNothingLeft()
        #expect(bench.west.failures.first?.remedy == "set connections.to-east.childless = allow")
    }

    @Test func noIKESAWithoutAChildForThePeerThatForbidsIt() {
        let bench = TwoSessions()
        bench.connection.childless = .prefer
        bench.east.connections[0].childless = .never
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        bench.west.session?.peer.childless = true
        bench.forgetTrace()
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1,
            [
                .identificationInitiator(
                    IdentificationPayload(type: .fullyQualifiedDomainName, data: Array("west".utf8))),
                .authentication(AuthenticationPayload(method: .sharedKey, data: [UInt8](repeating: 0, count: 32))),
            ])
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { N(INVALID_SYNTAX) }]"])
        #expect(bench.east.failures.first?.remedy == "set connections.to-west.childless = allow")
    }

    @Test func noChildInIKEAUTHForThePeerThatForbidsThat() {
        let bench = TwoSessions()
        expectFailure(bench) { $0.east.connections[0].childless = .force }
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(INVALID_SYNTAX) }]")
    }

    // MARK: - Signatures and fragments are for the tests of authentication; here only that the notifies arrive

    @Test func hashesAndFragmentsAreAnnounced() {
        let bench = TwoSessions()
        bench.connection.fragmentation = .no
        bench.initiate()
        bench.run()
        #expect(bench.west.session?.peer.fragmentation == true)
        #expect(bench.east.session?.peer.fragmentation == false)
        #expect(bench.east.session?.peer.signatureHashes?.contains(.sha256) == true)
        #expect(bench.east.session?.peer.signatureHashes?.contains(.identity) == true)
    }
}
