import Cryptography
import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// Which certificates go out, and which that come in are believed.
@Suite struct CertificateAuthenticationTests {
    let hashes: [SignatureHash]? = SignatureHash.offered

    private func request(_ authority: String) throws -> CertificateRequestPayload {
        CertificateRequestPayload(authorities: [try TestCertificates.certificate(authority).publicKeyHash])
    }

    /// What `owner` sends as `identity`, verified by a side that `adjust` has changed.
    func verify(
        _ owner: String, as identity: Identity, _ adjust: (inout AuthenticationContext) throws -> Void = { _ in },
        certificates: ([CertificatePayload]) -> [CertificatePayload] = { $0 }
    ) throws -> VerifiedPeer {
        let prover = try context(owner, hashes: hashes)
        let own = try #require(prover.credentials.privateKeys.first)
        let scheme = try #require(own.type.scheme(for: hashes, allowed: []))
        let signature = try own.sign(try octets(identity).bytes(), scheme: scheme)
        let sent = prover.credentials.certificates.map { CertificatePayload(encoding: .x509Signature, data: $0.der) }
        var verifier = try context(nil, hashes: hashes)
        try adjust(&verifier)
        return try PeerAuthentication.verify(
            try #require(AuthenticationPayload(scheme, signature: signature)), of: octets(identity), to: .any,
            certificates: certificates(sent), verifier)
    }

    func problem(_ body: () throws -> VerifiedPeer) -> String {
        do {
            return "accepted \(try body().identity)"
        } catch let failure as Refusal {
            return failure.explanation.description
        } catch {
            return "\(error)"
        }
    }

    @Test func theChainIsSentAsFarAsThePeerNeedsIt() throws {
        let side = try context("moon", hashes: hashes)
        let identity = Identity.domainName("moon.example.org")
        func sent(_ requests: [CertificateRequestPayload]) throws -> [String] {
            try PeerAuthentication.prove(octets(identity), to: .any, requests: requests, side).certificates.map {
                try Certificate(der: $0.data).subject.description
            }
        }
        let (moon, middle) = ("C=CH, O=Sluice Tests, CN=moon", "C=CH, O=Sluice Tests, CN=Middle")
        #expect(try sent([]) == [moon, middle])
        #expect(try sent([request(CertificateData.root)]) == [moon, middle])
        #expect(try sent([request(CertificateData.middle)]) == [moon], "the peer trusts Middle itself")
        #expect(try sent([request(CertificateData.otherRoot)]) == [moon, middle], "it may help all the same")
    }

    @Test func certificatesAreSentWhenTheConnectionSaysSo() throws {
        var side = try context("moon", hashes: hashes)
        func count(_ requests: [CertificateRequestPayload]) throws -> Int {
            try PeerAuthentication.prove(octets(.domainName("moon.example.org")), to: .any, requests: requests, side)
                .certificates.count
        }
        side.connection.sendCertificate = .ifAsked
        #expect(try count([]) == 0)
        #expect(try count([request(CertificateData.root)]) == 2)
        side.connection.sendCertificate = .never
        #expect(try count([request(CertificateData.root)]) == 0)
    }

