import Cryptography
import IKEv2Messages

/// Verifies a signature of the peer, and that the key belongs to its identity.
struct PeerSignature {
    let authentication: AuthenticationPayload
    let octets: SignedOctets
    let peer: Identity
    /// Accepted schemes; none: all.
    let schemes: [SignatureScheme]
    let context: AuthenticationContext

    init(
        authentication: AuthenticationPayload, octets: SignedOctets, peer: Identity, schemes: [SignatureScheme],
        _ context: AuthenticationContext
    ) {
        self.authentication = authentication
        self.octets = octets
        self.peer = peer
        self.schemes = schemes
        self.context = context
    }

    var remote: RemoteAuthentication { context.connection.remote }

    func verify(_ payloads: [CertificatePayload]) throws(Refusal) -> VerifiedPeer {
        let (scheme, signature) = try parse()
        let signed: [UInt8]
        do { signed = try octets.bytes() } catch { throw Refusal(authentication: error) }
        let keys = try candidates(payloads)
        var problem: SignatureError?
        for (key, certificate) in keys {
            do {
                try key.verify(signature, of: signed, scheme: scheme)
                return VerifiedPeer(
                    identity: peer, method: "\(key.type), \(scheme)", certificate: certificate, scheme: scheme)
            } catch { problem = error }
        }
        throw failure(
            problem.map(\.description) ?? "no key for \(peer)",
            remedy: "let the peer sign with the private key of its certificate")
    }

    func failure(_ problem: String, details: [String] = [], remedy: String) -> Refusal {
        Refusal(authentication: problem, details: ["identity tried: \(peer)"] + details, remedy: remedy)
    }

    /// How the AUTH payload says that it was signed, if that is acceptable.
    private func parse() throws(Refusal) -> (SignatureScheme, [UInt8]) {
        let scheme: SignatureScheme
        var signature = authentication.data
        switch authentication.method {
        case .digitalSignature:
            do { (scheme, signature) = try SignatureScheme.parse(authenticationData: authentication.data) } catch {
                throw failure("\(error)", remedy: "let the peer sign with SHA-256, SHA-384, SHA-512, Ed25519 or Ed448")
            }
            guard SignatureHash.offered.contains(scheme.hash) else {
                throw failure("\(scheme) was not offered", remedy: "let the peer sign with SHA-256 or better")
            }
        case .rsaSignature:
            // Its hash is SHA-1 (RFC 7296 section 3.8), which only peers without RFC 7427 are allowed, unless the
            // connection names it.
            if context.peerKnowsDigitalSignatures, !schemes.contains(.rsaPKCS1(.sha1)) {
                throw failure(
                    "RSA with SHA-1, though the peer can do better",
                    remedy: "let the peer sign by RFC 7427, or allow it: \(context.line("remote.auth")) = ike:rsa-sha1")
            }
            scheme = .rsaPKCS1(.sha1)
        default:
            guard let old = SignatureScheme(ecdsaAuthenticationMethod: authentication.method.rawValue) else {
                throw failure(
                    "\(authentication.method) is not supported",
                    remedy: "let the peer use a certificate, or a shared key")
            }
            scheme = old
        }
        guard schemes.isEmpty || schemes.contains(where: { $0.isSameKind(as: scheme) }) else {
            throw failure(
                "the peer signs by \(scheme)",
                details: ["accepted: \(schemes.map(\.description).joined(separator: ", "))"],
                remedy: "write \(context.line("remote.auth")) = pubkey, or change the peer")
        }
        return (scheme, signature)
    }
}
