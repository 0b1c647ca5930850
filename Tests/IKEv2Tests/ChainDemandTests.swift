import Cryptography
import IKEv2Messages
import Testing

@testable import IKEv2

/// `remote.auth` with strengths and hashes. moon, Middle and Root have P-256 keys and are signed with SHA-256; ed25519 and
/// rsa (2048 bits) are below Root.
extension CertificateAuthenticationTests {
    /// What becomes of `owner` at a side that demands this of its chain.
    private func outcome(
        _ owner: String, keys: [SignatureKeyType] = [], schemes: [SignatureScheme] = [], _ text: String
    ) -> String {
        problem {
            try verify(owner, as: .domainName("\(owner).example.org")) {
                $0.connection.remote.chain = ChainConstraints(keys: keys, schemes: schemes, text: text)
            }
        }
    }

    @Test func chainsThatAreAsDemandedPass() {
        #expect(outcome("moon", keys: [.ecdsa(bits: 256)], "ecdsa-256") == "accepted moon.example.org")
        #expect(
            outcome("moon", keys: [.ecdsa(bits: 256)], schemes: [.ecdsa(.sha256)], "ecdsa-256-sha256")
                == "accepted moon.example.org")
        #expect(
            outcome("rsa", keys: [.rsa(bits: 2048), .ecdsa(bits: 256)], "rsa-2048-ecdsa-256")
                == "accepted rsa.example.org")
        #expect(
            outcome("ed25519", keys: [.ed25519, .ecdsa(bits: 256)], "ed25519-ecdsa-256")
                == "accepted ed25519.example.org")
    }

    @Test func weakKeysAreNamedWithWhatAsksForMore() {
        let text = outcome("moon", keys: [.ecdsa(bits: 384)], "ecdsa-384")
        #expect(text.contains("the key of \"C=CH, O=Sluice Tests, CN=moon\" is ECDSA with 256 bits"), "\(text)")
        #expect(text.contains("identity tried: moon.example.org"), "\(text)")
        #expect(text.contains("keys accepted: ECDSA from 384 bits"), "\(text)")
        #expect(text.contains("asked for by: connections.hq.remote.auth = ecdsa-384"), "\(text)")
        #expect(!text.contains("signatures accepted"), "\(text)")
    }

    /// The authorities above count like the peer itself.
    @Test func soAreThoseOfAuthorities() {
        let text = outcome("rsa", keys: [.rsa(bits: 2048)], "rsa-2048")
        #expect(text.contains("the key of \"C=CH, O=Sluice Tests, CN=Root\" is ECDSA with 256 bits"), "\(text)")
        #expect(text.contains("keys accepted: RSA from 2048 bits"), "\(text)")
    }

    @Test func weakSignaturesOfCertificatesToo() {
        let text = outcome("moon", schemes: [.ecdsa(.sha384), .rsaPSS(.sha384)], "ecdsa-sha384-rsa/pss-sha384")
        #expect(
            text.contains("the certificate of \"C=CH, O=Sluice Tests, CN=moon\" is signed by ECDSA with sha256"),
            "\(text)")
        #expect(text.contains("signatures accepted: ECDSA with sha384, RSA-PSS with sha384"), "\(text)")
        #expect(
            text.contains("asked for by: connections.hq.remote.auth = ecdsa-sha384-rsa/pss-sha384"), "\(text)")
    }

    /// A certificate that is trusted as it is has no signatures above it, but a key.
    @Test func pinnedCertificatesHaveAKeyOnly() throws {
        let sun = try TestCertificates.certificate(CertificateData.sun)
        func outcome(_ keys: [SignatureKeyType]) -> String {
            problem {
                try verify("sun", as: .domainName("sun.example.org")) {
                    $0.connection.remote.certificates = [sun]
                    $0.connection.remote.chain = ChainConstraints(
                        keys: keys, schemes: [.ecdsa(.sha512)], text: "ecdsa-sha512")
                }
            }
        }
        #expect(outcome([.ecdsa(bits: 256)]) == "accepted sun.example.org")
        #expect(outcome([.ecdsa(bits: 384)]).contains("CN=sun\" is ECDSA with 256 bits"))
    }

    /// So does a raw public key, sent along or known.
    @Test func rawPublicKeysHaveAStrength() throws {
        var prover = try context("moon", hashes: hashes)
        let key = try #require(prover.credentials.privateKeys.first).publicKey
        prover.credentials.certificates = []
        prover.connection.local.publicKeys = [key]
        let moon = Identity.keyID(Array("moon".utf8))
        let proof = try PeerAuthentication.prove(octets(moon), to: .any, requests: [], prover)
        var verifier = try context(nil, hashes: hashes)
        verifier.connection.remote.publicKeys = [key]
        for sent in [proof.certificates, []] {
            func outcome(_ bits: Int) -> String {
                verifier.connection.remote.chain = ChainConstraints(
                    keys: [.ecdsa(bits: bits)], schemes: [], text: "ecdsa-\(bits)")
                return problem {
                    try PeerAuthentication.verify(
                        proof.authentication, of: octets(moon), to: .any, certificates: sent, verifier)
                }
            }
            #expect(outcome(256).hasPrefix("accepted"))
            let text = outcome(384)
            #expect(text.contains("ECDSA with 256 bits"), "\(text)")
            #expect(text.contains("asked for by: connections.hq.remote.auth = ecdsa-384"), "\(text)")
        }
    }
}
