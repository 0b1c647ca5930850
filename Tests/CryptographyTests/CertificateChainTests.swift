import CLibCrypto
import Cryptography
import Testing

@Suite struct CertificateChainTests {
    private let root: TestAuthority
    private let middle: TestAuthority
    private let now = TestAuthority.now

    init() throws {
        root = try TestAuthority("CN=Root", key: .p384)
        var content = TestCertificate(subject: "CN=Middle", key: .p521, isAuthority: true)
        content.keyUsage = "critical,keyCertSign,cRLSign"
        middle = try root.authority(content)
    }

    @Test(arguments: TestKey.all) func acceptsGoodChains(key: TestKey) throws {
        let leaf = try middle.issue(TestCertificate(subject: "CN=moon", key: key))
        let store = try TrustStore(authorities: [root.certificate])
        let chain = try store.verify(leaf, intermediates: [middle.certificate], at: now)
        #expect(chain == [leaf, middle.certificate, root.certificate])
        #expect(chain.first?.subject.description == "CN=moon")
    }

    @Test func everySignatureAlgorithmOfAuthorities() throws {
        for key in TestKey.all {
            let root = try TestAuthority("CN=Root of \(key.name)", key: key)
            let leaf = try root.issue(TestCertificate(subject: "CN=moon"))
            _ = try TrustStore(authorities: [root.certificate]).verify(leaf, at: now)
        }
    }

    @Test func trustEndsTheChain() throws {
        let leaf = try middle.issue(TestCertificate(subject: "CN=moon"))
        // An intermediate authority that is trusted as it is, and a certificate that is.
        #expect(try TrustStore(authorities: [middle.certificate]).verify(leaf, at: now) == [leaf, middle.certificate])
        #expect(try TrustStore(authorities: [leaf]).verify(leaf, at: now) == [leaf])
    }

