import Cryptography
import IKEv2
import IKEv2Messages
import IPsec
import Packets
import Testing

@Suite struct KeyTests {
    private func keys(_ suite: IKECipherSuite, _ function: PRF) throws -> IKEKeys {
        try IKEKeys(
            SelectedIKE(suite: suite, function: function, keyExchange: .x25519),
            secret: SecretBytes(copying: DerivedKeys.secret), initiatorNonce: DerivedKeys.initiatorNonce,
            responderNonce: DerivedKeys.responderNonce, initiatorSPI: DerivedKeys.initiatorSPI,
            responderSPI: DerivedKeys.responderSPI)
    }

    private func combined() throws -> IKECipherSuite {
        try #require(IKECipherSuite(encryption: .aesGCM16(keyBits: 256)))
    }

    private func fields(_ line: KeyLogLine) -> [String] {
        switch line {
        case .ike(let text), .esp(let text):
            text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }

    @Test(arguments: DerivedKeys.all)
    func keysOfCombinedModes(_ expected: DerivedKeys) throws {
        let keys = try keys(combined(), expected.function)
        #expect(
            fields(keys.keyLogLine) == [
                "34c9e7c188868785", "3ff77d760d2b2199", expected.initiatorEncryption, expected.responderEncryption,
                "\"AES-GCM-256 with 16 octet ICV [RFC5282]\"", "", "", "\"NONE [RFC4306]\"",
            ])
        #expect(hexadecimal(keys.authenticationKey(.initiator)) == expected.proof)
    }

    @Test(arguments: DerivedKeys.all)
    func keysOfEncryptionAndIntegrity(_ expected: DerivedKeys) throws {
        let suite = try #require(
            IKECipherSuite(encryption: .aesCBC(keyBits: 256), integrity: expected.integrity))
        let keys = try keys(suite, expected.function)
        let fields = fields(keys.keyLogLine)
        #expect(fields[2] == expected.cbcEncryption)
        #expect(fields[4] == "\"AES-CBC-256 [RFC3602]\"")
        #expect(fields[5] == expected.initiatorIntegrity)
        #expect(fields[6] == expected.responderIntegrity)
        #expect(hexadecimal(keys.authenticationKey(.responder)) == expected.cbcProof)
    }

    @Test(arguments: DerivedKeys.all)
    func keysOfChildren(_ expected: DerivedKeys) throws {
        let keys = try keys(combined(), expected.function)
        func child(_ secret: [UInt8]?) throws -> String {
            let pair = try keys.childKeys(
                .aes256GCM16, secret: secret.map { SecretBytes(copying: $0) },
                initiatorNonce: DerivedKeys.initiatorNonce, responderNonce: DerivedKeys.responderNonce)
            #expect(pair.initiator.count == 36 && pair.responder.count == 36)
            return hexadecimal(pair.initiator) + hexadecimal(pair.responder)
        }
        #expect(try child(nil) == expected.child)
        #expect(try child(DerivedKeys.newSecret) == expected.childWithExchange)
    }

    @Test(arguments: DerivedKeys.all)
    func keysOfARekeyedIKESA(_ expected: DerivedKeys) throws {
        let old = try keys(combined(), expected.function)
        let new = try old.rekeyed(
            SelectedIKE(suite: combined(), function: expected.function, keyExchange: .x25519),
            secret: SecretBytes(copying: DerivedKeys.newSecret), initiatorNonce: DerivedKeys.initiatorNonce,
            responderNonce: DerivedKeys.responderNonce, initiatorSPI: DerivedKeys.initiatorSPI,
            responderSPI: DerivedKeys.responderSPI)
        #expect(fields(new.keyLogLine)[2] == expected.rekeyedEncryption)
        #expect(hexadecimal(new.authenticationKey(.responder)) == expected.rekeyedProof)
    }

    /// A SKEYSEED that is computed with the old IKE SA's PRF, and keys with the new one's (section 2.18).
    @Test func aRekeyMayChangeThePRF() throws {
        let old = try keys(combined(), .hmacSHA256)
        let suite = try #require(IKECipherSuite(encryption: .chaCha20Poly1305))
        let new = try old.rekeyed(
            SelectedIKE(suite: suite, function: .hmacSHA512, keyExchange: .x448),
            secret: SecretBytes(copying: DerivedKeys.newSecret), initiatorNonce: DerivedKeys.initiatorNonce,
            responderNonce: DerivedKeys.responderNonce, initiatorSPI: 1, responderSPI: 2)
        #expect(new.authenticationKey(.initiator).count == 64)
        #expect(new.function == .hmacSHA512)
    }

    @Test(arguments: IKECipherSuite.all)
    func aMessageOfOneSideOpensAtTheOther(_ suite: IKECipherSuite) throws {
        let keys = try keys(suite, .hmacSHA256)
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
            let suite = try #require(IKECipherSuite(encryption: encryption))
            return try fields(keys(suite, .hmacSHA256).keyLogLine)[0].hasPrefix("# ")
        }
        #expect(try isComment(.chaCha20Poly1305))
        #expect(try !isComment(.aesGCM16(keyBits: 128)))
    }
}
