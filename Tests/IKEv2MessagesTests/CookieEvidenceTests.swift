import IKEv2Messages
import Testing

@Suite struct CookieEvidenceTests {
    private func request(_ payloads: [Payload]) throws -> [UInt8] {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 0, exchange: .initial, direction: .request, isFromInitiator: true,
            messageID: 0)
        return try Message(header: header, payloads: payloads).encoded()
    }

    private let nonce = (0..<32).map { UInt8($0) }
    private var value: Payload {
        .keyExchange(KeyExchangePayload(method: .curve25519, data: [UInt8](repeating: 9, count: 32)))
    }

    @Test func findsNonceAndCookieInTheirPlaces() throws {
        let cookie = Payload.notify(NotifyPayload(.cookie, data: [1, 2, 3]))
        let other = Payload.notify(NotifyPayload(.natDetectionSource, data: [4]))
        let cases: [(payloads: [Payload], cookie: [UInt8]?)] = [
            ([value, .nonce(NoncePayload(nonce))], nil), ([cookie, value, .nonce(NoncePayload(nonce))], [1, 2, 3]),
            ([value, cookie, .nonce(NoncePayload(nonce))], nil), ([other, .nonce(NoncePayload(nonce)), cookie], nil),
        ]
        for (number, item) in cases.enumerated() {
            let evidence = CookieEvidence(initialRequest: try request(item.payloads))
            #expect(evidence?.nonce == nonce, "\(number)")
            #expect(evidence?.cookie == item.cookie, "\(number)")
        }
    }

    @Test func whatHasNoNonceIsNoEvidence() throws {
        #expect(CookieEvidence(initialRequest: try request([value])) == nil)
        let many = (0..<100).map { _ in Payload.notify(NotifyPayload(.natDetectionSource, data: [4])) }
        #expect(CookieEvidence(initialRequest: try request(many + [.nonce(NoncePayload(nonce))])) == nil)
    }

    /// Cut anywhere, and with every byte changed, it is read within its bounds.
    @Test func takesAnyBytes() throws {
        let cookie = Payload.notify(NotifyPayload(.cookie, data: [1, 2, 3]))
        let whole = try request([cookie, value, .nonce(NoncePayload(nonce))])
        for length in 0..<whole.count { #expect(CookieEvidence(initialRequest: Array(whole.prefix(length))) == nil) }
        for index in whole.indices {
            for change in [0x01, 0x80, 0xff] as [UInt8] {
                var bytes = whole
                bytes[index] ^= change
                _ = CookieEvidence(initialRequest: bytes)
            }
        }
    }
}
