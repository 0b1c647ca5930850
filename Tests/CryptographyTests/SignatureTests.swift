import CLibCrypto
import Cryptography
import Testing

@Suite struct SignatureTests {
    /// RFC 8032 section 7.1, tests 1 to 3.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                + "d25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                + "387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
                + "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]) func signsAsRFC8032Prints(secret: String, message: String, signature: String) throws {
        // PKCS#8 of RFC 8410 around the 32 bytes.
        let key = try PrivateKey(SecretBytes(copying: bytes("302e020100300506032b657004220420" + secret)))
        #expect(hexadecimal(try key.sign(bytes(message), scheme: .ed25519)) == signature)
        try key.publicKey.verify(bytes(signature), of: bytes(message), scheme: .ed25519)
    }

    @Test(arguments: PublishedEd448.all) func signsEd448AsRFC8032Prints(published: PublishedEd448) throws {
        // PKCS#8 of RFC 8410 around the 57 bytes.
        let key = try PrivateKey(
            SecretBytes(copying: bytes("3047020100300506032b6571043b0439" + published.secret)))
        #expect(key.type == .ed448)
        // The key is at the end of its SubjectPublicKeyInfo.
        #expect(hexadecimal(key.publicKey.subjectPublicKeyInfo.suffix(57)) == published.publicKey)
        #expect(hexadecimal(try key.sign(bytes(published.message), scheme: .ed448)) == published.signature)
        try key.publicKey.verify(bytes(published.signature), of: bytes(published.message), scheme: .ed448)
    }

    @Test(arguments: TestKey.all) func verifiesWhatItSigned(key: TestKey) throws {
        let key = try key.privateKey()
        let message = Array("the octets of the first message".utf8)
        var tried = 0
        for scheme in Self.schemes where key.type.fits(scheme) {
            tried += 1
            let signature = try key.sign(message, scheme: scheme)
            try key.publicKey.verify(signature, of: message, scheme: scheme)
            for index in stride(from: 0, to: signature.count, by: 7) {
                var tampered = signature
                tampered[index] ^= 0x10
                expectBad { try key.publicKey.verify(tampered, of: message, scheme: scheme) }
            }
            var other = message
            other[3] ^= 1
            expectBad { try key.publicKey.verify(signature, of: other, scheme: scheme) }
            expectBad { try key.publicKey.verify([], of: message, scheme: scheme) }
            expectBad { try key.publicKey.verify(signature + [0], of: message, scheme: scheme) }
        }
        #expect(tried >= 1)
    }

    @Test(arguments: TestKey.all) func refusesSchemesOfOtherKeys(key: TestKey) throws {
        let key = try key.privateKey()
        let others = Self.schemes.filter { !key.type.fits($0) }
        #expect(!others.isEmpty)
        for scheme in others {
            let mismatch = SignatureError.schemeMismatch(scheme: scheme, key: key.type)
            #expect(throws: mismatch) { try key.sign([1], scheme: scheme) }
            #expect(throws: mismatch) { try key.publicKey.verify([1], of: [1], scheme: scheme) }
        }
    }

    /// RFC 4754: the raw form has a fixed length, and says the same as DER.
    @Test(arguments: [(TestKey.p256, 9, 64), (.p384, 10, 96), (.p521, 11, 132)] as [(TestKey, UInt8, Int)])
    func rawAndDERFormsOfECDSA(key: TestKey, method: UInt8, length: Int) throws {
        let key = try key.privateKey()
        let scheme = try #require(SignatureScheme(ecdsaAuthenticationMethod: method))
        for round in 0..<20 as Range<UInt8> {
            let raw = try key.sign([round], scheme: scheme)
            #expect(raw.count == length)
            try key.publicKey.verify(raw, of: [round], scheme: scheme)
            expectBad { try key.publicKey.verify(raw, of: [round], scheme: .ecdsa(scheme.hash)) }
            let der = try key.sign([round], scheme: .ecdsa(scheme.hash))
            #expect(der.first == 0x30)
            expectBad { try key.publicKey.verify(der, of: [round], scheme: scheme) }
        }
        #expect(SignatureScheme(ecdsaAuthenticationMethod: 12) == nil)
    }

    /// RFC 7427 appendix A, RFC 8420 appendix A.
    @Test(arguments: [
        (SignatureScheme.rsaPKCS1(.sha1), "300d06092a864886f70d0101050500"),
        (.rsaPKCS1(.sha256), "300d06092a864886f70d01010b0500"),
        (.rsaPKCS1(.sha384), "300d06092a864886f70d01010c0500"),
        (.rsaPKCS1(.sha512), "300d06092a864886f70d01010d0500"),
        (.ecdsa(.sha256), "300a06082a8648ce3d040302"), (.ecdsa(.sha384), "300a06082a8648ce3d040303"),
        (.ecdsa(.sha512), "300a06082a8648ce3d040304"), (.ed25519, "300506032b6570"), (.ed448, "300506032b6571"),
    ]) func writesAlgorithmIdentifiersAsPublished(scheme: SignatureScheme, der: String) throws {
        #expect(scheme.algorithmIdentifier.map(hexadecimal) == der)
        #expect(try SignatureScheme(algorithmIdentifier: bytes(der)) == scheme)
    }

    /// RFC 7427 A.4.3 writes the trailer field's default out; DER leaves it away.
    @Test func readsPSSParametersAsPublished() throws {
        let hash = "300d06096086480165030402010500"
        let published =
            "304606092a864886f70d01010a3039a00f" + hash + "a11c301a06092a864886f70d010108" + hash + "a203020120"
            + "a303020101"
        #expect(try SignatureScheme(algorithmIdentifier: bytes(published)) == .rsaPSS(.sha256))
        let withoutNull =
            "303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d010108"
            + "300b0609608648016503040201a203020120"
        #expect(try SignatureScheme(algorithmIdentifier: bytes(withoutNull)) == .rsaPSS(.sha256))
        for hash in [SignatureHash.sha256, .sha384, .sha512] {
            for salt in [0, 20, hash.length] {
                let scheme = SignatureScheme.rsaPSS(hash, saltLength: salt)
                let der = try #require(scheme.algorithmIdentifier)
                #expect(try SignatureScheme(algorithmIdentifier: der) == scheme)
            }
        }
    }

    @Test(arguments: [
        "", "30", "3000", "300d06092a864886f70d01010b050000", "0500",
        // PSS with empty parameters and with SHA-1 (RFC 7427 A.4.1, A.4.2), dsa-with-sha256, ecdsa-with-sha1.
        "300d06092a864886f70d01010a3000", "300b06092a864886f70d01010a",
        "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108300906052b0e03021a05"
            + "00a203020114a303020101",
        "300b0609608648016503040302", "300906072a8648ce3d0401",
    ]) func refusesOtherAlgorithms(der: String) {
        #expect(throws: SignatureError.self) { try SignatureScheme(algorithmIdentifier: bytes(der)) }
    }

    @Test func cutsAuthenticationData() throws {
        let data = try #require(SignatureScheme.ecdsa(.sha256).authenticationData(signature: [1, 2, 3]))
        #expect(hexadecimal(data) == "0c300a06082a8648ce3d040302010203")
        let parsed = try SignatureScheme.parse(authenticationData: data)
        #expect(parsed.scheme == .ecdsa(.sha256) && parsed.signature == [1, 2, 3])
        for count in 0..<13 {
            #expect(throws: SignatureError.self) {
                try SignatureScheme.parse(authenticationData: Array(data[..<count]))
            }
        }
    }

    /// The hash as strong as the key first, then stronger ones, then weaker ones.
    @Test func choosesTheScheme() {
        let all: [SignatureHash] = [.sha1, .sha256, .sha384, .sha512, .identity]
        #expect(SignatureKeyType.ecdsa(bits: 384).scheme(for: all, preferringPSS: false) == .ecdsa(.sha384))
        #expect(SignatureKeyType.ecdsa(bits: 384).scheme(for: [.sha256], preferringPSS: false) == .ecdsa(.sha256))
        #expect(
            SignatureKeyType.ecdsa(bits: 256).scheme(for: [.sha512, .sha384], preferringPSS: true) == .ecdsa(.sha384))
        #expect(SignatureKeyType.rsa(bits: 2048).scheme(for: all, preferringPSS: true) == .rsaPSS(.sha256))
        #expect(SignatureKeyType.rsa(bits: 4096).scheme(for: all, preferringPSS: false) == .rsaPKCS1(.sha384))
        #expect(SignatureKeyType.rsa(bits: 4096).scheme(for: [.sha1], preferringPSS: false) == nil)
        #expect(SignatureKeyType.ed25519.scheme(for: all, preferringPSS: true) == .ed25519)
        #expect(SignatureKeyType.ed25519.scheme(for: [.sha512], preferringPSS: true) == nil)
        #expect(SignatureKeyType.ed448.scheme(for: all, preferringPSS: false) == .ed448)
        #expect(SignatureKeyType.ed448.scheme(for: [.sha512], preferringPSS: false) == nil)
    }

    static let schemes: [SignatureScheme] =
        [.rsaPKCS1(.sha1), .ed25519, .ed448]
        + [.sha256, .sha384, .sha512].flatMap { (hash: SignatureHash) in
            [.rsaPKCS1(hash), .rsaPSS(hash), .rsaPSS(hash, saltLength: 20), .ecdsa(hash), .ecdsaConcatenated(hash)]
        }

    private func expectBad(_ verify: () throws -> Void, _ location: SourceLocation = #_sourceLocation) {
        #expect(throws: SignatureError.badSignature, sourceLocation: location) { try verify() }
    }
}
