import Configuration
import Cryptography
import IKEv2
import Testing

/// `auth` of a peer: what its signature and what its trust chain has to be like.
@Suite struct PeerDemandTests {
    struct Demand: Sendable, CustomTestStringConvertible {
        let text: String
        /// Of IKE_AUTH; none: all.
        var schemes: [SignatureScheme] = []
        var keys: [SignatureKeyType] = []
        var chainSchemes: [SignatureScheme] = []

        var testDescription: String { text }
    }

    private static func rsa(_ hashes: SignatureHash...) -> [SignatureScheme] {
        hashes.map { .rsaPKCS1($0) } + hashes.map { .rsaPSS($0) }
    }

    private static func ecdsa(_ hashes: SignatureHash...) -> [SignatureScheme] {
        hashes.flatMap { [.ecdsa($0), .ecdsaConcatenated($0)] }
    }

    static let all = [
        Demand(text: "pubkey"),
        Demand(text: "ecdsa", schemes: ecdsa(.sha256, .sha384, .sha512)),
        Demand(text: "ecdsa-384", schemes: ecdsa(.sha256, .sha384, .sha512), keys: [.ecdsa(bits: 384)]),
        Demand(text: "ed448", schemes: [.ed448]),
        Demand(text: "ED25519-identity", schemes: [.ed25519], chainSchemes: [.ed25519]),
        Demand(
            text: "rsa-2048-ecdsa-256", schemes: rsa(.sha256, .sha384, .sha512) + ecdsa(.sha256, .sha384, .sha512),
            keys: [.rsa(bits: 2048), .ecdsa(bits: 256)]),
        Demand(
            text: "pubkey-sha384", schemes: rsa(.sha384) + ecdsa(.sha384),
            chainSchemes: rsa(.sha384) + [.ecdsa(.sha384)]),
        Demand(
            text: "pubkey-sha384-identity", schemes: rsa(.sha384) + ecdsa(.sha384) + [.ed25519, .ed448],
            chainSchemes: rsa(.sha384) + [.ecdsa(.sha384), .ed25519, .ed448]),
        Demand(
            text: "rsa-3072-sha256-ecdsa-384-sha256-sha384",
            schemes: rsa(.sha256) + ecdsa(.sha256, .sha384), keys: [.rsa(bits: 3072), .ecdsa(bits: 384)],
            chainSchemes: rsa(.sha256) + [.ecdsa(.sha256), .ecdsa(.sha384)]),
        Demand(
            text: "ecdsa-384-ed25519", schemes: ecdsa(.sha256, .sha384, .sha512) + [.ed25519],
            keys: [.ecdsa(bits: 384), .ed25519]),
        Demand(
            text: "rsa/pss-4096-sha512", schemes: [.rsaPSS(.sha512)], keys: [.rsa(bits: 4096)],
            chainSchemes: [.rsaPSS(.sha512)]),
        // With `ike:` the signature of IKE_AUTH and the chain are apart.
        Demand(text: "ike:ecdsa-sha384", schemes: ecdsa(.sha384)),
        Demand(
            text: "ecdsa-sha384-ike:pubkey-sha256", schemes: rsa(.sha256) + ecdsa(.sha256),
            chainSchemes: [.ecdsa(.sha384)]),
        Demand(text: "rsa-3072-ike:pubkey", keys: [.rsa(bits: 3072)]),
        Demand(
            text: "ike:rsa-sha1-sha256", schemes: [.rsaPKCS1(.sha1), .rsaPKCS1(.sha256), .rsaPSS(.sha256)], keys: []),
        Demand(text: "ike:rsa/pss-3072-sha256", schemes: [.rsaPSS(.sha256)], keys: [.rsa(bits: 3072)]),
        Demand(
            text: "rsa-4096-ike:ecdsa-384", schemes: ecdsa(.sha256, .sha384, .sha512),
            keys: [.rsa(bits: 4096), .ecdsa(bits: 384)]),
    ]

    @Test(arguments: all)
    func isTakenAtItsWord(demand: Demand) throws {
        let configuration = try swanctl(sites(remote: "auth = \(demand.text)"))
        #expect(!configuration.warnings.contains { $0.word == demand.text })
        let remote = configuration.connections[0].remote
        #expect(remote.method == .publicKey(schemes: demand.schemes))
        #expect(remote.chain?.keys ?? [] == demand.keys)
        #expect(remote.chain?.schemes ?? [] == demand.chainSchemes)
        #expect((remote.chain == nil) == (demand.keys.isEmpty && demand.chainSchemes.isEmpty))
        if let chain = remote.chain { #expect(chain.text == demand.text.lowercased()) }
    }

    /// The same words in a `local` section are about our own signature.
    @Test(arguments: ["pubkey-sha384", "rsa-2048-sha512", "ecdsa-256", "ike:ed448"])
    func ourselvesHaveNoChain(text: String) throws {
        let local = try connection(sites(local: "auth = \(text)")).local.method
        guard case .publicKey(let schemes) = local else {
            Issue.record("\(local)")
            return
        }
        #expect(!schemes.isEmpty)
    }

    /// `sluice check` says it.
    @Test func isReported() throws {
        let report = try swanctl(sites(remote: "auth = rsa-3072-ecdsa-384-sha384")).description
        #expect(report.contains("keys of its chain RSA from 3072 bits, ECDSA from 384 bits"), "\(report)")
        #expect(report.contains("certificates by RSA PKCS#1 v1.5 with sha256"), "\(report)")
    }
}
