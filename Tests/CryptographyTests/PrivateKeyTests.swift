import CLibCrypto
import Cryptography
import Testing

@Suite struct PrivateKeyTests {
    @Test(arguments: TestKey.all) func readsEveryForm(key: TestKey) throws {
        let expected = try key.privateKey().publicKey
        #expect("\(expected.type)" == key.name)
        var forms: [[UInt8]] = [
            written { i2d_PKCS8PrivateKey_bio($0, key.handle, nil, nil, 0, nil, nil) },
            written { i2d_PrivateKey_bio($0, key.handle) },
        ]
        // Edwards curves never had a traditional form.
        if !key.isEdwards {
            forms.append(written { PEM_write_bio_PrivateKey_traditional($0, key.handle, nil, nil, 0, nil, nil) })
        }
        for form in forms { #expect(try PrivateKey(SecretBytes(copying: form)).publicKey == expected) }
    }

    @Test(arguments: TestKey.all) func readsEncryptedForms(key: TestKey) throws {
        let expected = try key.privateKey().publicKey
        let pass = Array("correct horse".utf8.map { CChar($0) })
        let count = Int32(pass.count)
        var forms: [[UInt8]] = [
            written { PEM_write_bio_PKCS8PrivateKey($0, key.handle, EVP_aes_256_cbc(), pass, count, nil, nil) },
            written { i2d_PKCS8PrivateKey_bio($0, key.handle, EVP_aes_128_cbc(), pass, count, nil, nil) },
        ]
        if !key.isEdwards {
            let unsigned = pass.map { UInt8($0) }
            forms.append(
                written {
                    PEM_write_bio_PrivateKey_traditional(
                        $0, key.handle, EVP_aes_128_cbc(), unsigned, count, nil, nil)
                })
        }
        for form in forms {
            let source = SecretBytes(copying: form)
            var asked = 0
            let read = try PrivateKey(source) {
                asked += 1
                return SecretBytes(copying: Array("correct horse".utf8))
            }
            #expect(read.publicKey == expected)
            #expect(asked == 1)
            #expect(throws: SignatureError.wrongPassphrase) {
                try PrivateKey(source) { SecretBytes(copying: Array("wrong".utf8)) }
            }
            #expect(throws: SignatureError.passphraseNeeded) { try PrivateKey(source) }
        }
    }

    @Test func asksForNoPassphraseInVain() throws {
        var asked = false
        _ = try PrivateKey(SecretBytes(copying: TestKey.p256.pem)) {
            asked = true
            return nil
        }
        #expect(!asked)
    }

    @Test func refusesWhatIsNoKey() throws {
        for text in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            #expect(performing: { try PrivateKey(SecretBytes(copying: Array(text.utf8))) }, throws: isUnreadable)
            #expect(performing: { try PublicKey(Array(text.utf8)) }, throws: isUnreadable)
        }
        let cut = Array(TestKey.p256.pem.prefix(100))
        #expect(performing: { try PrivateKey(SecretBytes(copying: cut)) }, throws: isUnreadable)
    }

    @Test func refusesWeakAndUnknownKeys() throws {
        let weak = TestKey("RSA 1024", algorithm: "RSA", bits: 1024)
        #expect(throws: SignatureError.keySize(bits: 1024)) { try weak.privateKey() }
        let agreement = TestKey("X25519", algorithm: "X25519")
        #expect(throws: SignatureError.unsupportedKey("X25519")) { try agreement.privateKey() }
        let curve = TestKey("secp256k1", algorithm: "EC", group: "secp256k1")
        #expect(throws: SignatureError.unsupportedKey("ECDSA secp256k1")) { try curve.privateKey() }
    }

    @Test(arguments: TestKey.all) func readsRawPublicKeys(key: TestKey) throws {
        let expected = try key.privateKey().publicKey
        #expect(try PublicKey(expected.subjectPublicKeyInfo) == expected)
        #expect(try PublicKey(written { PEM_write_bio_PUBKEY($0, key.handle) }) == expected)
        #expect(expected.keyHash.count == 20)
        #expect(performing: { try PublicKey(expected.subjectPublicKeyInfo + [0]) }, throws: isUnreadable)
    }

    @Test func neverShowsTheKey() throws {
        let key = try TestKey.ed25519.privateKey()
        #expect("\(key)" == "<private key, Ed25519>")
        var text = ""
        dump(key, to: &text)
        #expect(!text.contains("0x") && !text.contains("publicKey"))
    }

    private func isUnreadable(_ error: any Error) -> Bool {
        if case SignatureError.unreadableKey = error { true } else { false }
    }
}