    @Test func validityAtTheGivenTime() throws {
        let leaf = try root.issue(TestCertificate(subject: "CN=moon"))
        let store = try TrustStore(authorities: [root.certificate])
        for time in [now - 999, now, now + 999] { _ = try store.verify(leaf, at: time) }
        let expired = CertificateError.expired(subject: "CN=moon", since: now + 1000)
        #expect(throws: expired) { try store.verify(leaf, at: now + 1001) }
        #expect(expired.description == "certificate \"CN=moon\" expired at 2027-01-15 08:16:40 UTC")
        #expect(throws: CertificateError.notYetValid(subject: "CN=moon", until: now - 1000)) {
            try store.verify(leaf, at: now - 1001)
        }
        // The root counts too.
        #expect(throws: CertificateError.expired(subject: "CN=Root", since: now + 100_000)) {
            var content = TestCertificate(subject: "CN=sun")
            content.validity = now...now + 1_000_000
            _ = try store.verify(root.issue(content), at: now + 200_000)
        }
    }

    @Test func refusesUnknownAuthorities() throws {
        let leaf = try middle.issue(TestCertificate(subject: "CN=moon"))
        let store = try TrustStore(authorities: [root.certificate])
        let missing = CertificateError.unknownAuthority(subject: "CN=moon", issuer: "CN=Middle")
        #expect(throws: missing) { try store.verify(leaf, at: now) }
        #expect(missing.description.contains("issued by \"CN=Middle\", which is not among the trusted"))
        let stranger = try TestAuthority("CN=Stranger")
        let strange = try stranger.issue(TestCertificate(subject: "CN=moon"))
        #expect(throws: CertificateError.unknownAuthority(subject: "CN=moon", issuer: "CN=Stranger")) {
            try store.verify(strange, at: now)
        }
        // What the peer sends is not trusted, however it signs itself.
        #expect(throws: CertificateError.untrustedRoot(subject: "CN=Stranger")) {
            try store.verify(strange, intermediates: [stranger.certificate], at: now)
        }
        #expect(throws: CertificateError.untrustedRoot(subject: "CN=Stranger")) {
            try store.verify(stranger.certificate, at: now)
        }
        #expect(throws: CertificateError.self) { try TrustStore(authorities: []).verify(leaf, at: now) }
    }

    @Test func refusesForgedSignatures() throws {
        // Same name as the root, another key.
        let impostor = try TestAuthority("CN=Root", key: .p256)
        let forged = try impostor.issue(TestCertificate(subject: "CN=moon"))
        let store = try TrustStore(authorities: [root.certificate])
        #expect(throws: CertificateError.wrongSignature(subject: "CN=moon", issuer: "CN=Root")) {
            try store.verify(forged, at: now)
        }
        let leaf = try root.issue(TestCertificate(subject: "CN=moon"))
        var tampered = leaf.der
        tampered[tampered.count - 1] ^= 1
        let damaged = try Certificate(der: tampered)
        #expect(throws: CertificateError.wrongSignature(subject: "CN=moon", issuer: "CN=Root")) {
            try store.verify(damaged, at: now)
        }
    }

    @Test func refusesWrongUsage() throws {
        let store = try TrustStore(authorities: [root.certificate])
        var content = TestCertificate(subject: "CN=moon")
        content.keyUsage = "keyEncipherment"
        let encrypting = try root.issue(content)
        #expect(throws: CertificateError.wrongUsage(subject: "CN=moon")) { try store.verify(encrypting, at: now) }
        for usage in ["digitalSignature", "nonRepudiation", "critical,digitalSignature,keyEncipherment"] {
            content.keyUsage = usage
            _ = try store.verify(root.issue(content), at: now)
        }
        // An ordinary certificate that issued another one.
        let ordinary = try root.authority(TestCertificate(subject: "CN=Ordinary"))
        let leaf = try ordinary.issue(TestCertificate(subject: "CN=moon"))
        #expect(throws: CertificateError.notAuthority(subject: "CN=Ordinary")) {
            try store.verify(leaf, intermediates: [ordinary.certificate], at: now)
        }
        // An authority that may sign CRLs only.
        var limited = TestCertificate(subject: "CN=Limited", isAuthority: true)
        limited.keyUsage = "cRLSign"
        let authority = try root.authority(limited)
        #expect(throws: CertificateError.self) {
            try store.verify(
                authority.issue(TestCertificate(subject: "CN=moon")), intermediates: [authority.certificate], at: now)
        }
    }

    /// RFC 4945 section 5.1.3.12, and the purposes of TLS, which many gateways' certificates have alone.
    @Test(arguments: [
        ("serverAuth", true), ("clientAuth", true), ("1.3.6.1.5.5.7.3.17", true), ("anyExtendedKeyUsage", true),
        ("critical,1.3.6.1.5.5.8.2.2", true), ("ipsecTunnel,emailProtection", true), ("emailProtection", false),
        ("codeSigning,timeStamping", false), ("critical,OCSPSigning", false), ("1.2.3.4", false),
    ]) func extendedKeyUsage(_ usage: String, isAccepted: Bool) throws {
        let store = try TrustStore(authorities: [root.certificate])
        var content = TestCertificate(subject: "CN=moon")
        content.extensions = [NID_ext_key_usage: usage]
        let leaf = try root.issue(content)
        if isAccepted {
            _ = try store.verify(leaf, at: now)
            try TrustStore(authorities: []).verify(pinned: leaf, at: now)
        } else {
            #expect {
                try store.verify(leaf, at: now)
            } throws: {
                if case CertificateError.wrongPurpose(subject: "CN=moon", _) = $0 { true } else { false }
            }
            #expect(throws: CertificateError.self) { try TrustStore(authorities: []).verify(pinned: leaf, at: now) }
        }
    }

    /// policyConstraints with requireExplicitPolicy: every certificate below needs a policy that goes through the chain
    /// (RFC 5280 section 6.1).
    @Test func policiesThatAreRequired() throws {
        var content = TestCertificate(subject: "CN=Demanding", key: .p521, isAuthority: true)
        content.keyUsage = "critical,keyCertSign,cRLSign"
        content.extensions = [
            NID_policy_constraints: "critical,requireExplicitPolicy:0", NID_certificate_policies: "1.2.3.4",
        ]
        let demanding = try root.authority(content)
        let store = try TrustStore(authorities: [root.certificate])
        func verify(_ policy: String?) throws {
            var leaf = TestCertificate(subject: "CN=moon")
            if let policy { leaf.extensions = [NID_certificate_policies: policy] }
            _ = try store.verify(demanding.issue(leaf), intermediates: [demanding.certificate], at: now)
        }
        try verify("1.2.3.4")
        #expect(throws: CertificateError.rejected(subject: "CN=moon", reason: "no explicit policy")) { try verify(nil) }
        #expect(throws: CertificateError.self) { try verify("1.2.3.5") }
    }

    @Test func refusesWeakCertificates() throws {
        let store = try TrustStore(authorities: [root.certificate])
        let weak = TestKey("RSA 1024", algorithm: "RSA", bits: 1024)
        let small = try root.issue(TestCertificate(subject: "CN=moon", key: weak))
        #expect(performing: { try store.verify(small, at: now) }, throws: isWeak)
        var content = TestCertificate(subject: "CN=moon")
        content.digest = "SHA1"
        let old = try root.issue(content)
        #expect(performing: { try store.verify(old, at: now) }, throws: isWeak)
    }

    private func isWeak(_ error: any Error) -> Bool {
        if case CertificateError.weak(subject: "CN=moon", _) = error { true } else { false }
    }
}
