import Cryptography
import IKEv2
import IKEv2Messages
import IPsec
import Packets
import Testing

@Suite struct KeyTests {
    /// By NIST's vector for SHA2-512.
    private func published() throws -> DerivedKeys {
        try #require(DerivedKeys.acvp.first { $0.function == .hmacSHA512 })
    }

    private func keys(_ encryption: IKECipherSuite.Encryption) throws -> IKEKeys {
        try published().keys(#require(IKECipherSuite(encryption: encryption)))
    }

    private func fields(_ line: KeyLogLine) -> [String] {
        switch line {
        case .ike(let text), .esp(let text):
            text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }

    /// Which of the published key material is which key; `field`: where it is in a line for Wireshark.
    private func expect(
        _ line: [String], _ field: Int, _ bytes: Range<Int>, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let material = try Array(IKEv2Tests.bytes(published().keyMaterial))
        #expect(line[field] == hexadecimal(material[bytes]), sourceLocation: sourceLocation)
    }

    @Test func ikeKeysOfCombinedModesAreLoggedForWireshark() throws {
        let keys = try keys(.aesGCM16(keyBits: 256))
        let line = fields(keys.keyLogLine)
        #expect(line.count == 8)
        #expect(line[0] == "6e5f49d279f4fbbb" && line[1] == "ff7ae472aa4dd7af")
        try expect(line, 2, 64..<100)
        try expect(line, 3, 100..<136)
        #expect(line[4...] == ["\"AES-GCM-256 with 16 octet ICV [RFC5282]\"", "", "", "\"NONE [RFC4306]\""])
        try expect([hexadecimal(keys.authenticationKey(.initiator))], 0, 136..<200)
        try expect([hexadecimal(keys.authenticationKey(.responder))], 0, 200..<264)
    }

    @Test func ikeKeysOfEncryptionAndIntegrityAreLoggedForWireshark() throws {
        let suite = try #require(
            IKECipherSuite(encryption: .aesCBC(keyBits: 256), integrity: .hmacSHA512_256))
        let line = try fields(published().keys(suite).keyLogLine)
        try expect(line, 5, 64..<128)
        try expect(line, 6, 128..<192)
        #expect(line[7] == "\"HMAC_SHA2_512_256 [RFC4868]\"")
        try expect(line, 2, 192..<224)
        try expect(line, 3, 224..<256)
        #expect(line[4] == "\"AES-CBC-256 [RFC3602]\"")
    }

    @Test(arguments: IKECipherSuite.all)
    func aMessageOfOneSideOpensAtTheOther(_ suite: IKECipherSuite) throws {
        let keys = try published().keys(suite)
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request, isFromInitiator: true,
            messageID: 7)
        let message = Message(header: header, encryptedPayloads: [.notify(NotifyPayload(.initialContact))])
        let first = try message.sealed(with: keys.cipher(sender: .initiator))
        let second = try message.sealed(with: keys.cipher(sender: .initiator))
        #expect(first != second, "the initialization vector is never the same")
        let received = try ReceivedMessage(decoding: first)
        #expect(try received.open(with: keys.cipher(sender: .initiator)) == message)
        #expect(throws: OpeningFailure.protection(.integrity)) {
            try received.open(with: keys.cipher(sender: .responder))
        }
        var damaged = first
        damaged[damaged.count - 1] ^= 1
        let wrong = try ReceivedMessage(decoding: damaged)
        #expect(throws: OpeningFailure.protection(.integrity)) { try wrong.open(with: keys.cipher(sender: .initiator)) }
    }

    @Test func espKeysAreLoggedForWireshark() throws {
        func sa(_ transform: ESPTransform, key: [UInt8]) throws -> ChildSA {
            ChildSA(
                id: 1, child: Child(name: "net", proposals: ChildProposal.default), connectionName: "hq",
                inboundSPI: 0xC000_0001, outboundSPI: 0xABC, mode: .tunnel, transform: transform,
                extendedSequenceNumbers: false, keyExchange: nil, inboundKey: SecretBytes(copying: key),
                outboundKey: SecretBytes(copying: key.reversed()), selectors: [], localSelectors: [],
                remoteSelectors: [],
                requestID: 1,
                path: Path(
                    local: Endpoint(IPAddress(ipv4: 0xC000_0201), port: 500),
                    remote: Endpoint(IPAddress(ipv4: 0xC000_0202), port: 500)),
                isEncapsulated: false, establishedAt: 0, lifetime: .unlimited)
        }
        let combined = try sa(.aes128GCM16, key: Array(0..<20)).keyLogLines
        #expect(
            fields(combined[0]) == [
                "\"IPv4\"", "\"192.0.2.2\"", "\"192.0.2.1\"", "\"0xc0000001\"",
                "\"AES-GCM with 16 octet ICV [RFC4106]\"", "\"0x000102030405060708090a0b0c0d0e0f10111213\"",
                "\"NULL\"", "\"0x\"",
            ])
        let plain = try sa(.aes128CBCSHA256, key: Array(0..<48)).keyLogLines
        #expect(fields(plain[1])[1...3] == ["\"192.0.2.1\"", "\"192.0.2.2\"", "\"0x00000abc\""])
        #expect(fields(plain[1])[4] == "\"AES-CBC [RFC3602]\"")
        #expect(fields(plain[1])[5] == "\"0x" + hexadecimal((32..<48).reversed()) + "\"")
        #expect(fields(plain[1])[6] == "\"HMAC-SHA-256-128 [RFC4868]\"")
        #expect(fields(plain[1])[7] == "\"0x" + hexadecimal((0..<32).reversed()) + "\"")
    }

    /// Wireshark refuses a whole file for one name that it does not know.
    @Test func whatWiresharkDoesNotKnowIsAComment() throws {
        func isComment(_ encryption: IKECipherSuite.Encryption) throws -> Bool {
            try fields(keys(encryption).keyLogLine)[0].hasPrefix("# ")
        }
        #expect(try isComment(.chaCha20Poly1305))
        #expect(try !isComment(.aesGCM16(keyBits: 128)))
    }
}
