import Cryptography
import Testing

@Suite struct IKECipherTests {
    /// RFC 7634 appendix B: a whole message.
    @Test func sealsAsRFC7634Prints() throws {
        let suite = try #require(IKECipherSuite(encryption: .chaCha20Poly1305))
        let key = SecretBytes(copying: Array(0x80...0x9f) + [0xa0, 0xa1, 0xa2, 0xa3])
        let cipher = try IKECipher(suite, encryptionKey: key)
        let header = bytes("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029")
        let plaintext = bytes("0000000c000040010000000a00")
        let body = bytes("10111213141516176103" + "94701f8d017f7c12924889" + "6b71bfe25236efd7cdc67066906315b2")
        #expect(try cipher.seal(plaintext, authenticating: header, iv: Array(0x10...0x17)) == body)
        #expect(try cipher.open(body, authenticating: header) == plaintext)
    }

    /// The AES-GCM submission's cases 4, 10 and 16: the nonce cut into salt and IV.
    @Test(arguments: [
        (
            128, "",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
                + "1ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"
        ),
        (
            192, "feffe9928665731c",
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f47"
                + "18e2448b2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c"
        ),
        (
            256, "feffe9928665731c6d6a8f9467308308",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
                + "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ]) func sealsAsTheGCMSubmissionPrints(keyBits: Int, moreKey: String, sealed: String) throws {
        let suite = try #require(IKECipherSuite(encryption: .aesGCM16(keyBits: keyBits)))
        let key = bytes("feffe9928665731c6d6a8f9467308308" + moreKey + "cafebabe")
        let cipher = try IKECipher(suite, encryptionKey: SecretBytes(copying: key))
        let plaintext = bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                + "b16aedf5aa0de657ba637b39")
        let header = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        let body = bytes("facedbaddecaf888" + sealed)
        #expect(try cipher.seal(plaintext, authenticating: header, iv: Array(body[..<8])) == body)
        #expect(try cipher.open(body, authenticating: header) == plaintext)
    }

    /// RFC 3602 case 2; the ICV has its vectors in PRFTests.
    @Test func encryptsAsRFC3602Prints() throws {
        let suite = try #require(IKECipherSuite(encryption: .aesCBC(keyBits: 128), integrity: .hmacSHA256_128))
        let cipher = try IKECipher(
            suite, encryptionKey: SecretBytes(copying: bytes("c286696d887c9aa0611bbb3e2025a45a")),
            integrityKey: SecretBytes(copying: Array(0..<32)))
        let iv = bytes("562e17996d093d28ddb3ba695a2e6f58")
        let sealed = try cipher.seal(Array(0..<32), authenticating: [1], iv: iv)
        let ciphertext = bytes("d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1")
        #expect(Array(sealed.prefix(48)) == iv + ciphertext)
        let mac = try PRF.hmacSHA256.compute(
            key: SecretBytes(copying: Array(0..<32)), .bytes([1]), .bytes(iv), .bytes(ciphertext))
        #expect(SecretBytes(copying: sealed.suffix(16)) == mac[0..<16])
    }

    @Test(arguments: IKECipherSuite.all) func opensWhatItSealed(suite: IKECipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        let header = Array(0..<32) as [UInt8]
        for count in [0, 1, 15, 16, 17, 64, 1000].filter({ $0.isMultiple(of: suite.blockLength) }) {
            let plaintext = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
            let body = try sealer.seal(plaintext, authenticating: header)
            #expect(body.count == sealer.sealedLength(count))
            #expect(try opener.open(body, authenticating: header) == plaintext)
        }
    }

    @Test(arguments: IKECipherSuite.all) func refusesEveryChange(suite: IKECipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        let header = Array(0..<28) as [UInt8]
        let body = try sealer.seal([UInt8](repeating: 7, count: 32), authenticating: header)
        for index in body.indices {
            var changed = body
            changed[index] ^= 1 << UInt8(index % 8)
            #expect(throws: IKECipherError.integrityFailure) { try opener.open(changed, authenticating: header) }
        }
        for index in header.indices {
            var changed = header
            changed[index] ^= 0x80
            #expect(throws: IKECipherError.integrityFailure) { try opener.open(body, authenticating: changed) }
        }
        let (_, stranger) = try pair(suite)
        #expect(throws: IKECipherError.integrityFailure) { try stranger.open(body, authenticating: header) }
    }

    @Test(arguments: IKECipherSuite.all) func refusesWrongLengths(suite: IKECipherSuite) throws {
        let (sealer, opener) = try pair(suite)
        for count in [0, 1, suite.ivLength, suite.ivLength + suite.icvLength - 1] {
            #expect(throws: IKECipherError.malformed(length: count)) {
                try opener.open([UInt8](repeating: 0, count: count), authenticating: [])
            }
        }
        if suite.blockLength > 1 {
            #expect(throws: IKECipherError.unpadded(length: 17)) {
                try sealer.seal([UInt8](repeating: 0, count: 17), authenticating: [])
            }
            let count = suite.ivLength + 17 + suite.icvLength
            #expect(throws: IKECipherError.malformed(length: count)) {
                try opener.open([UInt8](repeating: 0, count: count), authenticating: [])
            }
        }
        for length in [0, suite.encryptionKeyLength - 1, suite.encryptionKeyLength + 1] {
            #expect(throws: IKECipherError.self) {
                try IKECipher(
                    suite, encryptionKey: .random(count: length),
                    integrityKey: suite.integrityKeyLength == 0 ? nil : .random(count: suite.integrityKeyLength))
            }
        }
        #expect(throws: IKECipherError.self) {
            try IKECipher(
                suite, encryptionKey: .random(count: suite.encryptionKeyLength),
                integrityKey: suite.integrityKeyLength == 0 ? .random(count: 32) : nil)
        }
    }

    /// Counters for AEADs, random blocks for CBC.
    @Test(arguments: IKECipherSuite.all) func neverRepeatsAnIV(suite: IKECipherSuite) throws {
        let (sealer, _) = try pair(suite)
        let ivs = try (0..<100).map { _ in Array(try sealer.seal([], authenticating: []).prefix(suite.ivLength)) }
        #expect(Set(ivs).count == 100)
        if suite.encryption.isAEAD { #expect(ivs.last == [0, 0, 0, 0, 0, 0, 0, 100]) }
    }

    @Test func sizesAndNames() throws {
        let gcm = try #require(IKECipherSuite(encryption: .aesGCM16(keyBits: 256)))
        #expect((gcm.encryptionKeyLength, gcm.integrityKeyLength, gcm.ivLength, gcm.icvLength) == (36, 0, 8, 16))
        #expect("\(gcm)" == "aes256gcm16")
        let cbc = try #require(IKECipherSuite(encryption: .aesCBC(keyBits: 192), integrity: .hmacSHA384_192))
        #expect((cbc.encryptionKeyLength, cbc.integrityKeyLength, cbc.ivLength, cbc.icvLength) == (24, 48, 16, 24))
        #expect("\(cbc)" == "aes192-sha384")
        #expect(IKECipherSuite.all.count == 16)
        #expect(IKECipherSuite(encryption: .aesCBC(keyBits: 128)) == nil)
        #expect(IKECipherSuite(encryption: .chaCha20Poly1305, integrity: .hmacSHA256_128) == nil)
        #expect(IKECipherSuite(encryption: .aesGCM16(keyBits: 100)) == nil)
        for suite in IKECipherSuite.all {
            let encryption = suite.encryption
            typealias Encryption = IKECipherSuite.Encryption
            #expect(Encryption(transformID: encryption.transformID, keyBits: encryption.keyBits) == encryption)
        }
        #expect(IKECipherSuite.Encryption(transformID: 28, keyBits: 256) == nil)
    }

    /// Two ends with the same random keys.
    private func pair(_ suite: IKECipherSuite) throws -> (sealer: IKECipher, opener: IKECipher) {
        let key = try SecretBytes.random(count: suite.encryptionKeyLength)
        let integrity = suite.integrity == nil ? nil : try SecretBytes.random(count: suite.integrityKeyLength)
        let ends = try (0..<2).map { _ in
            try IKECipher(suite, encryptionKey: key, integrityKey: integrity)
        }
        return (ends[0], ends[1])
    }
}
