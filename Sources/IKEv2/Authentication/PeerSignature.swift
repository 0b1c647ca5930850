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

    private var remote: RemoteAuthentication { context.connection.remote }

    func verify(_ payloads: [CertificatePayload]) throws(AuthenticationFailure) -> VerifiedPeer {
        let (scheme, signature) = try parse()
        let signed: [UInt8]
        do { signed = try octets.bytes() } catch { throw AuthenticationFailure(error) }
        let keys = try candidates(payloads)
        var problem: SignatureError?
        for (key, certificate) in keys {
            do {
                try key.verify(signature, of: signed, scheme: scheme)
                return VerifiedPeer(identity: peer, method: "\(key.type), \(scheme)", certificate: certificate)
            } catch { problem = error }
        }
        throw failure(
            problem.map(\.description) ?? "no key for \(peer)",
            remedy: "let the peer sign with the private key of its certificate")
    }

    private func failure(_ problem: String, details: [String] = [], remedy: String) -> AuthenticationFailure {
        AuthenticationFailure(problem, details: ["identity tried: \(peer)"] + details, remedy: remedy)
    }

    /// How the AUTH payload says that it was signed, if that is acceptable.
    private func parse() throws(AuthenticationFailure) -> (SignatureScheme, [UInt8]) {
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
            // Its hash is SHA-1 (RFC 7296 section 3.8), which only peers without RFC 7427 are allowed.
            if context.peerKnowsDigitalSignatures {
                throw failure("RSA with SHA-1, though the peer can do better", remedy: "let the peer use RFC 7427")
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

    /// Keys that are known to be the peer's; the first CERT payload has the one that signs (RFC 7296 section 3.6).
    private func candidates(
        _ payloads: [CertificatePayload]
    ) throws(AuthenticationFailure) -> [(PublicKey, Certificate?)] {
        let received = payloads.prefix(PeerAuthentication.maximumCertificates)
        if let raw = received.first(where: { $0.encoding == .rawPublicKey }) {
            guard let key = remote.publicKeys.first(where: { $0.subjectPublicKeyInfo == raw.data }) else {
                throw failure(
                    "the peer's raw public key is not among those of the connection",
                    remedy: "add it to \(context.line("remote.pubkeys"))")
            }
            return [(key, nil)]
        }
        let x509 = received.filter { $0.encoding == .x509Signature }
        if let first = x509.first {
            let leaf: Certificate
            do { leaf = try Certificate(der: first.data) } catch {
                throw failure("\(error)", remedy: "let the peer send its own certificate first")
            }
            let others = x509.dropFirst().compactMap { try? Certificate(der: $0.data) }
            return [try trusted(leaf, others)]
        }
        let known = (remote.certificates + context.credentials.certificates).filter { $0.confirms(peer) }
        var keys: [(PublicKey, Certificate?)] = remote.publicKeys.map { ($0, nil) }
        var problem: AuthenticationFailure?
        for certificate in known {
            do throws(AuthenticationFailure) { keys.append(try trusted(certificate, [])) } catch { problem = error }
        }
        if keys.isEmpty {
            throw problem
                ?? failure(
                    "the peer sent no certificate, and none for it is known",
                    remedy: "set send_cert = always on the peer, or \(context.line("remote.certs"))")
        }
        return keys
    }

    /// The key of a certificate that is for the peer's identity and that the connection trusts.
    private func trusted(
        _ leaf: Certificate, _ received: [Certificate]
    ) throws(AuthenticationFailure) -> (PublicKey, Certificate?) {
        guard leaf.confirms(peer) else {
            let names = ["\(leaf.subject)"] + leaf.subjectAlternativeNames.map(\.description)
            throw failure(
                "the certificate is for somebody else",
                details: ["names in the certificate: \(names.joined(separator: "; "))"],
                remedy: "let the peer use one of these names as its identity, and set \(context.line("remote.id"))")
        }
        if !remote.certificates.isEmpty && !remote.certificates.contains(leaf) {
            throw failure(
                "certificate \"\(leaf)\" is not one of those of the connection",
                remedy: "add it to \(context.line("remote.certs")), or leave that out")
        }
        let credentials = context.credentials
        let authorities = remote.authorities.isEmpty ? credentials.authorities : remote.authorities
        do {
            let store = try TrustStore(
                authorities: remote.certificates.isEmpty ? authorities : [leaf],
                revocationLists: credentials.revocationLists)
            _ = try store.verify(
                leaf,
                intermediates: received + credentials.certificates.filter(\.isAuthority) + credentials.authorities,
                at: context.wallClock, revocation: remote.revocation)
        } catch {
            let names = authorities.map { "\"\($0.subject)\"" }.joined(separator: ", ")
            throw failure(
                "\(error)", details: ["authorities trusted: \(names.isEmpty ? "none" : names)"],
                remedy: "let the peer renew its certificate, or see to x509ca, x509crl and \(context.line("remote"))")
        }
        do { return (try leaf.publicKey(), leaf) } catch {
            throw failure("\(error)", remedy: "let the peer use an RSA, ECDSA, Ed25519 or Ed448 key")
        }
    }
}
