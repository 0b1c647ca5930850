import Testing

@testable import IKEv2Messages

@Suite("Malformed messages are refused, with the place")
struct MalformedMessageTests {
    private func decode(_ type: PayloadType, _ hexadecimal: String) throws(DecodingFailure) -> [Payload] {
        var reader = ByteReader(bytes(hexadecimal), limits: .standard)
        return try PayloadChain.decode(from: &reader, first: type).payloads
    }

    struct Sample: CustomTestStringConvertible {
        let type: PayloadType
        let text: String
        let problem: DecodingFailure.Problem
        let offset: Int
        var testDescription: String { "\(type): \(text)" }

        init(_ type: PayloadType, _ text: String, _ problem: DecodingFailure.Problem, at offset: Int) {
            self.type = type
            self.text = text
            self.problem = problem
            self.offset = offset
        }
    }

    @Test(arguments: [
        Sample(.vendorID, "00 00 0003", .value(field: "payload length", 3), at: 2),
        Sample(.vendorID, "00 00 0005", .truncated(needed: 1, available: 0), at: 4),
        Sample(.vendorID, "2b 00 0004", .truncated(needed: 1, available: 0), at: 4),
        Sample(.vendorID, "00 00 0004 00", .trailingBytes(1), at: 4),
        Sample(.nonce, "00 00 0005 01", .value(field: "nonce length", 1), at: 4),
        Sample(.securityAssociation, "00 00 0004", .truncated(needed: 1, available: 0), at: 4),
        Sample(
            .securityAssociation, "00 00 000c 01 00 0008 01 01 00 00", .value(field: "last proposal", 1), at: 4),
        Sample(
            .securityAssociation, "00 00 000c 00 00 0007 01 01 00 00", .truncated(needed: 1, available: 0), at: 11),
        Sample(
            .securityAssociation, "00 00 000c 00 00 0003 01 01 00 00", .value(field: "proposal length", 3), at: 6),
        Sample(
            .securityAssociation, "00 00 000c 02 00 0008 01 01 00 00", .truncated(needed: 1, available: 0), at: 12),
        Sample(.securityAssociation, "00 00 000d 00 00 0008 01 01 00 00 00", .trailingBytes(1), at: 12),
        Sample(.securityAssociation, "00 00 000c 00 00 0008 01 03 00 00", .value(field: "SPI size", 0), at: 10),
        Sample(
            .securityAssociation, "00 00 0014 00 00 0010 01 01 00 02 00 00 0008 04 00 001f",
            .value(field: "number of transforms", 2), at: 20),
        Sample(
            .securityAssociation, "00 00 0014 00 00 0010 01 01 00 01 03 00 0008 04 00 001f",
            .value(field: "number of transforms", 1), at: 20),
        Sample(
            .securityAssociation, "00 00 0014 00 00 0010 01 01 00 00 00 00 0008 04 00 001f", .trailingBytes(8), at: 12
        ),
        Sample(.delete, "00 00 0008 03 00 ffff", .value(field: "SPI size", 0), at: 8),
        Sample(.delete, "00 00 000c 03 04 0002 00000000", .truncated(needed: 8, available: 4), at: 8),
        Sample(.notify, "00 00 0008 03 01 4009", .truncated(needed: 1, available: 0), at: 8),
        Sample(.trafficSelectorInitiator, "00 00 0008 00 000000", .value(field: "number of selectors", 0), at: 4),
        Sample(
            .trafficSelectorInitiator, "00 00 0018 02 000000 07 00 0010 0000 ffff 00000000 ffffffff",
            .truncated(needed: 1, available: 0), at: 24),
        Sample(
            .trafficSelectorInitiator, "00 00 0019 01 000000 07 00 0011 0000 ffff 00000000 ffffffff 00",
            .trailingBytes(1), at: 24),
        Sample(.configuration, "00 00 000c 01 000000 0001 0001", .truncated(needed: 1, available: 0), at: 12),
        Sample(.encryptedFragment, "00 00 0008 0000 0001", .value(field: "fragment number", 0), at: 4),
        Sample(.encryptedFragment, "00 00 0008 0003 0002", .value(field: "total fragments", 2), at: 6),
        Sample(.encrypted, "00 00 0004 00", .encryptedPayloadNotLast, at: 4),
    ])
    func sample(_ sample: Sample) {
        #expect(throws: DecodingFailure(sample.problem, offset: sample.offset, payload: failing(sample))) {
            try decode(sample.type, sample.text)
        }
    }

    @Test(
        "a Delete of the IKE SA is one whatever it counts",
        arguments: [
            "00 00 0008 01 04 0000", "00 00 0008 01 00 0001", "00 00 0010 01 08 0001 0102030405060708",
        ])
    func deleteOfTheIKESA(_ text: String) throws {
        #expect(try decode(.delete, text) == [.delete(.ikeSA)])
    }

    @Test("a Delete of an unknown protocol deletes nothing")
    func deleteOfAnUnknownProtocol() throws {
        #expect(
            try decode(.delete, "00 00 0008 09 00 0000") == [.delete(.childSAs(ProtocolID(rawValue: 9), []))])
    }

    @Test("bytes behind the last payload that the peer has protected are passed over")
    func protectedTrailingBytes() throws {
        var generator = SeededGenerator(seed: 7)
        let message = try Message(
            header: generator.header(), payloads: [], firstEncrypted: .vendorID, content: bytes("00 00 0005 01 000000"),
            limits: .standard)
        #expect(message.encryptedPayloads == [.vendorID(VendorIDPayload([1]))])
    }

    /// Bytes behind the last payload, and a payload that is announced but not there, belong to what comes next.
    private func failing(_ sample: Sample) -> PayloadType? {
        sample.text == "00 00 0004 00" && sample.type == .vendorID ? nil : sample.type
    }

    @Test("the header: too short, another version, another length")
    func header() {
        let good = Handwritten.initialRequest
        #expect(throws: DecodingFailure(.truncated(needed: 28, available: 27), offset: 0)) {
            try ReceivedMessage(decoding: Array(good.prefix(27)))
        }
        var version = good
        version[17] = 0x30
        let failure = DecodingFailure(.majorVersion(3), offset: 17)
        #expect(throws: failure) { try ReceivedMessage(decoding: version) }
        #expect(failure.answer.type == .invalidMajorVersion)
        #expect((try? ReceivedHeader(decoding: version))?.majorVersion == 3, "to answer, the header is needed")
        #expect(
            throws: DecodingFailure(.messageLength(declared: 232, actual: 233), offset: 24)
        ) { try ReceivedMessage(decoding: good + [0]) }
    }

    @Test("an Encrypted payload inside an Encrypted payload")
    func nested() {
        var generator = SeededGenerator(seed: 3)
        #expect(
            throws: DecodingFailure(
                .encryptedPayloadNested, offset: 0, payload: .encrypted, isInsideEncrypted: true)
        ) {
            try Message(
                header: generator.header(), payloads: [], firstEncrypted: .encrypted, content: bytes("00 00 0004"),
                limits: .standard)
        }
    }

    @Test("counts have limits")
    func limits() {
        var limits = DecodingLimits()
        limits.payloads = 3
        var generator = SeededGenerator(seed: 4)
        let three = Message(
            header: generator.header(), payloads: Array(repeating: .vendorID(VendorIDPayload([1])), count: 3))
        var four = three
        four.payloads.append(.vendorID(VendorIDPayload([1])))
        #expect(throws: Never.self) { try ReceivedMessage(decoding: try three.encoded(), limits: limits) }
        #expect(throws: DecodingFailure(.tooMany(field: "payloads", limit: 3), offset: 43, payload: .vendorID)) {
            try ReceivedMessage(decoding: try four.encoded(), limits: limits)
        }
        limits = DecodingLimits()
        limits.messageBytes = 28
        #expect(throws: DecodingFailure(.tooMany(field: "bytes", limit: 28), offset: 0)) {
            try ReceivedMessage(decoding: try four.encoded(), limits: limits)
        }
        limits = DecodingLimits()
        limits.proposals = 1
        #expect(throws: DecodingFailure.self) {
            try ReceivedMessage(decoding: Handwritten.initialRequest, limits: limits)
        }
        limits = DecodingLimits()
        limits.transforms = 7
        #expect(throws: DecodingFailure.self) {
            try ReceivedMessage(decoding: Handwritten.initialRequest, limits: limits)
        }
    }

    @Test("cut off at every byte, with the length left and with it corrected")
    func truncation() throws {
        for sample in [Handwritten.initialRequest, try sealedAuthentication()] {
            for count in 0..<sample.count {
                #expect(throws: DecodingFailure.self) { try ReceivedMessage(decoding: Array(sample.prefix(count))) }
                guard count >= IKEHeader.length else { continue }
                var writer = ByteWriter()
                writer.append(Array(sample.prefix(count)))
                writer.patch(UInt32(count), at: IKEHeader.lengthOffset)
                #expect(throws: DecodingFailure.self) { try ReceivedMessage(decoding: writer.bytes) }
            }
        }
    }

    @Test("decrypted content cut off at every byte")
    func truncatedContent() {
        var generator = SeededGenerator(seed: 5)
        let header = generator.header()
        for count in 0..<Handwritten.authenticationContent.count {
            #expect(throws: DecodingFailure.self) {
                try Message(
                    header: header, payloads: [], firstEncrypted: .identificationInitiator,
                    content: Array(Handwritten.authenticationContent.prefix(count)), limits: .standard)
            }
        }
    }

    private func sealedAuthentication() throws -> [UInt8] {
        var generator = SeededGenerator(seed: 6)
        let message = try Message(
            header: generator.header(), payloads: [], firstEncrypted: .identificationInitiator,
            content: Handwritten.authenticationContent, limits: .standard)
        return try message.sealed(with: SampleCipher.combined())
    }

    @Test("any damaged byte gives a message or an error, never a trap", arguments: 0..<4)
    func damage(seed: Int) throws {
        var generator = SeededGenerator(seed: 400 + seed)
        var failures = 0
        for _ in 0..<1000 {
            var damaged = Handwritten.initialRequest
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                damaged[Int.random(in: 28..<damaged.count, using: &generator)] = generator.number()
            }
            do {
                let message = try #require(try ReceivedMessage(decoding: damaged).plainMessage)
                let again = try ReceivedMessage(decoding: try message.encoded()).plainMessage
                #expect(again == message)
            } catch is DecodingFailure { failures += 1 }
        }
        #expect(failures > 100)
    }
}

