import Packets
import Testing

@testable import IKEv2Messages

/// Bytes drawn by hand from the diagrams of RFC 7296 section 3.
enum Handwritten {
    /// HDR, SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP), N(IKEV2_FRAGMENTATION_SUPPORTED), N(SIGNATURE_HASH_ALGORITHMS)
    static let initialRequest = bytes(
        """
        0102030405060708 0000000000000000 21 20 22 08 00000000 000000e8
        22 00 005c
          02 00 002c 01 01 00 04
            03 00 000c 01 00 0014 800e0100
            03 00 0008 02 00 0006
            03 00 0008 04 00 001f
            00 00 0008 04 00 0013
          00 00 002c 02 01 00 04
            03 00 000c 01 00 000c 800e0080
            03 00 0008 03 00 000c
            03 00 0008 02 00 0005
            00 00 0008 04 00 001f
        28 00 0028 001f 0000
          2020202020202020202020202020202020202020202020202020202020202020
        29 00 0014 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf
        29 00 001c 00 00 4004 d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3
        29 00 0008 00 00 402e
        00 00 0010 00 00 402f 0002 0003 0004 0005
        """)

    /// The content of SK in an IKE_AUTH request: IDi, CERTREQ, IDr, AUTH, CP, SAi2, TSi, TSr, N(INITIAL_CONTACT).
    static let authenticationContent = bytes(
        """
        26 00 0013 02 000000 6d6f6f6e2e74657374 2e61
        24 00 0019 04 0102030405060708090a0b0c0d0e0f1011121314
        27 00 000c 01 000000 c0000201
        2f 00 000e 02 000000 aabbccddeeff
        21 00 0010 01 000000 0001 0000 0003 0000
        2c 00 002c
          00 00 0028 01 03 04 03 11223344
            03 00 000c 01 00 0014 800e0080
            03 00 0008 05 00 0000
            00 00 0008 05 00 0001
        2d 00 0018 01 000000
          07 11 0010 0035 0035 0a000000 0a0000ff
        29 00 0040 02 000000
          08 00 0028 0000 ffff 20010db8000000000000000000000000 20010db80000ffffffffffffffffffff
          07 06 0010 ffff 0000 c0a80000 c0a800ff
        00 00 0008 00 00 4000
        """)
}

