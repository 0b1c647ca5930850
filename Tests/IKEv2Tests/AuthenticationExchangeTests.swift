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
        #expect(bench.east.failures.first?.what == "authentication failed: no connection is for this peer")
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
        #expect(bench.west.failures.first?.what.hasPrefix("authentication failed") == true)
        #expect(bench.trace.last?.hasSuffix("(again)") == true)
    }

    /// `unique = keep`. A peer that knows of no earlier one, and says so, gets in (`UniquenessTests`).
    @Test func aSecondConnectionOfTheSamePeerIsRefused() {
        let bench = TwoSessions()
        expectFailure(bench) {
            $0.west.environment.isFirst = false
            $0.east.environment.refusesDuplicates = true
        }
        #expect(bench.east.failures.first?.what == "west is connected already")
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
        #expect(bench.east.failures.first?.what.contains("EAP") == true)
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

    /// A connection is for this identity alone, and the proof fails: it is not tried on one for anybody.
    @Test(arguments: [Identity.any, .domainName("*")])
    func anIdentityThatIsDisprovedIsNotTriedOnOthers(_ pattern: Identity) {
        let bench = TwoSessions()
        var other = bench.east.connections[0]
        other.name = "anybody"
        other.remote.identity = pattern
        bench.east.connections[0].remote.method = .publicKey(schemes: [])
        bench.east.connections.append(other)
        expectFailure(bench) { _ in }
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]")
        #expect(bench.east.failures.first?.description.contains("connection to-west wants a signature") == true)
    }

    /// But one after the other of those that fit as well, and from the lax to the lax.
    @Test func anIdentityThatFitsAPatternIsTriedOnOthers() {
        let bench = TwoSessions()
        var other = bench.east.connections[0]
        other.name = "anybody"
        other.remote.identity = .any
        bench.east.connections[0].remote.identity = .domainName("*")
        bench.east.connections[0].remote.method = .publicKey(schemes: [])
        bench.east.connections.append(other)
        bench.initiate()
        bench.run()
        #expect(bench.east.session?.connection?.name == "anybody")
    }

    // MARK: - A shared key is replaced

    /// The responder has both keys, the initiator the old one or the new one already.
    @Test(arguments: ["old", "new"]) func aResponderTakesBothKeys(_ name: String) {
        let bench = TwoSessions()
        func key(_ name: String) -> Credentials.SharedKey {
            Credentials.SharedKey(name: name, owners: [.domainName("west")], secret: SecretBytes(copying: name.utf8))
        }
        bench.east.environment.credentials.sharedKeys = [key("old"), key("new")]
        bench.west.environment.credentials.sharedKeys = [key(name)]
        bench.initiate()
        bench.run()
        bench.expectJoined()
    }

    // MARK: - After a refusal

    /// An IKE SA that does not exist answers nothing but the request that was refused (RFC 7296 section 2.21.2).
    @Test(arguments: [ExchangeType.informational, .createChild, .authentication])
    func afterARefusalNothingNewIsAnswered(_ exchange: ExchangeType) {
        let bench = TwoSessions()
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        let identity = IdentificationPayload(type: .fullyQualifiedDomainName, data: Array("west".utf8))
        let wrong: [Payload] = [
            .identificationInitiator(identity),
            .authentication(AuthenticationPayload(method: .sharedKey, data: [UInt8](repeating: 0, count: 32))),
        ]
        bench.injectProtected(to: bench.east, .authentication, .request, messageID: 1, wrong)
        let refusal = "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]"
        #expect(bench.trace.last == refusal)
        bench.forgetTrace()
        for number: UInt32 in [2, 3, 9] {
            bench.injectProtected(to: bench.east, exchange, .request, messageID: number, [.delete(.ikeSA)])
        }
        #expect(bench.trace == [])
        #expect(bench.east.failures.count == 1)
        bench.injectProtected(to: bench.east, .authentication, .request, messageID: 1, wrong)
        #expect(bench.trace == [refusal + " (again)"])
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
        #expect(bench.trace == ["<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]"], "it is nobody yet")
    }

    /// Who has not proved itself does not learn whether there is a connection for its identity.
    @Test(arguments: ["west", "stranger"])
    func aStrangerLearnsNothingOfConnections(_ name: String) {
        let bench = TwoSessions()
        bench.east.connections[0].childless = .force
        bench.connection.local.identity = .domainName(name)
        bench.west.environment.credentials.sharedKeys[0].secret = SecretBytes(copying: [1, 2, 3])
        bench.initiate()
        bench.run()
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]")
    }

    @Test func aConnectionThatWantsNoChildDoesNotEndTheSearch() {
        let bench = TwoSessions()
        var first = bench.east.connections[0]
        first.name = "childless"
        first.childless = .force
        bench.east.connections.insert(first, at: 0)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.session?.connection?.name == "to-west")
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
