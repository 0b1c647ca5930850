import Cryptography
import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// AUTH payloads of one side, verified by the other.
@Suite struct AuthenticationTests {
    /// 2026-11-23.
    static let now: Int64 = 1_795_392_000

    @Test func aSharedKeyProvesWhatTheRFCSays() throws {
        var credentials = Credentials()
        credentials.sharedKeys = [shared("ike-moon", "secret", .domainName("moon.example.org"))]
        let side = context(.preSharedKey, .preSharedKey, credentials)
        let proof = try PeerAuthentication.prove(octets(.domainName("moon.example.org")), to: .any, requests: [], side)
        #expect(proof.authentication.method == .sharedKey)
        // prf(prf("secret", "Key Pad for IKEv2"), 00..27 | aa*16 | prf(07*32, 02000000 | "moon.example.org")), all
        // HMAC-SHA-256, computed with Python's `hmac`.
        #expect(
            hexadecimal(proof.authentication.data)
                == "3f0b4ee6f370a18fe81b37e8226ecd3aea5adf8a04c45fa93d700a6a88ee8565")
        let peer = try PeerAuthentication.verify(
            proof.authentication, of: octets(.domainName("moon.example.org")), to: .domainName("sun"), certificates: [],
            side)
        #expect(peer.identity == .domainName("moon.example.org"))
    }

    @Test func anotherSharedKeyIsRefusedWithoutTellingIt() throws {
        var (ours, theirs) = (Credentials(), Credentials())
        ours.sharedKeys = [shared("ike-a", "topsecret-a")]
        theirs.sharedKeys = [shared("ike-b", "topsecret-b")]
        let proof = try PeerAuthentication.prove(
            octets(.domainName("moon")), to: .any, requests: [], context(.preSharedKey, .preSharedKey, theirs))
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: octets(.domainName("moon")), to: .domainName("sun"), certificates: [],
                context(.preSharedKey, .preSharedKey, ours))
        }
        let text = failure?.explanation.description ?? ""
        #expect(text.contains("moon") && text.contains("secrets.ike-a"))
        #expect(!text.contains("topsecret"))
    }

    @Test func theClosestSharedKeyIsTaken() throws {
        var credentials = Credentials()
        credentials.sharedKeys = [
            shared("everybody", "1"), shared("domain", "2", .domainName("*.example.org")),
            shared("moon", "3", .domainName("moon.example.org")),
            shared("moon-and-sun", "4", .domainName("moon.example.org"), .domainName("sun.example.org")),
            shared("address", "5", .address(IPAddress(ipv4: 0xC000_0202))),
        ]
        func name(_ local: String, _ remote: Identity) throws -> String {
            let side = context(.preSharedKey, .preSharedKey, credentials)
            return try SharedKeyLookup(local: .domainName(local), remote: remote, side).all()[0].name
        }
        #expect(try name("sun.example.org", .domainName("moon.example.org")) == "moon-and-sun")
        #expect(try name("x", .domainName("venus.example.org")) == "address", "its address says more than a wildcard")
        #expect(try name("x", .email("a@b")) == "address")
        credentials.sharedKeys.removeLast()
        #expect(try name("x", .domainName("venus.example.org")) == "domain")
        #expect(try name("x", .email("a@b")) == "everybody")
        credentials.sharedKeys.removeFirst()
        let failure = #expect(throws: Refusal.self) { try name("x", .email("a@b")) }
        #expect(failure?.explanation.details.last?.contains("moon for moon.example.org") == true)
        #expect(failure?.explanation.remedy.contains("id = a@b") == true)
    }

    /// Old and new key during a change: either proves the peer, and the answer comes by the same.
    @Test func oneOfSeveralKeysOfThePeer() throws {
        let (moon, sun) = (Identity.domainName("moon"), Identity.domainName("sun"))
        var side = context(.preSharedKey, .preSharedKey, Credentials())
        side.credentials.sharedKeys = [
            shared("old", "1", moon), shared("new", "2", moon, sun), shared("everybody", "3"),
        ]
        func proof(_ secret: String) throws -> AuthenticationPayload {
            var peer = context(.preSharedKey, .preSharedKey, Credentials())
            peer.credentials.sharedKeys = [shared("x", secret)]
            return try PeerAuthentication.prove(octets(moon), to: sun, requests: [], peer).authentication
        }
        for (name, secret) in [("old", "1"), ("new", "2")] {
            let peer = try PeerAuthentication.verify(
                proof(secret), of: octets(moon), to: sun, certificates: [], side)
            #expect(peer.sharedKey?.name == name)
            var answering = side
            answering.verifiedPeer = peer
            let answer = try PeerAuthentication.prove(octets(moon), to: moon, requests: [], answering)
            #expect(try answer.authentication == proof(secret))
        }
        // A key for everybody does not prove who has one of its own.
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(proof("3"), of: octets(moon), to: sun, certificates: [], side)
        }
        #expect(failure?.explanation.details.last == "keys compared: new, old")
    }

    /// A key that names us and another peer says nothing of a third one. One that names us alone is for whoever has it.
    @Test func aKeyIsForThoseThatItNames() throws {
        let (us, carol) = (Identity.domainName("moon"), Identity.domainName("carol"))
        func names(_ owners: Identity...) throws -> [String] {
            var side = context(.preSharedKey, .preSharedKey, Credentials())
            side.credentials.sharedKeys = [.init(name: "key", owners: owners, secret: SecretBytes(copying: [1]))]
            return try SharedKeyLookup(local: us, remote: carol, side).all().map(\.name)
        }
        #expect(try names(us) == ["key"])
        #expect(try names(us, .address(IPAddress(ipv4: 0xC000_0201))) == ["key"], "our name and our address")
        #expect(try names(us, carol) == ["key"])
        #expect(try names(us, .any) == ["key"])
        #expect(throws: Refusal.self) { try names(us, .domainName("right1")) }
        #expect(throws: Refusal.self) { try names(.domainName("right1")) }
    }

    @Test func whoTheConnectionIsNotForIsRefused() throws {
        var credentials = Credentials()
        credentials.sharedKeys = [shared("ike", "secret")]
        var side = context(.preSharedKey, .preSharedKey, credentials)
        let proof = try PeerAuthentication.prove(octets(.domainName("moon")), to: .any, requests: [], side)
        side.connection.remote.identity = .domainName("*.example.org")
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: octets(.domainName("moon")), to: .any, certificates: [], side)
        }
        #expect(failure?.explanation.details == ["identity tried: moon", "identity configured: *.example.org"])
    }

    /// The key decides how it is signed, and so do the hashes of the peer (RFC 7427 section 4).
    @Test(
        arguments: [
            ("rsa", [.sha256, .sha512], "RSA-PSS with sha256", 14), ("rsa", nil, "RSA PKCS#1 v1.5 with sha1", 1),
            ("rsa", [.sha512], "RSA-PSS with sha512", 14), ("moon", [.sha256], "ECDSA with sha256", 14),
            ("moon", nil, "ECDSA with sha256", 9), ("moon", [.sha1], "ECDSA with sha256", 9),
            ("ed25519", SignatureHash.offered, "Ed25519", 14),
        ] as [(String, [SignatureHash]?, String, UInt8)])
    func everyKindOfKeyProves(_ owner: String, _ hashes: [SignatureHash]?, _ scheme: String, _ method: UInt8) throws {
        let identity = Identity.domainName("\(owner).example.org")
        let prover = try context(owner, hashes: hashes)
        let proof = try PeerAuthentication.prove(octets(identity), to: .any, requests: [], prover)
        #expect(proof.authentication.method.rawValue == method)
        let peer = try PeerAuthentication.verify(
            proof.authentication, of: octets(identity), to: .any, certificates: proof.certificates,
            context(nil, hashes: hashes))
        #expect(peer.method.hasSuffix(scheme))
        #expect(peer.certificate?.confirms(identity) == true)

        var other = octets(identity)
        other.message[0] ^= 1
        #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: other, to: .any, certificates: proof.certificates,
                context(nil, hashes: hashes))
        }
    }

    /// RFC 8420: by a certificate, whose chain is of Ed448 too, and by the key alone.
    @Test func ed448Proves() throws {
        let identity = Identity.domainName("ed448.example.org")
        let prover = try context("ed448", hashes: SignatureHash.offered)
        var verifier = try context(nil, hashes: SignatureHash.offered)
        let proof = try PeerAuthentication.prove(octets(identity), to: .any, requests: [], prover)
        #expect(proof.authentication.method.rawValue == 14)
        // Its length, the AlgorithmIdentifier of RFC 8420 appendix A.2, and 114 bytes.
        #expect(proof.authentication.data.prefix(8) == [7, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71])
        #expect(proof.authentication.data.count == 122)
        func verified(_ octets: SignedOctets, _ certificates: [CertificatePayload]) throws -> VerifiedPeer {
            try PeerAuthentication.verify(
                proof.authentication, of: octets, to: .any, certificates: certificates, verifier)
        }
        #expect(throws: Refusal.self, "nobody trusts Edwards Root") {
            try verified(octets(identity), proof.certificates)
        }
        verifier.credentials.authorities.append(try TestCertificates.certificate(CertificateData.edwardsRoot))
        #expect(try verified(octets(identity), proof.certificates).method == "Ed448, Ed448")
        verifier.connection.remote.publicKeys = [try TestCertificates.key(CertificateData.ed448Key).publicKey]
        #expect(try verified(octets(identity), []).certificate == nil)
        var other = octets(identity)
        other.message[0] ^= 1
        for certificates in [proof.certificates, []] {
            #expect(throws: Refusal.self) { try verified(other, certificates) }
        }
        verifier.connection.remote.method = .publicKey(schemes: [.ed25519])
        #expect(throws: Refusal.self) { try verified(octets(identity), proof.certificates) }
    }

    @Test func ed25519NeedsAPeerWithItsHash() throws {
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.prove(
                octets(.domainName("ed25519.example.org")), to: .any, requests: [],
                context("ed25519", hashes: [.sha256]))
        }
        #expect(failure?.explanation.details.contains("our key: Ed25519") == true)
    }

    /// SHA-1 is only for peers that cannot do better.
    @Test func sha1IsRefusedFromThoseWhoCanDoBetter() throws {
        let identity = Identity.domainName("rsa.example.org")
        let old = try PeerAuthentication.prove(
            octets(identity), to: .any, requests: [], context("rsa", hashes: nil))
        #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                old.authentication, of: octets(identity), to: .any, certificates: old.certificates,
                context(nil, hashes: [.sha256]))
        }
    }

    /// A peer that announces better hashes and signs with SHA-1 all the same, where the connection allows that by name.
    @Test func sha1IsAcceptedByName() throws {
        let identity = Identity.domainName("rsa.example.org")
        let old = try PeerAuthentication.prove(
            octets(identity), to: .any, requests: [], context("rsa", hashes: nil))
        var verifier = try context(nil, hashes: [.sha256])
        verifier.connection.remote.method = .publicKey(schemes: [.rsaPKCS1(.sha1), .rsaPKCS1(.sha256)])
        let peer = try PeerAuthentication.verify(
            old.authentication, of: octets(identity), to: .any, certificates: old.certificates, verifier)
        #expect(peer.method == "RSA 2048, RSA PKCS#1 v1.5 with sha1")
        verifier.peerHashes = nil
        verifier.connection.remote.method = .publicKey(schemes: [.rsaPKCS1(.sha256)])
        #expect(throws: Refusal.self, "nor is it accepted for want of better where it is not named") {
            try PeerAuthentication.verify(
                old.authentication, of: octets(identity), to: .any, certificates: old.certificates, verifier)
        }
    }

    /// Who signs by PKCS#1 v1.5 may be unable to verify PSS, and RFC 7427's notify does not tell.
    @Test(arguments: [
        (SignatureScheme.rsaPKCS1(.sha256), "RSA PKCS#1 v1.5 with sha256"), (.rsaPSS(.sha256), "RSA-PSS with sha256"),
        (.ecdsa(.sha256), "RSA-PSS with sha256"),
    ]) func anAnswerIsSignedAsThePeerSigns(_ scheme: SignatureScheme, _ expected: String) throws {
        let identity = Identity.domainName("rsa.example.org")
        var side = try context("rsa", hashes: SignatureHash.offered)
        side.verifiedPeer = VerifiedPeer(identity: .any, method: "", scheme: scheme)
        let proof = try PeerAuthentication.prove(octets(identity), to: .any, requests: [], side)
        #expect(proof.authentication.method == .digitalSignature)
        let (signed, _) = try SignatureScheme.parse(authenticationData: proof.authentication.data)
        #expect(signed.description == expected)
    }

    @Test func schemesOfTheConnectionBindBothSides() throws {
        let identity = Identity.domainName("rsa.example.org")
        var prover = try context("rsa", hashes: SignatureHash.offered)
        prover.connection.local.method = .publicKey(schemes: [.ecdsa(.sha256), .rsaPKCS1(.sha384)])
        let proof = try PeerAuthentication.prove(octets(identity), to: .any, requests: [], prover)
        var verifier = try context(nil, hashes: SignatureHash.offered)
        let peer = try PeerAuthentication.verify(
            proof.authentication, of: octets(identity), to: .any, certificates: proof.certificates, verifier)
        #expect(peer.method == "RSA 2048, RSA PKCS#1 v1.5 with sha384")
        verifier.connection.remote.method = .publicKey(schemes: [.rsaPSS(.sha384)])
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: octets(identity), to: .any, certificates: proof.certificates, verifier)
        }
        #expect(failure?.explanation.details.last == "accepted: RSA-PSS with sha384")
    }

    @Test func aProofOfTheOtherKindIsRefused() throws {
        var credentials = Credentials()
        credentials.sharedKeys = [shared("ike", "secret")]
        let proof = try PeerAuthentication.prove(
            octets(.domainName("moon")), to: .any, requests: [], context(.preSharedKey, .preSharedKey, credentials))
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: octets(.domainName("moon")), to: .any, certificates: [],
                context(nil, hashes: nil))
        }
        #expect(failure?.explanation.remedy.contains("remote.auth = psk") == true)
    }

    private func shared(_ name: String, _ secret: String, _ owners: Identity...) -> Credentials.SharedKey {
        Credentials.SharedKey(name: name, owners: owners, secret: SecretBytes(copying: secret.utf8))
    }
}

