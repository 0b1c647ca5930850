import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// IKE_SA_INIT (RFC 7296 sections 1.2, 2.6, 2.7, 2.21.1).
@Suite struct InitialExchangeTests {
    static let notifies =
        "N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(IKEV2_FRAGMENTATION_SUPPORTED) "
        + "N(SIGNATURE_HASH_ALGORITHMS)"

    @Test func anIKESAWithAChildTakesFourMessages() {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        #expect(
            bench.trace == [
                "IKE_SA_INIT request 0 [SA KEi Ni \(Self.notifies)] -->",
                "<-- IKE_SA_INIT response 0 [SA KEr Nr \(Self.notifies) N(CHILDLESS_IKEV2_SUPPORTED)]",
                "IKE_AUTH request 1 [SK { IDi N(INITIAL_CONTACT) IDr AUTH SA TSi TSr }] -->",
                "<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]",
            ])
        bench.expectJoined()
        #expect(bench.east.established == [true])
        #expect(bench.west.log == ["send", "send", "installInbound", "installOutbound"])
        #expect(bench.east.log == ["send", "installInbound", "send", "installOutbound"])
        // One line of keys for the IKE SA and one for each direction of the child, the same at both ends.
        #expect(bench.west.environment.keyLog.count == 3)
        #expect(bench.east.environment.keyLog.count == 3)
    }

    @Test func overIPv6() {
        let bench = TwoSessions(family: .ipv6)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.session?.nat.isEncapsulated == false)
    }

    @Test func aCookieIsBroughtBack() {
        let bench = TwoSessions()
        bench.east.cookie = Array(1...20)
        bench.initiate()
        bench.run()
        #expect(
            bench.trace.prefix(3) == [
                "IKE_SA_INIT request 0 [SA KEi Ni \(Self.notifies)] -->", "<-- IKE_SA_INIT response 0 [N(COOKIE)]",
                "IKE_SA_INIT request 0 [N(COOKIE) SA KEi Ni \(Self.notifies)] -->",
            ])
        // Section 2.6: the rest of the message stays as it was.
        let requests = bench.datagrams.compactMap { try? ReceivedMessage(decoding: $0).plainMessage }
            .filter { $0.header.exchange == .initial && $0.header.direction == .request }
        #expect(requests.count == 2)
        #expect(requests.first?.nonce == requests.last?.nonce)
        #expect(requests.first?.keyExchange == requests.last?.keyExchange)
        #expect(requests.first?.header == requests.last?.header)
        bench.expectJoined()
    }

    /// A peer that asks for another cookie each time does not keep us busy for ever.
    @Test func cookiesAreGivenInToForSoLong() {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        for number: UInt8 in 1...20 {
            bench.injectPlain(
                to: bench.west, .initial, .response, messageID: 0, [.notify(NotifyPayload(.cookie, data: [number]))])
        }
        #expect(bench.trace.count == 1 + InitialExchange.maximumRestarts)
    }

    @Test(arguments: [0, 65])
    func aCookieOfAWrongLengthIsIgnored(count: Int) {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        bench.injectPlain(
            to: bench.west, .initial, .response, messageID: 0,
            [.notify(NotifyPayload(.cookie, data: [UInt8](repeating: 1, count: count)))])
        #expect(bench.trace.count == 1)
    }

    @Test func anotherGroupIsTakenWhenThePeerWantsIt() {
        let bench = TwoSessions()
        bench.east.connections[0].proposals[0].keyExchanges = [.ecp256]
        bench.initiate()
        bench.run()
        #expect(bench.trace[1] == "<-- IKE_SA_INIT response 0 [N(INVALID_KE_PAYLOAD)]")
        #expect(bench.west.session?.phase.protection?.selected.keyExchange == .ecp256)
        bench.expectJoined()
    }

    @Test func cookieAndGroupTogether() {
        let bench = TwoSessions()
        bench.east.cookie = [1, 2, 3]
        bench.east.connections[0].proposals[0].keyExchanges = [.ecp256]
        bench.initiate()
        bench.run()
        #expect(
            bench.trace.prefix(6).map { $0.contains("COOKIE") } == [false, true, true, false, true, false],
            "the cookie stays in the request with another group")
        bench.expectJoined()
    }

    /// INVALID_KE_PAYLOAD for a group that we never offered is no reason to use it (section 1.2).
    @Test func aGroupThatWasNotOfferedIsNotTaken() {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        bench.injectPlain(
            to: bench.west, .initial, .response, messageID: 0,
            [.notify(.invalidKeyExchange(wanted: .modp1024))])
        #expect(bench.trace.count == 1)
        #expect(bench.west.session != nil)
    }

    /// Nobody vouches for an error here, so it is believed when it is said twice (section 2.21.1).
    @Test func noCommonProposalIsExplainedAtBothEnds() {
        let bench = TwoSessions()
        bench.east.connections[0].proposals[0].encryption = [.aesGCM16(keyBits: 256)]
        bench.initiate()
        bench.run()
        #expect(
            bench.trace.map { $0.contains("again") ? "again" : "first" } == ["first", "first", "again", "first"])
        #expect(bench.trace[1] == "<-- IKE_SA_INIT response 0 [N(NO_PROPOSAL_CHOSEN)]")
        bench.expectNothingLeft()
        #expect(bench.west.failures.count == 1)
        #expect(bench.east.failures.count == 2)
        #expect(bench.east.failures.first?.description.contains("aes256gcm16") == true)
        #expect(bench.east.failures.first?.remedy.contains("connections.to-west.proposals") == true)
        #expect(bench.west.failures.first?.remedy.contains("connections.to-east.proposals") == true)
    }

    @Test func aForgedRefusalAloneDoesNoHarm() {
        let bench = TwoSessions()
        bench.initiate()
        bench.injectPlain(
            to: bench.west, .initial, .response, messageID: 0, [.notify(NotifyPayload(.noProposalChosen))])
        bench.run()
        bench.expectJoined()
    }

    @Test func noConnectionForThePeer() {
        let bench = TwoSessions()
        bench.east.connections = []
        bench.initiate()
        bench.run()
        bench.expectNothingLeft()
        #expect(bench.east.failures.first?.what == "no connection is for these addresses")
    }

    /// The first that has something in common with the peer; one with other algorithms is left out.
    @Test func connectionsAreTriedInOrder() {
        let bench = TwoSessions()
        var other = bench.east.connections[0]
        other.name = "other"
        other.proposals[0].encryption = [.aesGCM16(keyBits: 256)]
        bench.east.connections.insert(other, at: 0)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.session?.connection?.name == "to-west")
    }

    /// A point of small order, or one that is not on the curve, is refused (RFC 8031 section 4.2, RFC 6989).
    @Test func anInvalidPublicValueIsRefused() throws {
        let bench = TwoSessions()
        bench.initiate()
        var request = try #require(try ReceivedMessage(decoding: bench.datagrams[0]).plainMessage)
        request.header.initiatorSPI ^= 1
        request.payloads = request.payloads.map { payload in
            guard case .keyExchange(let body) = payload else { return payload }
            return .keyExchange(KeyExchangePayload(method: body.method, data: [UInt8](repeating: 0, count: 32)))
        }
        bench.forgetTrace()
        bench.inject(try request.encoded(), to: bench.east)
        #expect(bench.trace == ["<-- IKE_SA_INIT response 0 [N(INVALID_SYNTAX)]"])
        #expect(bench.east.sessions.isEmpty)
    }

    /// Payloads that break the rules: no session, and an answer that says so.
    @Test func aRequestWithoutANonceIsRefused() throws {
        let bench = TwoSessions()
        bench.initiate()
        var request = try #require(try ReceivedMessage(decoding: bench.datagrams[0]).plainMessage)
        request.header.initiatorSPI ^= 1
        request.payloads.removeAll { $0.type == .nonce }
        bench.forgetTrace()
        bench.inject(try request.encoded(), to: bench.east)
        #expect(bench.trace == ["<-- IKE_SA_INIT response 0 [N(INVALID_SYNTAX)]"])
        #expect(bench.east.sessions.isEmpty)
    }

    /// AUTH covers IKE_SA_INIT: the answer that was signed is another than the one that came (section 2.15).
    @Test func whatIsChangedOnTheWayIsNoticed() {
        let bench = TwoSessions()
        bench.tamper = { bytes, number in
            guard number == 2, var message = try? ReceivedMessage(decoding: bytes).plainMessage else { return bytes }
            message.payloads.append(.notify(NotifyPayload(NotifyType(rawValue: 40_000), data: [1, 2])))
            message.payloads.append(.vendorID(VendorIDPayload([1, 2, 3])))
            return try? message.encoded()
        }
        bench.initiate()
        bench.run()
        #expect(bench.west.failures.count == 1)
        #expect(bench.west.failures.first?.what.hasPrefix("authentication failed") == true)
        #expect(
            bench.trace.suffix(2) == [
                "INFORMATIONAL request 2 [SK { N(AUTHENTICATION_FAILED) }] -->",
                "<-- INFORMATIONAL response 2 [SK { }]",
            ])
        #expect(bench.east.closed.count == 1)
    }

    /// A half-open session is given up in time.
    @Test func aPeerThatDoesNotGoOnIsForgotten() {
        let bench = TwoSessions()
        bench.network.faults = [3: .lost, 4: .lost, 5: .lost, 6: .lost, 7: .lost, 8: .lost]
        bench.initiate()
        bench.run()
        bench.pass(seconds: 40)
        bench.expectNothingLeft()
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
        #expect(bench.east.closed.map(\.reason) == [.halfOpenTimeout])
    }
}