@Suite("Unknown payloads and the critical bit")
struct CriticalBitTests {
    private func decode(_ hexadecimal: String, first: UInt8) throws(DecodingFailure) -> [Payload] {
        var reader = ByteReader(bytes(hexadecimal), limits: .standard)
        return try PayloadChain.decode(from: &reader, first: PayloadType(rawValue: first)).payloads
    }

    @Test("an unknown payload is skipped, what follows is read")
    func skipped() throws {
        let payloads = try decode("2b 00 0006 aabb  00 00 0005 01", first: 200)
        #expect(
            payloads == [
                .unknown(UnknownPayload(type: PayloadType(rawValue: 200), data: [0xAA, 0xBB])),
                .vendorID(VendorIDPayload([1])),
            ])
    }

    @Test("a critical one fails the message, and the answer names it", arguments: [1, 33 - 1, 49, 54, 200, 255])
    func critical(type: UInt8) {
        let failure = DecodingFailure(
            .unsupportedCriticalPayload(PayloadType(rawValue: type)), offset: 5,
            payload: PayloadType(rawValue: type))
        var writer = ByteWriter()
        writer.append(bytes("00 00 0005 01"))
        writer.patch(type, at: 0)
        writer.append(bytes("00 80 0004"))
        #expect(throws: failure) {
            var reader = ByteReader(writer.bytes, limits: .standard)
            _ = try PayloadChain.decode(from: &reader, first: .vendorID)
        }
        #expect(failure.answer == NotifyPayload(.unsupportedCriticalPayload, data: [type]))
    }

    @Test("on a known payload it is ignored, and it is never sent")
    func known() throws {
        let payloads = try decode("00 80 0005 01", first: PayloadType.vendorID.rawValue)
        #expect(payloads == [.vendorID(VendorIDPayload([1]))])
        var writer = ByteWriter()
        try PayloadChain.encode(payloads, into: &writer)
        #expect(writer.bytes == bytes("00 00 0005 01"))
    }

    @Test("unknown contents of known payloads are no matter of the bit")
    func contents() throws {
        let payloads = try decode("00 80 0014 00 00 0010 01 01 00 01 00 00 0008 f0 00 ffff", first: 33)
        guard case .securityAssociation(let body)? = payloads.first else {
            Issue.record("no SA")
            return
        }
        #expect(body.proposals[0].transforms[0].type == TransformType(rawValue: 0xF0))
    }
}
