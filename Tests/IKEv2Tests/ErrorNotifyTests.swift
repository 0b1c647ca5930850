import Cryptography
import IKEv2Messages
import Testing

@testable import IKEv2

/// What is no proper message, or not due: sections 2.3, 2.5 and 2.21 of RFC 7296.
@Suite struct ErrorNotifyTests {
    private func joined() -> TwoSessions {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        bench.expectJoined()
        bench.forgetTrace()
        return bench
    }

    /// Sets the critical bit of the first payload inside, which our own encoder never does.
    private struct CriticalCipher: MessageCipher {
        let inner: SessionCipher
        let isCritical: Bool
        var ivLength: Int { inner.ivLength }
        var icvLength: Int { inner.icvLength }
        var blockLength: Int { inner.blockLength }

        func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
            if isCritical { message[layout.ciphertext.lowerBound + 1] |= 0x80 }
            try inner.seal(&message, layout: layout)
        }

        func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
            try inner.open(&message, layout: layout)
        }
    }

    /// INFORMATIONAL with an unknown payload inside, critical or not, by the keys of the west.
    private func unknownPayload(_ bench: TwoSessions, isCritical: Bool) throws -> [UInt8] {
        let session = try #require(bench.west.session)
        let protection = try #require(session.phase.protection)
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: .informational,
            direction: .request, isFromInitiator: true, messageID: 2)
        let payload = UnknownPayload(type: PayloadType(rawValue: 99), data: [1, 2, 3])
        return try Message(header: header, encryptedPayloads: [.unknown(payload)])
            .sealed(with: CriticalCipher(inner: protection.outbound, isCritical: isCritical))
    }

    @Test func anUnknownCriticalPayloadIsNamed() throws {
        let bench = joined()
        bench.inject(try unknownPayload(bench, isCritical: true), to: bench.east)
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { N(UNSUPPORTED_CRITICAL_PAYLOAD) }]"])
        #expect(bench.east.session?.isEstablished == true)
    }

    @Test func anUnknownPayloadIsPassedOver() throws {
        let bench = joined()
        bench.inject(try unknownPayload(bench, isCritical: false), to: bench.east)
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
    }

    /// An authentic request that cannot be understood is refused, and the tunnels stay: whatever is in it.
    @Test(arguments: [
        (ExchangeType.informational, [Payload.nonce(NoncePayload([UInt8](repeating: 1, count: 16)))]),
        (.authentication, [.identificationInitiator(IdentificationPayload(type: .keyID, data: [1]))]),
        (.sessionResume, []), (ExchangeType(rawValue: 240), []),
        (.createChild, [.certificateRequest(CertificateRequestPayload(authorities: []))]),
    ])
    func aRequestThatBreaksTheRulesIsRefusedAlone(exchange: ExchangeType, payloads: [Payload]) {
        let bench = joined()
        bench.injectProtected(to: bench.east, exchange, .request, messageID: 2, payloads)
        #expect(bench.trace.count == 1 && bench.trace.last?.hasSuffix("[SK { N(INVALID_SYNTAX) }]") == true)
        #expect(bench.east.notes.contains { $0.contains("INVALID_SYNTAX") })
        bench.expectJoined()
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 3, [])
        #expect(bench.trace.last == "<-- INFORMATIONAL response 3 [SK { }]")
    }

    /// N(REKEY_SA) in a rekey of the IKE SA, and proposals with gaps in their numbers.
    @Test func aRekeyOfTheIKESAThatNamesItIsOne() throws {
        let bench = joined()
        let session = try #require(bench.east.session)
        let keyExchange = try KeyExchange.initiate(.x25519)
        var offer = IKENegotiation.offer(bench.connection.proposals, spi: 0x0102_0304_0506_0708)
        offer.proposals[0].number = 7
        bench.injectProtected(
            to: bench.east, .createChild, .request, messageID: 2,
            [
                .notify(NotifyPayload(.rekeySA)), .securityAssociation(offer), .nonce(NoncePayload(nonce(9))),
                .keyExchange(keyExchange.payload),
            ])
        #expect(bench.trace == ["<-- CREATE_CHILD_SA response 2 [SK { SA Nr KEr }]"])
        #expect(session.children.isEmpty && bench.east.session?.children.count == 1)
    }

    /// What an answer to INFORMATIONAL says is of no interest: it came.
    @Test func anAnswerWithNonsenseIsOne() {
        let bench = joined()
        bench.network.isCut = true
        if let session = bench.west.session {
            bench.west.perform(session) { $0.probe(environment: bench.west.environment) }
        }
        bench.injectProtected(
            to: bench.west, .informational, .response, messageID: 2,
            [.nonce(NoncePayload([UInt8](repeating: 1, count: 16)))])
        bench.expectJoined()
        #expect(bench.west.session?.window.outstanding == nil)
    }

    @Test func aResponseThatIsNoneEndsTheIKESA() {
        let bench = joined()
        bench.network.isCut = true
        bench.rekeyIKE(bench.west)
        bench.injectProtected(
            to: bench.west, .createChild, .response, messageID: 2,
            [.certificateRequest(CertificateRequestPayload(authorities: []))])
        #expect(bench.west.sessions.isEmpty)
        #expect(bench.west.inbound.isEmpty)
    }

    /// The peer believes in the IKE SA, and is told that it is gone (section 2.21.3).
    @Test func aResponseThatIsNoneIsFollowedByADelete() {
        let bench = joined()
        bench.network.isCut = true
        bench.rekeyIKE(bench.west)
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 2, [])
        bench.network.isCut = false
        bench.forgetTrace()
        bench.injectProtected(
            to: bench.west, .createChild, .response, messageID: 2,
            [.certificateRequest(CertificateRequestPayload(authorities: []))])
        bench.run()
        #expect(bench.trace.first == "INFORMATIONAL request 3 [SK { D(IKE) }] -->")
        bench.expectNothingLeft()
    }

    // MARK: - Message ids

    /// The window is one: a request further on is answered by a notify of our own, at most once in ten seconds.
    @Test func aRequestBeyondTheWindow() {
        let bench = joined()
        for messageID: UInt32 in [3, 9, .max] {
            bench.injectProtected(to: bench.east, .informational, .request, messageID: messageID, [])
        }
        #expect(bench.trace == ["<-- INFORMATIONAL request 0 [SK { N(INVALID_MESSAGE_ID) }]"])
        bench.run()
        bench.expectJoined()
        bench.pass(seconds: 10)
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 9, [])
        #expect(bench.trace.last == "<-- INFORMATIONAL request 1 [SK { N(INVALID_MESSAGE_ID) }]")
    }

    @Test func anOldRequestIsIgnored() {
        let bench = joined()
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 2, [])
        bench.forgetTrace()
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 1, [])
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 0, [])
        #expect(bench.trace.isEmpty)
    }

    @Test func anAnswerThatNobodyWaitsForIsIgnored() {
        let bench = joined()
        let events = bench.west.events.count
        for messageID: UInt32 in 0...5 {
            bench.injectProtected(to: bench.west, .informational, .response, messageID: messageID, [])
        }
        #expect(bench.trace.isEmpty)
        #expect(bench.west.events.count == events)
    }

    /// The flags say who sent it: our own message does not come back to us (section 3.1).
    @Test func aReflectedMessageIsIgnored() throws {
        let bench = joined()
        if let session = bench.west.session {
            bench.west.perform(session) { $0.probe(environment: bench.west.environment) }
        }
        bench.forgetTrace()
        let request = try #require(bench.datagrams.last)
        let reflected = try ReceivedMessage(decoding: request)
        bench.west.perform(try #require(bench.west.session)) {
            $0.receive(reflected, path: bench.path, environment: bench.west.environment)
        }
        #expect(bench.trace.isEmpty)
        bench.run()
        bench.expectJoined()
    }

    // MARK: - Forgeries

    @Test func aForgedMessageChangesNothing() throws {
        let bench = joined()
        for position in [30, 40, 50] {
            var bytes = try #require(bench.datagrams.last { $0[18] == 35 })
            bytes[23] = 2
            bytes[position] ^= 1
            bench.inject(bytes, to: bench.east)
        }
        #expect(bench.trace.isEmpty)
        bench.expectJoined()
    }

    /// A repetition is answered only when it is authentic.
    @Test func aForgedRepetitionGetsNoAnswer() throws {
        let bench = joined()
        var bytes = try #require(bench.datagrams.last { $0[18] == 35 && $0[19] & 0x20 == 0 })
        bench.inject(bytes, to: bench.east)
        #expect(bench.trace.count == 1)
        bytes[60] ^= 1
        bench.inject(bytes, to: bench.east)
        #expect(bench.trace.count == 1)
    }

    /// Whoever says INVALID_IKE_SPI without keys makes us ask the peer, seldom (section 2.21.4).
    @Test func anUnprotectedErrorIsAHint() {
        let bench = joined()
        for _ in 1...5 {
            bench.injectPlain(
                to: bench.west, .informational, .request, messageID: 0, [.notify(NotifyPayload(.invalidIKESPI))])
            bench.run()
        }
        #expect(
            bench.trace == ["INFORMATIONAL request 2 [SK { }] -->", "<-- INFORMATIONAL response 2 [SK { }]"])
        bench.expectJoined()
    }

    @Test(arguments: [NotifyType.authenticationFailed, .invalidSyntax, .invalidIKESPI, .noProposalChosen])
    func anUnprotectedAnswerToIKEAUTHIsNotBelieved(type: NotifyType) {
        let bench = TwoSessions()
        bench.network.faults[3] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        bench.injectPlain(to: bench.west, .authentication, .response, messageID: 1, [.notify(NotifyPayload(type))])
        bench.run()
        bench.expectJoined()
    }
}
