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
        try TrustStore(authorities: [root.certificate], revocationLists: lists)
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

    @Test func policyNames() {
        #expect(RevocationPolicy(rawValue: "strict") == .strict)
        #expect(RevocationPolicy(rawValue: "ifuri") == .ifURI)
        #expect(RevocationPolicy(rawValue: "relaxed") == .relaxed)
    }
}
