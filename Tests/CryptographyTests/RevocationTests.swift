import CLibCrypto
import Cryptography
import Testing

@Suite struct RevocationTests {
    private let root: TestAuthority
    private let leaf: Certificate
    /// Says where its CRL is.
    private let pointing: Certificate
    private let now = TestAuthority.now

    init() throws {
        root = try TestAuthority("CN=Root")
        leaf = try root.issue(TestCertificate(subject: "CN=moon"))
        var content = TestCertificate(subject: "CN=sun")
        content.revocationSource = "URI:http://example.org/root.crl"
        pointing = try root.issue(content)
    }

    private func store(_ lists: RevocationList...) throws -> TrustStore {
        try TrustStore(authorities: [root.certificate], revocationLists: RevocationListSet(lists))
    }

    @Test(arguments: RevocationPolicy.allCases) func revokedIsRefused(policy: RevocationPolicy) throws {
        let store = try store(root.revocationList([leaf]))
        let error = CertificateError.revoked(
            subject: "CN=moon", serialNumber: leaf.serialNumber, since: now - 500, reason: "key compromise")
        #expect(throws: error) { try store.verify(leaf, at: now, revocation: policy) }
        #expect(error.description.hasSuffix("was revoked at 2027-01-15 07:51:40 UTC: key compromise"))
        _ = try store.verify(pointing, at: now, revocation: policy)
    }

    /// An old list cannot prove that a certificate is good, but that it was revoked.
    @Test(arguments: RevocationPolicy.allCases) func revokedInAnOldListIsRefused(policy: RevocationPolicy) throws {
        let store = try store(root.revocationList([pointing], validity: now - 500...now - 100))
        #expect(throws: CertificateError.self) { try store.verify(pointing, at: now, revocation: policy) }
    }

