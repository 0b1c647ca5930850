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

    /// The scheme and signature of the AUTH payload, if that is acceptable.
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

extension PeerSignature {
    /// Keys that are known to be the peer's; the first CERT payload has the one that signs (RFC 7296 section 3.6).
    func candidates(
        _ payloads: [CertificatePayload]
    ) throws(Refusal) -> [(PublicKey, Certificate?)] {
        let received = payloads.prefix(PeerAuthentication.maximumCertificates)
        if let raw = received.first(where: { $0.encoding == .rawPublicKey }) {
            guard let key = remote.publicKeys.first(where: { $0.subjectPublicKeyInfo == raw.data }) else {
                throw failure(
                    "the peer's raw public key is not among those of the connection",
                    remedy: "add it to \(context.line("remote.pubkeys"))")
            }
            try demand(ofRaw: key)
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
        var keys: [(PublicKey, Certificate?)] = []
        var problem: Refusal?
        for key in remote.publicKeys {
            do throws(Refusal) {
                try demand(ofRaw: key)
                keys.append((key, nil))
            } catch { problem = error }
        }
        for certificate in known {
            do throws(Refusal) { keys.append(try trusted(certificate, [])) } catch { problem = error }
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
    ) throws(Refusal) -> (PublicKey, Certificate?) {
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
        let intermediates = received + credentials.certificates.filter(\.isAuthority) + credentials.authorities
        let chain: [Certificate]
        do {
            let store = try TrustStore(authorities: authorities, revocationLists: credentials.revocationLists)
            // A certificate that the connection names needs no authority, unless the connection names one too.
            if !remote.certificates.isEmpty && remote.authorities.isEmpty {
                try store.verify(
                    pinned: leaf, intermediates: intermediates, at: context.wallClock, revocation: remote.revocation)
                chain = [leaf]
            } else {
                chain = try store.verify(
                    leaf, intermediates: intermediates, at: context.wallClock, revocation: remote.revocation)
            }
        } catch {
            let names = authorities.map { "\"\($0.subject)\"" }.joined(separator: ", ")
            throw failure(
                "\(error)", details: ["authorities trusted: \(names.isEmpty ? "none" : names)"],
                remedy: "let the peer renew its certificate, or see to x509ca, x509crl and \(context.line("remote"))")
        }
        if let violation = remote.chain?.violation(in: chain) { throw failure(violation) }
        do { return (try leaf.publicKey(), leaf) } catch {
            throw failure("\(error)", remedy: "let the peer use an RSA, ECDSA, Ed25519 or Ed448 key")
        }
    }

    /// Something in the peer's trust chain is not as the connection demands.
    private func failure(_ violation: ChainViolation) -> Refusal {
        let line = context.line("remote.auth")
        let demands = remote.chain.map { chain in
            [("keys accepted", chain.keyDescription), ("signatures accepted", chain.schemeDescription)]
                .filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1)" } + ["asked for by: \(line) = \(chain.text)"]
        }
        return failure(
            "\(violation), which is not accepted", details: demands ?? [],
            remedy: "let the peer use another key and chain, or ask for less in \(line)")
    }

    private func demand(ofRaw key: PublicKey) throws(Refusal) {
        guard let chain = remote.chain, !chain.accepts(key.type) else { return }
        throw failure(ChainViolation(subject: "\(peer)", fault: .key(key.type)))
    }
}

extension AuthenticationPayload {
    /// Nil for a scheme that no authentication method carries.
    init?(_ scheme: SignatureScheme, signature: [UInt8]) {
        switch scheme {
        case .rsaPKCS1(.sha1): self.init(method: .rsaSignature, data: signature)
        case .ecdsaConcatenated(.sha256): self.init(method: .ecdsa256, data: signature)
        case .ecdsaConcatenated(.sha384): self.init(method: .ecdsa384, data: signature)
        case .ecdsaConcatenated(.sha512): self.init(method: .ecdsa521, data: signature)
        default:
            guard let identifier = scheme.algorithmIdentifier else { return nil }
            self.init(algorithmIdentifier: identifier, signature: signature)
        }
    }
}

extension SignatureKeyType {
    /// The scheme to sign by for a peer with these SIGNATURE_HASH_ALGORITHMS, within `allowed` when that is not empty.
    /// Without RFC 7427 on the other side the methods of RFC 7296 (RSA with SHA-1) and RFC 4754 are all there is.
    ///
    /// RSA signs by PSS (RFC 8247 section 3.2), unless the peer itself has signed by PKCS#1 v1.5 (`answering`): many that
    /// do know nothing else, and the notify does not tell.
    func scheme(
        for peerHashes: [SignatureHash]?, allowed: [SignatureScheme], answering: SignatureScheme? = nil
    ) -> SignatureScheme? {
        let peerHasPSS = if case .rsaPKCS1 = answering { false } else { true }
        let common = peerHashes?.filter(SignatureHash.offered.contains) ?? []
        if let chosen = allowed.first(where: { fits($0) && common.contains($0.hash) }) { return chosen }
        if allowed.isEmpty, let chosen = scheme(for: common, preferringPSS: peerHasPSS) { return chosen }
        // A peer that has RFC 7427, but none of our hashes, gets the older methods too.
        guard common.isEmpty, let old = olderScheme else { return nil }
        return allowed.isEmpty || allowed.contains { $0.isSameKind(as: old) } ? old : nil
    }

    private var olderScheme: SignatureScheme? {
        switch self {
        case .rsa: .rsaPKCS1(.sha1)
        case .ecdsa(let bits): .ecdsaConcatenated(bits <= 256 ? .sha256 : bits <= 384 ? .sha384 : .sha512)
        case .ed25519, .ed448: nil
        }
    }
}
