import Testing

@testable import IKEv2Messages

@Suite("What is encoded decodes to the same")
struct RoundTripTests {
    @Test("each payload by itself", arguments: 0..<16)
    func payload(kind: Int) throws {
        var generator = SeededGenerator(seed: kind)
        for _ in 0..<200 {
            let payload = generator.payload(kind: kind)
            var writer = ByteWriter()
            try PayloadChain.encode([payload], into: &writer)
            var reader = ByteReader(writer.bytes, limits: .standard)
            let chain = try PayloadChain.decode(from: &reader, first: payload.type)
            #expect(chain.payloads == [payload])
            #expect(chain.encrypted == nil)
        }
    }

    @Test("messages in the clear", arguments: 0..<8)
    func plainMessages(seed: Int) throws {
        var generator = SeededGenerator(seed: 100 + seed)
        for _ in 0..<100 {
            let message = Message(header: generator.header(), payloads: generator.payloads())
            let encoded = try message.encoded()
            let received = try ReceivedMessage(decoding: encoded)
            #expect(received.plainMessage == message)
            #expect(received.bytes == encoded)
            #expect(try received.plainMessage?.encoded() == encoded)
        }
    }

    @Test("protected messages", arguments: 0..<8)
    func protectedMessages(seed: Int) throws {
        var generator = SeededGenerator(seed: 200 + seed)
        for cipher in [SampleCipher.combined(), .block()] {
            for _ in 0..<50 {
                let message = Message(
                    header: generator.header(), payloads: generator.payloads(0...2),
                    encryptedPayloads: generator.payloads())
                let received = try ReceivedMessage(decoding: try message.sealed(with: cipher))
                #expect(received.plainMessage == nil)
                #expect(try received.open(with: cipher) == message)
            }
        }
    }

    @Test("fragmented messages", arguments: 0..<8)
    func fragmentedMessages(seed: Int) throws {
        var generator = SeededGenerator(seed: 300 + seed)
        for cipher in [SampleCipher.combined(), .block()] {
            for _ in 0..<30 {
                let message = Message(header: generator.header(), encryptedPayloads: generator.payloads())
                let limit = Int.random(in: 100...600, using: &generator)
                var datagrams = try message.sealed(with: cipher, maximumLength: limit)
                #expect(datagrams.allSatisfy { $0.count <= limit })
                datagrams.shuffle(using: &generator)
                #expect(try opened(datagrams, cipher) == message)
            }
        }
    }

    private func opened(_ datagrams: [[UInt8]], _ cipher: SampleCipher) throws -> Message? {
        var reassembler = FragmentReassembler()
        for datagram in datagrams {
            let received = try ReceivedMessage(decoding: datagram)
            if received.encrypted?.fragment == nil { return try received.open(with: cipher) }
            if case .complete(let content) = reassembler.receive(received, cipher: cipher) {
                #expect(reassembler.storedBytes == 0)
                return try content.message()
            }
        }
        return nil
    }

    @Test("a message to be encrypted is not sent in the clear")
    func notInTheClear() {
        var generator = SeededGenerator(seed: 1)
        let message = Message(header: generator.header(), encryptedPayloads: [])
        #expect(throws: EncodingFailure.self) { try message.encoded() }
    }

    @Test("what does not fit into its field is refused")
    func tooLong() {
        var generator = SeededGenerator(seed: 2)
        let transform = Transform.keyExchange(.curve25519)
        let proposal = Proposal(
            number: 1, protocolID: .ike, transforms: Array(repeating: transform, count: 256))
        let refused: [Payload] = [
            .certificate(CertificatePayload(encoding: .x509Signature, data: Array(repeating: 0, count: 65_531))),
            .nonce(NoncePayload([1])), .securityAssociation(SecurityAssociationPayload([])),
            .securityAssociation(SecurityAssociationPayload([proposal])), .trafficSelectorInitiator(.init([])),
            .notify(NotifyPayload(.cookie, protocolID: .esp, spi: Array(repeating: 0, count: 256))),
        ]
        for payload in refused {
            let message = Message(header: generator.header(), payloads: [payload])
            #expect(throws: EncodingFailure.self) { try message.encoded() }
        }
    }
}
