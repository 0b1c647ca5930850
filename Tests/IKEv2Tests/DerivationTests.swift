import Cryptography
import Testing

@testable import IKEv2

/// RFC 7296 sections 2.13, 2.14, 2.17 and 2.18 against NIST's vectors. The RFC itself has none.
@Suite struct DerivationTests {
    /// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr.
    private func material(_ keys: IKEKeys) -> String {
        [
            keys.derivation, keys.integrityInitiator, keys.integrityResponder, keys.encryptionInitiator,
            keys.encryptionResponder, keys.proofInitiator, keys.proofResponder,
        ].compactMap { $0.map(hexadecimal) }.joined()
    }

    /// Hexadecimal digits of so many bytes at the front.
    private func first(_ count: Int, of digits: String) -> String { String(digits.prefix(2 * count)) }

    /// What a vector holds, without its line breaks.
    private func digits(_ text: String?) throws -> String { hexadecimal(bytes(try #require(text))) }

    /// SKEYSEED, SKEYSEED(rekey) and prf+ by themselves.
    @Test(arguments: DerivedKeys.all)
    func theFunctionsBelow(_ published: DerivedKeys) throws {
        let function = published.function
        let (initiator, responder) = (bytes(published.initiatorNonce), bytes(published.responderNonce))
        let nonces = PRFInput.bytes(initiator + responder)
        let seed = try function.compute(
            key: SecretBytes(copying: initiator + responder), .secret(SecretBytes(copying: bytes(published.secret))))
        #expect(hexadecimal(seed) == published.seed.filter { !$0.isWhitespace })
        let expected = bytes(published.keyMaterial)
        let material = try function.expand(
            key: seed, nonces, .bytes(IKEKeys.bytes(published.initiatorSPI)),
            .bytes(IKEKeys.bytes(published.responderSPI)), count: expected.count)
        #expect(hexadecimal(material) == hexadecimal(expected))
        let rekeySeed = try function.compute(
            key: material[0..<function.outputLength],
            .secret(SecretBytes(copying: bytes(published.newSecret))), nonces)
        #expect(try hexadecimal(rekeySeed) == digits(published.rekeySeed))
    }

    /// The keys of an IKE SA lie behind one another in NIST's key material, whatever the cipher suite.
    @Test(arguments: DerivedKeys.all, IKECipherSuite.all)
    func keysOfAnIKESA(_ published: DerivedKeys, suite: IKECipherSuite) throws {
        let keys = try published.keys(suite)
        let derived = material(keys)
        let expected = try digits(published.keyMaterial)
        let common = min(derived.count, expected.count)
        #expect(common >= 2 * 132)
        #expect(derived.prefix(common) == expected.prefix(common))
        // Where they end: the encryption key with its salt (RFC 5282 section 7.1).
        let own = published.function.outputLength
        #expect(keys.derivation.count == own && keys.proofInitiator.count == own && keys.proofResponder.count == own)
        #expect(keys.integrityInitiator?.count == suite.integrity?.keyLength)
        #expect(keys.integrityResponder?.count == suite.integrity?.keyLength)
        let encryption = (suite.encryption.keyBits ?? 256) / 8 + (suite.integrity == nil ? 4 : 0)
        #expect(keys.encryptionInitiator.count == encryption && keys.encryptionResponder.count == encryption)
    }

    /// Of every cipher; the initiator's come first.
    @Test(arguments: DerivedKeys.acvp, ESPTransform.all)
    func keysOfAChild(_ published: DerivedKeys, transform: ESPTransform) throws {
        let keys = try published.keys(#require(IKECipherSuite(encryption: .aesGCM16(keyBits: 256))))
        func child(_ secret: String?) throws -> (keys: String, count: Int) {
            let pair = try keys.childKeys(
                transform, secret: secret.map { SecretBytes(copying: bytes($0)) },
                initiatorNonce: bytes(published.initiatorNonce), responderNonce: bytes(published.responderNonce))
            #expect(pair.initiator.count == pair.responder.count)
            return (hexadecimal(pair.initiator) + hexadecimal(pair.responder), 2 * pair.initiator.count)
        }
        let plain = try child(nil)
        #expect(plain.count == 2 * transform.keyMaterialLength)
        #expect(try plain.keys == first(plain.count, of: digits(published.child)))
        let fresh = try child(published.newSecret)
        #expect(try fresh.keys == first(fresh.count, of: digits(published.childWithExchange)))
    }

    /// The keys of the IKE SA that replaces another are prf+ of NIST's SKEYSEED(rekey).
    @Test(arguments: DerivedKeys.all, IKECipherSuite.all)
    func keysOfARekeyedIKESA(_ published: DerivedKeys, suite: IKECipherSuite) throws {
        let nonces = (initiator: bytes(published.initiatorNonce), responder: bytes(published.responderNonce))
        let new = try published.keys(suite).rekeyed(
            SelectedIKE(suite: suite, function: published.function, keyExchange: .x25519),
            secret: SecretBytes(copying: bytes(published.newSecret)), initiatorNonce: nonces.initiator,
            responderNonce: nonces.responder, initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0x1112_1314_1516_1718)
        let derived = material(new)
        let expected = try published.function.expand(
            key: SecretBytes(copying: bytes(published.rekeySeed)), .bytes(nonces.initiator), .bytes(nonces.responder),
            .bytes(Array(0x01...0x08)), .bytes(Array(0x11...0x18)), count: derived.count / 2)
        #expect(derived == hexadecimal(expected))
    }

    /// SKEYSEED is computed with the old IKE SA's PRF, and the keys with the new one's (section 2.18).
    @Test func aRekeyMayChangeThePRF() throws {
        let published = try #require(DerivedKeys.acvp.first { $0.function == .hmacSHA256 })
        let suite = try #require(IKECipherSuite(encryption: .chaCha20Poly1305))
        let nonces = (initiator: bytes(published.initiatorNonce), responder: bytes(published.responderNonce))
        let new = try published.keys(suite).rekeyed(
            SelectedIKE(suite: suite, function: .hmacSHA512, keyExchange: .x448),
            secret: SecretBytes(copying: bytes(published.newSecret)), initiatorNonce: nonces.initiator,
            responderNonce: nonces.responder, initiatorSPI: 1, responderSPI: 2)
        #expect(new.function == .hmacSHA512)
        let derived = material(new)
        let expected = try PRF.hmacSHA512.expand(
            key: SecretBytes(copying: bytes(published.rekeySeed)), .bytes(nonces.initiator), .bytes(nonces.responder),
            .bytes([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]), count: derived.count / 2)
        #expect(derived == hexadecimal(expected))
        #expect(new.authenticationKey(.initiator).count == 64)
    }
}
