import Cryptography
import Testing

@Suite struct ChainConstraintTests {
    private let now = TestAuthority.now

    /// The chain of a certificate below an authority below a root, of these keys and signed with these hashes.
    private func chain(
        _ keys: (leaf: TestKey, middle: TestKey, root: TestKey),
        digests: (leaf: String, middle: String) = ("SHA256", "SHA256")
    ) throws -> [Certificate] {
        let root = try TestAuthority("CN=Root", key: keys.root)
        var content = TestCertificate(subject: "CN=Middle", key: keys.middle, isAuthority: true)
        content.keyUsage = "critical,keyCertSign,cRLSign"
        content.digest = digests.middle
        let middle = try root.authority(content)
        var leaf = TestCertificate(subject: "CN=moon", key: keys.leaf)
        leaf.digest = digests.leaf
        return try TrustStore(authorities: [root.certificate])
            .verify(middle.issue(leaf), intermediates: [middle.certificate], at: now)
    }

    private func violation(
        _ chain: [Certificate], keys: [SignatureKeyType] = [], schemes: [SignatureScheme] = []
    ) -> String? {
        ChainConstraints(keys: keys, schemes: schemes, text: "as it is written").violation(in: chain)?.description
    }

    @Test func everyKeyOfTheChainCounts() throws {
        let bound: [SignatureKeyType] = [.ecdsa(bits: 384)]
        #expect(try violation(chain((.p384, .p521, .p384)), keys: bound) == nil)
        #expect(
            try violation(chain((.p256, .p384, .p384)), keys: bound)
                == "the key of \"CN=moon\" is ECDSA with 256 bits")
        #expect(
            try violation(chain((.p384, .p256, .p384)), keys: bound)
                == "the key of \"CN=Middle\" is ECDSA with 256 bits")
        #expect(
            try violation(chain((.p384, .p384, .p256)), keys: bound)
                == "the key of \"CN=Root\" is ECDSA with 256 bits")
    }

    @Test func theBoundItselfIsEnough() throws {
        let chain = try chain((.rsa, .rsa3072, .rsa3072))
        for bits in [0, 1, 2047, 2048] { #expect(violation(chain, keys: [.rsa(bits: bits)]) == nil) }
        #expect(violation(chain, keys: [.rsa(bits: 2049)]) == "the key of \"CN=moon\" is RSA with 2048 bits")
    }

    @Test func kindsThatAreNotNamedAreRefused() throws {
        let mixed = try chain((.ed25519, .p384, .rsa3072))
        #expect(violation(mixed, keys: [.ed25519, .ecdsa(bits: 256), .rsa(bits: 3072)]) == nil)
        #expect(violation(mixed, keys: [.ecdsa(bits: 256), .rsa(bits: 2048)]) == "the key of \"CN=moon\" is Ed25519")
        #expect(
            violation(mixed, keys: [.ed25519, .rsa(bits: 2048)]) == "the key of \"CN=Middle\" is ECDSA with 384 bits")
        #expect(
            violation(mixed, keys: [.ed25519, .ecdsa(bits: 256)]) == "the key of \"CN=Root\" is RSA with 3072 bits")
        let edwards = try chain((.ed448, .ed448, .ed448))
        #expect(violation(edwards, keys: [.ed448]) == nil)
        #expect(violation(edwards, keys: [.ed25519]) == "the key of \"CN=moon\" is Ed448")
    }

    /// A curve that signatures of IKE are not checked with may be that of an authority, but fulfils no demand.
    @Test func unknownKeysFulfilNoDemand() throws {
        let curve = TestKey("secp256k1", algorithm: "EC", group: "secp256k1")
        let chain = try chain((.p256, .p256, curve))
        #expect(violation(chain, schemes: [.ecdsa(.sha256)]) == nil)
        #expect(violation(chain, keys: [.ecdsa(bits: 256)]) == "the key of \"CN=Root\" is of an unknown kind")
    }

    @Test func everySignatureOfTheChainCounts() throws {
        let schemes: [SignatureScheme] = [.ecdsa(.sha384), .ecdsa(.sha512)]
        // The root is signed with SHA-256, but nobody relies on that.
        #expect(try violation(chain((.p256, .p256, .p256), digests: ("SHA384", "SHA512")), schemes: schemes) == nil)
        #expect(
            try violation(chain((.p256, .p256, .p256), digests: ("SHA256", "SHA384")), schemes: schemes)
                == "the certificate of \"CN=moon\" is signed by ECDSA with sha256")
        #expect(
            try violation(chain((.p256, .p256, .p256), digests: ("SHA384", "SHA256")), schemes: schemes)
                == "the certificate of \"CN=Middle\" is signed by ECDSA with sha256")
        #expect(
            try violation(chain((.p256, .p256, .rsa), digests: ("SHA384", "SHA384")), schemes: schemes)
                == "the certificate of \"CN=Middle\" is signed by RSA PKCS#1 v1.5 with sha384")
        // What is trusted as it is has no chain.
        let alone = try TestAuthority("CN=Alone").certificate
        #expect(violation([alone], schemes: schemes) == nil)
    }

    /// A salt of any length is the same kind of signature.
    @Test func signaturesOfCertificatesAreTold() throws {
        let pss = TestKey("RSA-PSS", algorithm: "RSA-PSS", bits: 2048)
        let signers: [(TestKey, SignatureScheme)] = [
            (.rsa, .rsaPKCS1(.sha384)), (.p256, .ecdsa(.sha384)), (.p521, .ecdsa(.sha384)), (.ed25519, .ed25519),
            (.ed448, .ed448), (pss, .rsaPSS(.sha384)),
        ]
        for (key, expected) in signers {
            var content = TestCertificate(subject: "CN=moon")
            content.digest = "SHA384"
            let certificate = try TestAuthority("CN=Root", key: key).issue(content)
            let scheme = try certificate.signatureScheme()
            #expect(scheme.isSameKind(as: expected), "\(key.name): \(scheme)")
            let chain = [certificate, try TestAuthority("CN=Root", key: key).certificate]
            #expect(violation(chain, schemes: [expected]) == nil)
            #expect(violation(chain, schemes: [.rsaPKCS1(.sha512)]) != nil)
        }
    }

    @Test func unknownSignaturesFulfilNoDemand() throws {
        var content = TestCertificate(subject: "CN=moon")
        content.digest = "SHA224"
        let root = try TestAuthority("CN=Root")
        let chain = [try root.issue(content), root.certificate]
        #expect(throws: SignatureError.self) { try chain[0].signatureScheme() }
        #expect(violation(chain) == nil)
        #expect(
            violation(chain, schemes: [.ecdsa(.sha256)])
                == "the certificate of \"CN=moon\" is signed by ecdsa-with-SHA224")
    }

    @Test func demandsInWords() {
        let demands = ChainConstraints(
            keys: [.rsa(bits: 3072), .ecdsa(bits: 0), .ed448], schemes: [.rsaPSS(.sha512), .ed448], text: "")
        #expect(demands.keyDescription == "RSA from 3072 bits, ECDSA, Ed448")
        #expect(demands.schemeDescription == "RSA-PSS with sha512, Ed448")
    }
}