    @Test func theCertificateThatThePeerCanVerifyIsChosen() throws {
        var side = try context("rsa", hashes: hashes)
        let sun = try context("sun", hashes: hashes)
        side.credentials.certificates += sun.credentials.certificates
        side.credentials.privateKeys += sun.credentials.privateKeys
        side.credentials.authorities.append(try TestCertificates.certificate(CertificateData.otherRoot))
        #expect(PeerAuthentication.localIdentity(side) == .distinguishedName(try subject(CertificateData.rsa)))
        #expect(
            PeerAuthentication.localIdentity(side, requests: [try request(CertificateData.otherRoot)])
                == .distinguishedName(try subject(CertificateData.sun)))
        side.connection.local.identity = .domainName("me")
        #expect(PeerAuthentication.localIdentity(side) == .domainName("me"))
        #expect(
            PeerAuthentication.localIdentity(context(.preSharedKey, .preSharedKey, Credentials()))
                == .address(IPAddress(ipv4: 0xC000_0201)))
    }

    private func subject(_ certificate: String) throws -> DistinguishedName {
        try TestCertificates.certificate(certificate).subject
    }

    @Test func anIdentityThatNoCertificateConfirmsIsNotProved() throws {
        let failure = #expect(throws: Refusal.self) {
            try PeerAuthentication.prove(
                octets(.domainName("mars.example.org")), to: .any, requests: [], context("moon", hashes: hashes))
        }
        #expect(failure?.explanation.what.contains("no certificate of ours is for mars.example.org") == true)
        #expect(failure?.explanation.remedy.contains("connections.hq.local.id") == true)
    }

    @Test(arguments: [
        "moon.example.org", "MOON.example.org", "moon@example.org", "Moon@Example.ORG", "192.0.2.1", "2001:db8::1",
        "C=CH, O=Sluice Tests, CN=moon",
    ])
    func everyNameInTheCertificateIsAnIdentity(_ text: String) throws {
        let identity = try Identity(parsing: text)
        #expect(try verify("moon", as: identity).identity == identity)
    }

    @Test func aNameThatIsNotInTheCertificateIsNot() throws {
        let text = problem { try verify("moon", as: .domainName("sun.example.org")) }
        #expect(text.contains("for somebody else") && text.contains("moon.example.org; moon@example.org"), "\(text)")
        #expect(problem { try verify("moon", as: .domainName("*.example.org")) }.contains("for somebody else"))
        #expect(problem { try verify("moon", as: .keyID([1, 2])) }.contains("for somebody else"))
    }

    @Test func theChainMustReachAnAuthority() throws {
        let moon = Identity.domainName("moon.example.org")
        #expect(problem { try verify("moon", as: moon, certificates: { Array($0.prefix(1)) }) }.contains("issued by"))
        #expect(
            try verify(
                "moon", as: moon,
                { $0.credentials.authorities.append(try TestCertificates.certificate(CertificateData.middle)) },
                certificates: { Array($0.prefix(1)) }
            ).identity == moon)
        let other = problem { try verify("sun", as: .domainName("sun.example.org")) }
        #expect(
            other.contains("Other Root") && other.contains("authorities trusted: \"C=CH, O=Sluice Tests, CN=Root\""))
        #expect(
            problem {
                try verify("moon", as: moon) {
                    $0.connection.remote.authorities = [try TestCertificates.certificate(CertificateData.otherRoot)]
                }
            }.contains("authorities trusted: \"C=CH, O=Sluice Tests, CN=Other Root\""))
    }

    @Test func expiredAndRevokedCertificatesAreRefused() throws {
        let expired = problem { try verify("expired", as: .domainName("expired.example.org")) }
        #expect(expired.contains("expired at 2026-02-01"), "\(expired)")
        let revoked = Identity.domainName("revoked.example.org")
        #expect(try verify("revoked", as: revoked).identity == revoked, "nobody knows")
        let list = try TestCertificates.list(CertificateData.revokedList)
        let text = problem { try verify("revoked", as: revoked) { $0.credentials.revocationLists = [list] } }
        #expect(text.contains("was revoked"), "\(text)")
        #expect(
            problem {
                try verify("rsa", as: .domainName("rsa.example.org")) { $0.connection.remote.revocation = .strict }
            }
            .contains("wants a CRL"))
    }

    @Test func aPinnedCertificateNeedsNoAuthority() throws {
        let sun = Identity.domainName("sun.example.org")
        let pinned = try TestCertificates.certificate(CertificateData.sun)
        #expect(try verify("sun", as: sun) { $0.connection.remote.certificates = [pinned] }.identity == sun)
        #expect(
            try verify("sun", as: sun, { $0.connection.remote.certificates = [pinned] }, certificates: { _ in [] })
                .certificate == pinned, "nor does the peer have to send it")
        let other = try TestCertificates.certificate(CertificateData.rsa)
        #expect(
            problem {
                try verify("moon", as: .domainName("moon.example.org")) { $0.connection.remote.certificates = [other] }
            }
            .contains("is not one of those of the connection"))
    }

    /// `cacerts` beside `certs`: both have to hold.
    @Test func aPinnedCertificateWithAnAuthority() throws {
        let rsa = Identity.domainName("rsa.example.org")
        let pinned = try TestCertificates.certificate(CertificateData.rsa)
        func verify(_ authority: String) throws -> VerifiedPeer {
            try self.verify("rsa", as: rsa) {
                $0.connection.remote.certificates = [pinned]
                $0.connection.remote.authorities = [try TestCertificates.certificate(authority)]
            }
        }
        #expect(try verify(CertificateData.root).identity == rsa)
        let text = problem { try verify(CertificateData.otherRoot) }
        #expect(text.contains("not among the trusted authorities"), "\(text)")
    }

    @Test func aPinnedCertificateIsAskedAbout() throws {
        let revoked = Identity.domainName("revoked.example.org")
        let pinned = try TestCertificates.certificate(CertificateData.revoked)
        let list = try TestCertificates.list(CertificateData.revokedList)
        func verify(_ policy: RevocationPolicy, _ lists: RevocationListSet) throws -> VerifiedPeer {
            try self.verify("revoked", as: revoked) {
                $0.connection.remote.certificates = [pinned]
                $0.connection.remote.revocation = policy
                $0.credentials.revocationLists = lists
            }
        }
        for policy in RevocationPolicy.allCases {
            #expect(problem { try verify(policy, [list]) }.contains("was revoked"))
        }
        #expect(problem { try verify(.strict, []) }.contains("wants a CRL"))
        #expect(try verify(.relaxed, []).certificate == pinned)
    }

    @Test func withoutACertificateNobodyIsBelieved() throws {
        let text = problem { try verify("moon", as: .domainName("moon.example.org"), certificates: { _ in [] }) }
        #expect(text.contains("sent no certificate"), "\(text)")
        let junk = [CertificatePayload(encoding: .x509Signature, data: [1, 2, 3])]
        #expect(
            problem { try verify("moon", as: .domainName("moon.example.org"), certificates: { _ in junk }) }.contains(
                "unreadable"))
    }

    /// Another certificate in front of the right one: the first is the one that signs (RFC 7296 section 3.6).
    @Test func theFirstCertificateIsTheOneThatSigns() throws {
        let rsa = try TestCertificates.certificate(CertificateData.rsa)
        let first = CertificatePayload(encoding: .x509Signature, data: rsa.der)
        #expect(
            problem { try verify("moon", as: .domainName("rsa.example.org"), certificates: { [first] + $0 }) }.contains(
                "does not go with"))
    }

    @Test func tooManyCertificatesAreNotLookedAt() throws {
        let moon = Identity.domainName("moon.example.org")
        let padding = CertificatePayload(encoding: .x509Signature, data: [0])
        func verify(_ count: Int) -> String {
            problem {
                try self.verify(
                    "moon", as: moon,
                    certificates: { sent in
                        [sent[0]] + Array(repeating: padding, count: count) + [sent[1]]
                    })
            }
        }
        #expect(verify(PeerAuthentication.maximumCertificates - 2) == "accepted moon.example.org")
        #expect(verify(PeerAuthentication.maximumCertificates - 1).contains("issued by"))
    }

    /// RFC 7670.
    @Test func rawPublicKeys() throws {
        var prover = try context("ed25519", hashes: hashes)
        let key = try #require(prover.credentials.privateKeys.first).publicKey
        prover.credentials.certificates = []
        prover.connection.local.publicKeys = [key]
        let moon = Identity.keyID(Array("moon".utf8))
        let proof = try PeerAuthentication.prove(octets(moon), to: .any, requests: [], prover)
        #expect(proof.certificates == [CertificatePayload(encoding: .rawPublicKey, data: key.subjectPublicKeyInfo)])

        var verifier = try context(nil, hashes: hashes)
        verifier.connection.remote.publicKeys = [key]
        for sent in [proof.certificates, []] {
            let peer = try PeerAuthentication.verify(
                proof.authentication, of: octets(moon), to: .any, certificates: sent, verifier)
            #expect(peer.identity == moon && peer.certificate == nil)
        }
        verifier.connection.remote.publicKeys = [try TestCertificates.key(CertificateData.moonKey).publicKey]
        #expect(throws: Refusal.self) {
            try PeerAuthentication.verify(
                proof.authentication, of: octets(moon), to: .any, certificates: proof.certificates, verifier)
        }
    }

    @Test func authoritiesAreAskedForByTheHashOfTheirKey() throws {
        var side = try context(nil, hashes: hashes)
        let root = try TestCertificates.certificate(CertificateData.root)
        let requests = PeerAuthentication.requests(for: [side.connection], side.credentials)
        #expect(requests == [CertificateRequestPayload(authorities: [root.publicKeyHash])])
        side.connection.sendsCertificateRequest = false
        #expect(PeerAuthentication.requests(for: [side.connection], side.credentials).isEmpty)
        side.connection.sendsCertificateRequest = true
        side.connection.remote.method = .preSharedKey
        #expect(PeerAuthentication.requests(for: [side.connection], side.credentials).isEmpty)
    }

    /// There are peers that do not survive a request for raw keys (RFC 7670): it goes out where nothing else would do.
    @Test func rawKeysAreAskedForWhereTheyAreTheOneWay() throws {
        let side = try context(nil, hashes: hashes)
        let root = try TestCertificates.certificate(CertificateData.root)
        let authority = CertificateRequestPayload(authorities: [root.publicKeyHash])
        let raw = CertificateRequestPayload(encoding: .rawPublicKey, data: [])
        var keys = side.connection
        keys.remote.publicKeys = [try TestCertificates.key(CertificateData.moonKey).publicKey]
        func requests(_ connections: Connection...) -> [CertificateRequestPayload] {
            PeerAuthentication.requests(for: connections, side.credentials)
        }
        #expect(requests(keys) == [raw])
        #expect(requests(keys, side.connection) == [authority])
        var either = keys
        either.remote.authorities = [root]
        #expect(requests(either) == [authority])
        #expect(requests(keys, either) == [authority])
    }
}