@Suite("Messages written by hand")
struct HandwrittenMessageTests {
    @Test("IKE_SA_INIT request")
    func initialRequest() throws {
        let received = try ReceivedMessage(decoding: Handwritten.initialRequest)
        let message = try #require(received.plainMessage)
        #expect(
            message.header
                == IKEHeader(
                    initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0, exchange: .initial, direction: .request,
                    isFromInitiator: true, messageID: 0))
        let proposals = try #require(message.securityAssociation?.proposals)
        #expect(
            proposals == [
                Proposal(
                    number: 1, protocolID: .ike,
                    transforms: [
                        .encryption(.aesGCM16, keyLength: 256), .pseudorandomFunction(.hmacSHA384),
                        .keyExchange(.curve25519), .keyExchange(.ecp256),
                    ]),
                Proposal(
                    number: 2, protocolID: .ike,
                    transforms: [
                        .encryption(.aesCBC, keyLength: 128), .integrity(.hmacSHA256_128),
                        .pseudorandomFunction(.hmacSHA256), .keyExchange(.curve25519),
                    ]),
            ])
        #expect(proposals[0].description == "IKE:AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519/ECP_256")
        #expect(message.keyExchange?.method == .curve25519)
        #expect(message.keyExchange?.data == Array(repeating: 0x20, count: 32))
        #expect(message.nonce?.data.first == 0xA0)
        #expect(message.notify(.natDetectionSource)?.data.count == 20)
        #expect(message.has(.fragmentationSupported))
        #expect(
            message.notify(.signatureHashAlgorithms)?.signatureHashAlgorithms == [
                .sha256, .sha384, .sha512, .identity,
            ])
        #expect(try MessageRules.check(message).name == .initialRequest)
        #expect(try message.encoded() == Handwritten.initialRequest)
    }

    @Test("IKE_AUTH request")
    func authenticationRequest() throws {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .authentication, direction: .request, isFromInitiator: true,
            messageID: 1)
        let message = try Message(
            header: header, payloads: [], firstEncrypted: .identificationInitiator,
            content: Handwritten.authenticationContent, limits: .standard)
        #expect(message.identificationInitiator?.data == Array("moon.test.a".utf8))
        #expect(message.identificationInitiator?.authenticatedBytes.prefix(4) == [2, 0, 0, 0])
        #expect(message.certificateRequests.first?.authorities == [Array(1...20)])
        #expect(message.identificationResponder == IdentificationPayload(type: .ipv4, data: [192, 0, 2, 1]))
        #expect(message.authentication == AuthenticationPayload(method: .sharedKey, data: bytes("aabbccddeeff")))
        #expect(message.configuration?.attributes == [.init(.ip4Address), .init(.ip4DNS)])
        #expect(message.securityAssociation?.proposals.first?.childSPI == 0x1122_3344)
        #expect(message.securityAssociation?.proposals.first?.transforms(of: .sequenceNumbers).count == 2)
        guard case .range(let first)? = message.trafficSelectorInitiator?.selectors.first,
            case .range(let wide)? = message.trafficSelectorResponder?.selectors.first,
            case .range(let opaque)? = message.trafficSelectorResponder?.selectors.last
        else {
            Issue.record("no ranges")
            return
        }
        #expect(first.description == "10.0.0.0..10.0.0.255[17/53]")
        #expect(wide.description == "2001:db8::..2001:db8:0:ffff:ffff:ffff:ffff:ffff")
        #expect(opaque.isOpaque && !opaque.isEmpty && opaque.description.hasSuffix("[6/opaque]"))
        #expect(message.has(.initialContact))
        #expect(try MessageRules.check(message).name == .authenticationRequest)

        var writer = ByteWriter()
        try PayloadChain.encode(message.encryptedPayloads ?? [], into: &writer)
        #expect(writer.bytes == Handwritten.authenticationContent)
    }

    @Test("INFORMATIONAL: deletes, an invalid SPI outside of any IKE SA")
    func informational() throws {
        let notice = bytes(
            """
            0000000000000000 0000000000000000 29 20 25 08 00000000 00000028
            00 00 000c 00 00 000b c0ffee00
            """)
        let message = try #require(try ReceivedMessage(decoding: notice).plainMessage)
        #expect(message.notify(.invalidSPI)?.data == bytes("c0ffee00"))
        #expect(try MessageRules.check(message).name == .unprotectedNotice)

        let content = bytes("2a 00 0010 03 04 0002 11111111 22222222  00 00 0008 01 00 0000")
        let deletes = try Message(
            header: message.header, payloads: [], firstEncrypted: .delete, content: content, limits: .standard)
        #expect(deletes.deletes == [.childSAs(.esp, [0x1111_1111, 0x2222_2222]), .ikeSA])
    }

    @Test("a cookie, a wanted group, a rekeyed SPI")
    func notifies() throws {
        let response = bytes(
            """
            0102030405060708 0000000000000000 29 20 22 20 00000000 00000046
            29 00 0010 00 00 4006 0011223344556677
            29 00 000a 00 00 0011 0013
            00 00 0010 03 04 4009 deadbeef cafebabe
            """)
        let message = try #require(try ReceivedMessage(decoding: response).plainMessage)
        #expect(message.notify(.cookie)?.data.count == 8)
        #expect(message.errorNotify?.wantedKeyExchange == .ecp256)
        #expect(message.notify(.rekeySA)?.childSPI == 0xDEAD_BEEF)
        #expect(message.notify(.rekeySA)?.data == bytes("cafebabe"))
        #expect(try message.encoded() == response)
    }

    @Test("reserved fields are ignored, and sent as zero")
    func reservedFields() throws {
        var dirty = Handwritten.initialRequest
        dirty[17] = 0x2F  // minor version
        dirty[19] = 0xDF  // all flags but response
        for offset in [29, 33, 41] { dirty[offset] = 0xFF }  // SA critical and reserved, proposal, transform
        let clean = try #require(try ReceivedMessage(decoding: Handwritten.initialRequest).plainMessage)
        let message = try #require(try ReceivedMessage(decoding: dirty).plainMessage)
        #expect(message == clean)
        #expect(try message.encoded() == Handwritten.initialRequest)

        let identity = bytes("00 00 0009 02 ff00ff 61")
        var reader = ByteReader(identity, limits: .standard)
        let chain = try PayloadChain.decode(from: &reader, first: .identificationInitiator)
        guard case .identificationInitiator(let body)? = chain.payloads.first else {
            Issue.record("no IDi")
            return
        }
        #expect(body == IdentificationPayload(type: .fullyQualifiedDomainName, data: [0x61]))
        #expect(body.authenticatedBytes == bytes("02 ff00ff 61"), "AUTH covers what was sent")
    }
}