    @Test func withoutAnyList() throws {
        let store = try store()
        _ = try store.verify(leaf, at: now, revocation: .relaxed)
        _ = try store.verify(pointing, at: now, revocation: .relaxed)
        _ = try store.verify(leaf, at: now, revocation: .ifURI)
        let missing = CertificateError.noRevocationList(subject: "CN=sun", issuer: "CN=Root")
        #expect(throws: missing) { try store.verify(pointing, at: now, revocation: .ifURI) }
        #expect(throws: missing) { try store.verify(pointing, at: now, revocation: .strict) }
        #expect(throws: CertificateError.noRevocationList(subject: "CN=moon", issuer: "CN=Root")) {
            try store.verify(leaf, at: now, revocation: .strict)
        }
    }

    @Test func withAnOldList() throws {
        let store = try store(root.revocationList([], validity: now - 500...now - 100))
        _ = try store.verify(pointing, at: now, revocation: .relaxed)
        _ = try store.verify(leaf, at: now, revocation: .ifURI)
        let stale = CertificateError.staleRevocationList(subject: "CN=sun", issuer: "CN=Root")
        #expect(throws: stale) { try store.verify(pointing, at: now, revocation: .ifURI) }
        #expect(throws: stale) { try store.verify(pointing, at: now, revocation: .strict) }
        // It was good when it was current.
        _ = try store.verify(pointing, at: now - 200, revocation: .strict)
    }

    @Test func aListOfAnotherAuthorityDoesNotCount() throws {
        let other = try TestAuthority("CN=Other")
        let foreign = try store(other.revocationList([leaf]))
        _ = try foreign.verify(leaf, at: now, revocation: .relaxed)
        #expect(throws: CertificateError.self) { try foreign.verify(leaf, at: now, revocation: .strict) }
        // Nor does one that another key signed.
        let forged = try store(root.revocationList([], signer: .p384))
        #expect(throws: CertificateError.self) { try forged.verify(leaf, at: now, revocation: .strict) }
    }

    /// Every authority below the trusted one is asked about as well.
    @Test func revokedIntermediate() throws {
        var content = TestCertificate(subject: "CN=Middle", key: .p384, isAuthority: true)
        content.keyUsage = "keyCertSign,cRLSign"
        let middle = try root.authority(content)
        let leaf = try middle.issue(TestCertificate(subject: "CN=moon"))
        let chain = [middle.certificate]
        let revoking = try store(root.revocationList([middle.certificate]), middle.revocationList([]))
        #expect(throws: CertificateError.self) { try revoking.verify(leaf, intermediates: chain, at: now) }
        let complete = try store(root.revocationList([]), middle.revocationList([]))
        #expect(try complete.verify(leaf, intermediates: chain, at: now, revocation: .strict).count == 3)
        let incomplete = try store(middle.revocationList([]))
        #expect(throws: CertificateError.noRevocationList(subject: "CN=Middle", issuer: "CN=Root")) {
            try incomplete.verify(leaf, intermediates: chain, at: now, revocation: .strict)
        }
    }

    /// Nobody checks a trusted authority: no list has the root unless the root is to be distrusted anyway.
    @Test func whatIsTrustedIsNotAskedAbout() throws {
        let store = try store(root.revocationList([root.certificate]))
        for policy in RevocationPolicy.allCases { _ = try store.verify(leaf, at: now, revocation: policy) }
    }

    /// The authority was renewed with another key, and both are trusted; only the list of the new key is there.
    @Test(arguments: [true, false]) func aListOfTheNewKeyAlone(namesKey: Bool) throws {
        let scene = try RevocationScene()
        func verify(_ revoked: [Certificate], _ policy: RevocationPolicy) throws {
            let list = try scene.renewed.revocationList(RevocationCase.list(revoked) { $0.namesKey = namesKey })
            let store = try TrustStore(
                authorities: [scene.root.certificate, scene.renewed.certificate], revocationLists: [list])
            _ = try store.verify(scene.pointing, at: now, revocation: policy)
        }
        // The keys may have lists of their own, so that this one does not tell that the certificate is good.
        try verify([], .relaxed)
        for policy in [RevocationPolicy.strict, .ifURI] {
            #expect {
                try verify([], policy)
            } throws: { error in
                "\(error)".contains("another trusted authority")
            }
        }
        // But it is the authority that says so when it is in the list.
        for policy in RevocationPolicy.allCases {
            #expect {
                try verify([scene.pointing], policy)
            } throws: { error in
                "\(error)".contains("was revoked")
            }
        }
    }

    /// Every cut and every flipped byte of a list is read or refused, and never a crash; what is read is signed no more.
    @Test func aDamagedListSaysNothing() throws {
        let scene = try RevocationScene()
        var content = RevocationCase.delta(11, base: 10, [scene.delegated])
        content.scope = "@scope"
        content.sections = "[scope]\nfullname=\(RevocationScene.own)\nindirectCRL=TRUE\nonlysomereasons=keyCompromise\n"
        content.entries[0].issuer = scene.root.certificate.subject
        content.namesKey = true
        let der = try scene.root.revocationList(content).der
        for index in der.indices {
            var damaged = der
            damaged[index] ^= 0xff
            #expect(throws: CertificateError.self) { try RevocationList.read(Array(der[..<index])) }
            guard let lists = try? RevocationList.read(damaged) else { continue }
            let store = try TrustStore(
                authorities: [scene.root.certificate], revocationLists: RevocationListSet(lists))
            _ = try store.verify(scene.delegated, intermediates: scene.pool, at: now)
        }
    }

    /// authorityInfoAccess is often no more than where the issuer's certificate is.
    @Test func onlyAResponderIsARevocationSource() throws {
        for (access, isSource) in [("caIssuers", false), ("OCSP", true)] {
            var content = TestCertificate(subject: "CN=sun")
            content.extensions = [NID_info_access: "\(access);URI:http://example.org/"]
            #expect(try root.issue(content).namesRevocationSource == isSource)
        }
    }

    // MARK: Pinned certificates

    @Test func aPinnedCertificateIsAskedAbout() throws {
        let known = try store(root.revocationList([leaf]))
        let unknown = try store()
        for policy in RevocationPolicy.allCases {
            #expect(throws: CertificateError.self) { try known.verify(pinned: leaf, at: now, revocation: policy) }
            try known.verify(pinned: pointing, at: now, revocation: policy)
            // The list is there, its authority is not trusted: nothing can be known, and nothing is revoked by it.
            let stranger = try TrustStore(
                authorities: [], revocationLists: [try root.revocationList([leaf, pointing])])
            for store in [unknown, stranger] {
                for certificate in [leaf, pointing] {
                    let passes = policy == .relaxed || (policy == .ifURI && certificate == leaf)
                    let accepted = (try? store.verify(pinned: certificate, at: now, revocation: policy)) != nil
                    #expect(accepted == passes, "\(policy) \(certificate)")
                }
            }
        }
    }

    @Test func aPinnedCertificateThatSignedItselfIsNot() throws {
        let own = try TestAuthority("CN=moon", keyUsage: "digitalSignature").certificate
        try store().verify(pinned: own, at: now, revocation: .strict)
        #expect(throws: CertificateError.self) { try store().verify(pinned: own, at: now + 200_000) }
    }

    @Test func policyNames() {
        #expect(RevocationPolicy(rawValue: "strict") == .strict)
        #expect(RevocationPolicy(rawValue: "ifuri") == .ifURI)
        #expect(RevocationPolicy(rawValue: "relaxed") == .relaxed)
    }
}