// MARK: - Sides of an authentication

/// What a side with `identity` signs.
func octets(_ identity: Identity) -> SignedOctets {
    SignedOctets(
        message: Array(0..<40), peerNonce: Array(repeating: 0xAA, count: 16),
        identity: identity.payload ?? IdentificationPayload(type: .keyID, data: [0]),
        key: SecretBytes(copying: Array(repeating: 7, count: 32)), function: .hmacSHA256)
}

func context(
    _ local: AuthenticationKind, _ remote: AuthenticationKind, _ credentials: Credentials,
    hashes: [SignatureHash]? = nil
) -> AuthenticationContext {
    AuthenticationContext(
        connection: Connection(
            name: "hq", proposals: IKEProposal.default, local: LocalAuthentication(method: local),
            remote: RemoteAuthentication(method: remote)),
        credentials: credentials,
        path: Path(
            local: Endpoint(IPAddress(ipv4: 0xC000_0201), port: 500),
            remote: Endpoint(IPAddress(ipv4: 0xC000_0202), port: 500)), peerHashes: hashes,
        wallClock: AuthenticationTests.now)
}

/// A side that has the certificate and key of `owner`, or none, and that trusts Root.
func context(_ owner: String?, hashes: [SignatureHash]?) throws -> AuthenticationContext {
    var credentials = Credentials()
    credentials.authorities = [try TestCertificates.certificate(CertificateData.root)]
    let all = [
        "moon": (CertificateData.moon, CertificateData.moonKey), "sun": (CertificateData.sun, CertificateData.sunKey),
        "rsa": (CertificateData.rsa, CertificateData.rsaKey),
        "ed25519": (CertificateData.ed25519, CertificateData.ed25519Key),
        "ed448": (CertificateData.ed448, CertificateData.ed448Key),
        "expired": (CertificateData.expired, CertificateData.expiredKey),
        "revoked": (CertificateData.revoked, CertificateData.revokedKey),
    ]
    if let (certificate, key) = owner.flatMap({ all[$0] }) {
        credentials.certificates = [
            try TestCertificates.certificate(certificate), try TestCertificates.certificate(CertificateData.middle),
        ]
        credentials.privateKeys = [try TestCertificates.key(key)]
    }
    var side = context(.publicKey(schemes: []), .publicKey(schemes: []), credentials, hashes: hashes)
    side.connection.sendCertificate = .always
    return side
}
