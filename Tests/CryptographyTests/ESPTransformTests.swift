import Cryptography
import Testing

@Suite struct ESPTransformTests {
    @Test(arguments: ESPTransform.all)
    func namesAreReadAsTheyAreWritten(transform: ESPTransform) throws {
        #expect(try ESPTransform(parsing: transform.name) == transform)
        #expect(ESPTransform(transform.description) == transform)
        #expect(try ESPTransform(encryption: transform.encryption, integrity: transform.integrity) == transform)
    }

    @Test func allAreDifferent() {
        #expect(Set(ESPTransform.all).count == ESPTransform.all.count)
        #expect(Set(ESPTransform.all.map(\.name)).count == ESPTransform.all.count)
    }

    @Test(arguments: [
        ("aes-sha256", "aes128-sha256"), ("AES256GCM128", "aes256gcm16"), ("aes128gcm64", "aes128gcm8"),
        ("aes192gcm96", "aes192gcm12"), ("aesgcm16", "aes128gcm16"), ("aesctr-sha512", "aes128ctr-sha512"),
        ("aesgmac", "aes128gmac"),
    ])
    func otherSpellings(text: String, name: String) throws {
        #expect(try ESPTransform(parsing: text).name == name)
    }

    @Test(arguments: ["", "aes", "aes128", "aes128gcm", "aes128gcm16-sha256", "3des-sha1", "aes128gcm10", "-sha256"])
    func unknownNames(text: String) {
        #expect(throws: CryptographyError.unknownTransform(text)) { try ESPTransform(parsing: text) }
        #expect(ESPTransform(text) == nil)
    }

    struct Sizes: Sendable {
        let name: String
        let (iv, icv, alignment, salt, key, integrityKey): (Int, Int, Int, Int, Int, Int)
        let isAEAD: Bool
        let isCounterMode: Bool
    }

    @Test(arguments: [
        Sizes(name: "aes128gcm8", values: (8, 8, 4, 4, 16, 0), isAEAD: true, isCounterMode: true),
        Sizes(name: "aes192gcm12", values: (8, 12, 4, 4, 24, 0), isAEAD: true, isCounterMode: true),
        Sizes(name: "aes256gcm16", values: (8, 16, 4, 4, 32, 0), isAEAD: true, isCounterMode: true),
        Sizes(name: "aes256gmac", values: (8, 16, 4, 4, 32, 0), isAEAD: true, isCounterMode: true),
        Sizes(name: "chacha20poly1305", values: (8, 16, 4, 4, 32, 0), isAEAD: true, isCounterMode: true),
        Sizes(name: "aes128-sha256", values: (16, 16, 16, 0, 16, 32), isAEAD: false, isCounterMode: false),
        Sizes(name: "aes192ctr-sha384", values: (8, 24, 4, 4, 24, 48), isAEAD: false, isCounterMode: true),
        Sizes(name: "aes256-sha512", values: (16, 32, 16, 0, 32, 64), isAEAD: false, isCounterMode: false),
        Sizes(name: "null-sha1", values: (0, 12, 4, 0, 0, 20), isAEAD: false, isCounterMode: false),
    ])
    func sizes(expected: Sizes) throws {
        let transform = try ESPTransform(parsing: expected.name)
        #expect(transform.ivLength == expected.iv)
        #expect(transform.icvLength == expected.icv)
        #expect(transform.alignment == expected.alignment)
        #expect(transform.saltLength == expected.salt)
        #expect(transform.encryptionKeyLength == expected.key)
        #expect(transform.integrityKeyLength == expected.integrityKey)
        #expect(transform.keyMaterialLength == expected.key + expected.salt + expected.integrityKey)
        #expect(transform.isAEAD == expected.isAEAD)
        #expect(transform.isCounterMode == expected.isCounterMode)
    }

    @Test func invalidCombinationsAreRefused() {
        #expect(throws: CryptographyError.self) { try ESPTransform(encryption: .aesGCM(keyBits: 100, icvBytes: 16)) }
        #expect(throws: CryptographyError.self) { try ESPTransform(encryption: .aesGCM(keyBits: 128, icvBytes: 4)) }
        #expect(throws: CryptographyError.self) { try ESPTransform(encryption: .aesGMAC(keyBits: 0)) }
        #expect(throws: CryptographyError.self) { try ESPTransform(encryption: .aesCBC(keyBits: 128)) }
        #expect(throws: CryptographyError.self) { try ESPTransform(encryption: .null) }
        #expect(throws: CryptographyError.self) {
            try ESPTransform(encryption: .chaCha20Poly1305, integrity: .hmacSHA256_128)
        }
    }

    @Test(arguments: ESPTransform.all)
    func keysOfTheWrongLengthAreRefused(transform: ESPTransform) throws {
        let engine = OpenSSLEngine()
        #expect(engine.supports(transform))
        let expected = transform.keyMaterialLength
        for length in [0, 1, expected - 1, expected + 1] {
            let key = try SecretBytes.random(count: length)
            let error = CryptographyError.keyLength(transform: transform, expected: expected, actual: length)
            #expect(throws: error) {
                try engine.makeCipher(
                    transform, keyMaterial: key, direction: .seal, extendedSequenceNumbers: false)
            }
        }
    }

    @Test func keyLengthErrorsSayWhatIsExpected() throws {
        let transform = try ESPTransform(parsing: "aes256ctr-sha512")
        let error = CryptographyError.keyLength(transform: transform, expected: 100, actual: 32)
        #expect(
            error.description == "aes256ctr-sha512 takes 100 bytes of key material "
                + "(32 key + 4 salt + 64 integrity key), got 32")
    }
}

extension ESPTransformTests.Sizes {
    fileprivate init(name: String, values: (Int, Int, Int, Int, Int, Int), isAEAD: Bool, isCounterMode: Bool) {
        self.name = name
        (iv, icv, alignment, salt, key, integrityKey) = values
        self.isAEAD = isAEAD
        self.isCounterMode = isCounterMode
    }
}
