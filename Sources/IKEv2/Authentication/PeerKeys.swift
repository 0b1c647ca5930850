import Cryptography
import IKEv2Messages

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
