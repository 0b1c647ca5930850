import Packets
import Testing

@testable import IKEv2Messages

@Suite("What a log says")
struct DescriptionTests {
    @Test("a message in one line")
    func lines() throws {
        let initial = try ReceivedMessage(decoding: Handwritten.initialRequest)
        let plain = try #require(initial.plainMessage)
        #expect(
            MessageLine(plain, way: .sent, peer: "192.0.2.1:500", bytes: 232, retransmission: 2).description
                == "sent IKE_SA_INIT request 0 to 192.0.2.1:500, 232 bytes, retransmission 2: SA KEi Ni "
                + "N(NAT_DETECTION_SOURCE_IP) N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS)")
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .createChild, direction: .response, isFromInitiator: false,
            messageID: 9)
        let message = Message(
            header: header,
            encryptedPayloads: [
                .nonce(NoncePayload(Array(repeating: 0, count: 16))), .delete(.childSAs(.esp, [1, 2])),
                .delete(.ikeSA), .notify(NotifyPayload(NotifyType(rawValue: 50_000))),
                .configuration(ConfigurationPayload(type: .reply)),
                .unknown(UnknownPayload(type: .puzzleSolution, data: [])),
            ])
        #expect(
            MessageLine(message, way: .received, peer: "[2001:db8::1]:4500", bytes: 700, fragments: 3).description
                == "received CREATE_CHILD_SA response 9 from [2001:db8::1]:4500, 700 bytes in 3 fragments: "
                + "SK { Nr D(ESP × 2) D(IKE) N(notify 50000) CP(CFG_REPLY) unknown(PS) }")
        let cipher = SampleCipher.combined()
        let sealed = try ReceivedMessage(decoding: try message.sealed(with: cipher))
        #expect(MessageLine(sealed, peer: "p").description.hasSuffix(" bytes: SK {…}"))
        let parts = try message.sealed(with: cipher, maximumLength: 100)
        let part = try ReceivedMessage(decoding: parts[1])
        #expect(part.contentsLine == "SKF 2/\(parts.count) {…}")
        #expect(Message(header: header).contentsLine == "empty")
    }

    @Test("a decoding failure says what, where and in which payload")
    func failures() {
        let failure = DecodingFailure(
            .truncated(needed: 4, available: 1), offset: 12, payload: .nonce, isInsideEncrypted: true)
        #expect(failure.description == "payload Nonce, decrypted byte 12: 4 bytes needed, 1 there")
    }

    /// From the RFC texts: type, name.
    @Test(
        arguments: [
            (1, "UNSUPPORTED_CRITICAL_PAYLOAD"), (14, "NO_PROPOSAL_CHOSEN"), (17, "INVALID_KE_PAYLOAD"),
            (24, "AUTHENTICATION_FAILED"), (38, "TS_UNACCEPTABLE"), (40, "UNACCEPTABLE_ADDRESSES"),
            (43, "TEMPORARY_FAILURE"), (44, "CHILD_SA_NOT_FOUND"), (47, "STATE_NOT_FOUND"), (48, "TS_MAX_QUEUE"),
            (16384, "INITIAL_CONTACT"), (16390, "COOKIE"), (16393, "REKEY_SA"), (16396, "MOBIKE_SUPPORTED"),
            (16400, "UPDATE_SA_ADDRESSES"), (16402, "NO_NATS_ALLOWED"), (16403, "AUTH_LIFETIME"),
            (16407, "REDIRECT"), (16413, "TICKET_OPAQUE"), (16417, "EAP_ONLY_AUTHENTICATION"),
            (16418, "CHILDLESS_IKEV2_SUPPORTED"), (16419, "QUICK_CRASH_DETECTION"), (16422, "IKEV2_MESSAGE_ID_SYNC"),
            (16430, "IKEV2_FRAGMENTATION_SUPPORTED"), (16431, "SIGNATURE_HASH_ALGORITHMS"), (16434, "PUZZLE"),
            (16437, "NO_PPK_AUTH"), (16438, "INTERMEDIATE_EXCHANGE_SUPPORTED"), (16441, "ADDITIONAL_KEY_EXCHANGE"),
            (16442, "USE_AGGFRAG"), (16443, "SUPPORTED_AUTH_METHODS"), (16444, "SA_RESOURCE_INFO"),
        ] as [(UInt16, String)])
    func notifyNames(number: UInt16, name: String) {
        let type = NotifyType(rawValue: number)
        #expect(type.name == name)
        #expect(type.isError == (number < 16384))
    }

    @Test("every name is given once, in every registry")
    func names() {
        func distinct<Registry: Codepoint>(_: Registry.Type) {
            #expect(Set(Registry.names.values).count == Registry.names.count, "\(Registry.self)")
        }
        distinct(NotifyType.self)
        distinct(PayloadType.self)
        distinct(ExchangeType.self)
        distinct(TransformType.self)
        distinct(EncryptionAlgorithm.self)
        distinct(PseudorandomFunction.self)
        distinct(IntegrityAlgorithm.self)
        distinct(KeyExchangeID.self)
        distinct(AuthenticationMethod.self)
        distinct(HashAlgorithm.self)
        distinct(IdentificationType.self)
        distinct(CertificateEncoding.self)
        distinct(ConfigurationAttributeType.self)
        #expect(TransformType(rawValue: 12).description == "ADDKE7")
        #expect(EncryptionAlgorithm(rawValue: 999).description == "encryption 999")
        // Status types are assigned without a gap up to here.
        #expect((16384...16444).allSatisfy { NotifyType(rawValue: $0).name != nil })
    }

    @Test("transforms: key lengths and attributes")
    func transforms() {
        let transform = Transform.encryption(.aesCBC, keyLength: 256)
        #expect(transform.description == "AES_CBC-256" && transform.keyLength == 256)
        #expect(transform.hasOnlyKnownAttributes && Transform.integrity(.none).hasOnlyKnownAttributes)
        let twice = Transform(type: .encryption, id: 12, attributes: [.keyLength(128), .keyLength(256)])
        let strange = Transform(
            type: .encryption, id: 12, attributes: [.init(type: .init(rawValue: 15), value: .short(1))])
        #expect(!twice.hasOnlyKnownAttributes && !strange.hasOnlyKnownAttributes)
        #expect(EncryptionAlgorithm.aesGCM16.isAuthenticated && !EncryptionAlgorithm.aesCBC.isAuthenticated)
        #expect(EncryptionAlgorithm.chaCha20Poly1305.keyLengthRule == .forbidden)
    }

    @Test("structured data of payloads")
    func structures() {
        let signature = AuthenticationPayload(algorithmIdentifier: [1, 2, 3], signature: [4, 5])
        #expect(signature?.data == [3, 1, 2, 3, 4, 5])
        #expect(signature?.digitalSignature?.algorithmIdentifier == [1, 2, 3])
        #expect(signature?.digitalSignature?.signature == [4, 5])
        for short in [[], [1], [3, 1, 2]] as [[UInt8]] {
            #expect(AuthenticationPayload(method: .digitalSignature, data: short).digitalSignature == nil)
        }
        #expect(AuthenticationPayload(algorithmIdentifier: Array(repeating: 0, count: 256), signature: []) == nil)
        #expect(NotifyPayload.windowSize(5).windowSize == 5)
        #expect(NotifyPayload.invalidMessageID(0x0102_0304).data == [1, 2, 3, 4])
        #expect(NotifyPayload(.invalidKeyExchange, data: [1]).wantedKeyExchange == nil)
        let sync = NotifyPayload.MessageIDSync(nonce: 1, expectedSendRequest: 2, expectedReceiveRequest: .max)
        #expect(NotifyPayload.messageIDSync(sync).messageIDSync == sync)
        for text in ["192.0.2.1", "2001:db8::1"] {
            let address = IPAddress(text)
            #expect(address.map { NotifyPayload.additionalAddress($0).additionalAddress } == address)
        }
        #expect(NotifyPayload(.additionalIP4Address, data: [1, 2, 3]).additionalAddress == nil)
        #expect(CertificateRequestPayload(encoding: .x509Signature, data: [1]).authorities == nil)
        let mixed = AddressRangeSelector(
            firstAddress: IPAddress(ipv4: 1), lastAddress: IPAddress(ipv6High: 0, low: 1))
        #expect(mixed == nil)
    }
}
