import Testing

@testable import IKEv2Messages

@Suite("The Encrypted payload around a cipher")
struct ProtectionTests {
    private static let header = IKEHeader(
        initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request, isFromInitiator: true,
        messageID: 7)

    /// Remembers where it was told to work, and encrypts nothing.
    final class Recorder: MessageCipher {
        let ivLength = 8
        let icvLength = 16
        let blockLength: Int
        var layouts: [EncryptedLayout] = []

        init(blockLength: Int) { self.blockLength = blockLength }

        func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
            layouts.append(layout)
        }

        func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
            layouts.append(layout)
        }
    }

    @Test("the layout of SK: RFC 7296 section 3.14, RFC 5282 section 5.1")
    func layout() throws {
        let recorder = Recorder(blockLength: 1)
        let message = Message(
            header: Self.header, payloads: [.vendorID(VendorIDPayload([9, 9]))],
            encryptedPayloads: [.delete(.ikeSA)])
        let sealed = try message.sealed(with: recorder)
        let expected = bytes(
            """
            0000000000000001 0000000000000002 2b 20 25 08 00000007 00000047
            2e 00 0006 0909
            2a 00 0025
              0000000000000000
              00 00 0008 01 00 0000
              00
              00000000000000000000000000000000
            """)
        #expect(sealed == expected)
        #expect(try ReceivedMessage(decoding: sealed).open(with: recorder) == message)
        #expect(recorder.layouts.count == 2)
        for layout in recorder.layouts {
            // IKE header 28, vendor ID 6, generic header 4.
            #expect(layout.associatedData == 0..<38)
            #expect(layout.initializationVector == 38..<46)
            #expect(layout.ciphertext == 46..<55)
            #expect(layout.checksum == 55..<71)
            #expect(layout.integrityInput == 0..<55)
        }
    }

    @Test("the layout of SKF: the fragment numbers are authenticated")
    func fragmentLayout() throws {
        let recorder = Recorder(blockLength: 1)
        let message = Message(header: Self.header, encryptedPayloads: [.vendorID(VendorIDPayload([1, 2, 3, 4, 5, 6]))])
        let datagrams = try message.sealed(with: recorder, maximumLength: 66)
        #expect(
            datagrams
                == [
                    bytes(
                        """
                        0000000000000001 0000000000000002 35 20 25 08 00000007 00000042
                        2b 00 0026 0001 0002 0000000000000000 0000000a01 00 00000000000000000000000000000000
                        """),
                    bytes(
                        """
                        0000000000000001 0000000000000002 35 20 25 08 00000007 00000042
                        00 00 0026 0002 0002 0000000000000000 0203040506 00 00000000000000000000000000000000
                        """),
                ].map { Array($0) })
        #expect(recorder.layouts.allSatisfy { $0.associatedData == 0..<36 })
    }

    @Test("padding fills whole blocks, no more", arguments: 0..<40)
    func padding(size: Int) throws {
        let cipher = SampleCipher.block()
        let message = Message(
            header: Self.header,
            encryptedPayloads: [.vendorID(VendorIDPayload(Array(repeating: 1, count: size)))])
        let sealed = try message.sealed(with: cipher)
        let ciphertext = sealed.count - 28 - 4 - 32
        #expect(ciphertext.isMultiple(of: 16))
        #expect(ciphertext - (4 + size + 1) < 16)
        #expect(try ReceivedMessage(decoding: sealed).open(with: cipher) == message)
    }

    @Test("an empty Encrypted payload: a liveness check")
    func empty() throws {
        for cipher in [SampleCipher.combined(), .block()] {
            let message = Message(header: Self.header, encryptedPayloads: [])
            let received = try ReceivedMessage(decoding: try message.sealed(with: cipher))
            #expect(received.encrypted?.firstPayload == PayloadType.none)
            #expect(try received.open(with: cipher) == message)
        }
    }

    @Test("every byte is authenticated")
    func tampering() throws {
        let message = Message(header: Self.header, encryptedPayloads: [.delete(.childSAs(.esp, [1, 2]))])
        for cipher in [SampleCipher.combined(), .block()] {
            let sealed = try message.sealed(with: cipher)
            for offset in sealed.indices {
                var damaged = sealed
                damaged[offset] ^= 0x01
                // The version, lengths and types fail before the checksum.
                guard let received = try? ReceivedMessage(decoding: damaged), received.encrypted != nil else {
                    continue
                }
                #expect(throws: OpeningFailure.protection(.integrity), "byte \(offset)") {
                    try received.open(with: cipher)
                }
            }
        }
    }

    /// A message with SK whose decrypted content, pad length included, is `plaintext`.
    private func message(plaintext: [UInt8], first: PayloadType, block: Int) throws -> ReceivedMessage {
        var writer = ByteWriter()
        Self.header.encode(into: &writer, firstPayload: .encrypted)
        writer.append(first.rawValue)
        writer.append(zeros: 1)
        writer.append(UInt16(4 + 8 + plaintext.count + 16))
        writer.append(zeros: 8)
        writer.append(plaintext)
        writer.append(zeros: 16)
        writer.patch(UInt32(writer.count), at: IKEHeader.lengthOffset)
        return try ReceivedMessage(decoding: writer.bytes)
    }

    @Test("more padding than needed, of any bytes, is accepted")
    func generousPadding() throws {
        let padded = try message(
            plaintext: bytes("00 00 0005 aa") + Array(repeating: 0xEE, count: 250) + [250], first: .vendorID, block: 1)
        #expect(
            try padded.open(with: Recorder(blockLength: 1)).encryptedPayloads == [.vendorID(VendorIDPayload([0xAA]))])
    }

    @Test("failures that only the sender can cause")
    func senderFailures() throws {
        let recorder = Recorder(blockLength: 16)
        let whole = try message(plaintext: Array(repeating: 16, count: 16), first: .none, block: 16)
        #expect(throws: OpeningFailure.protection(.padding)) { try whole.open(with: recorder) }
        let odd = try message(plaintext: Array(repeating: 0, count: 15), first: .none, block: 16)
        #expect(throws: OpeningFailure.protection(.incompleteBlock)) { try odd.open(with: recorder) }
        let short = try message(plaintext: [], first: .none, block: 16)
        #expect(throws: OpeningFailure.protection(.tooShort)) { try short.open(with: recorder) }
        #expect(recorder.layouts.count == 1, "the cipher never sees a wrong shape")

        // Padding that is not counted right is passed over.
        let stray = try message(plaintext: [1, 0], first: .none, block: 1)
        #expect(try stray.open(with: Recorder(blockLength: 1)).encryptedPayloads == [])
        let critical = try message(plaintext: bytes("00 80 0004 00"), first: .init(rawValue: 99), block: 1)
        #expect(
            throws: OpeningFailure.decoding(
                .init(
                    .unsupportedCriticalPayload(.init(rawValue: 99)), offset: 0, payload: .init(rawValue: 99),
                    isInsideEncrypted: true))
        ) { try critical.open(with: Recorder(blockLength: 1)) }
    }

    @Test("nothing to open")
    func notEncrypted() throws {
        let plain = try ReceivedMessage(decoding: Handwritten.initialRequest)
        #expect(throws: OpeningFailure.protection(.notEncrypted)) { try plain.open(with: SampleCipher.combined()) }
        #expect(throws: ProtectionFailure.notEncrypted) { try plain.openContent(with: SampleCipher.combined()) }
    }
}
