import Cryptography
import IKEv2Messages

/// A key of ours, how it signs, and what we send with the signature.
struct OwnProof {
    let key: PrivateKey
    let scheme: SignatureScheme
    let payloads: [CertificatePayload]
}

/// Our certificates and raw keys that could prove an identity to a peer.
struct OwnCertificates {
    struct Candidate {
        let certificate: Certificate
        let key: PrivateKey
        /// The certificates between it and an authority that the peer asked for; nil when it leads to none of them.
        let chainToRequested: [Certificate]?
    }

    let context: AuthenticationContext
    /// The identity to prove; nil: whatever the certificate says.
    let identity: Identity?
    let requests: [CertificateRequestPayload]

    init(_ context: AuthenticationContext, identity: Identity?, requests: [CertificateRequestPayload]) {
        self.context = context
        self.identity = identity
        self.requests = requests
    }

    /// Longest chain that is sent.
    private static let maximumDepth = 8

    private var local: LocalAuthentication { context.connection.local }

    /// The certificates that we have the private key of: first what leads to an authority that the peer asked for, and
    /// of these what is valid now.
    var candidates: [Candidate] {
        let all = local.certificates.isEmpty ? context.credentials.certificates : local.certificates
        let usable = all.compactMap { certificate -> Candidate? in
            guard let key = privateKey(of: try? certificate.publicKey()), certificate.maySign else { return nil }
            return Candidate(
                certificate: certificate, key: key, chainToRequested: chain(of: certificate, to: requested))
        }
        let wanted = usable.filter { $0.chainToRequested != nil }
        let rest = usable.filter { $0.chainToRequested == nil }
        return validFirst(wanted) + validFirst(rest)
    }

    private func validFirst(_ candidates: [Candidate]) -> [Candidate] {
        let isValid = { (candidate: Candidate) in candidate.certificate.validity.contains(context.wallClock) }
        return candidates.filter(isValid) + candidates.filter { !isValid($0) }
    }

    private func privateKey(of key: PublicKey?) -> PrivateKey? {
        key.flatMap { key in context.credentials.privateKeys.first { $0.publicKey == key } }
    }

    /// SHA-1 hashes of the keys of the authorities that the peer trusts.
    private var requested: Set<[UInt8]> { Set(requests.compactMap(\.authorities).joined()) }

    /// The certificate or raw key to use. Throws with what there was to choose from.
    func choose(_ schemes: [SignatureScheme]) throws(Refusal) -> OwnProof {
        let all = candidates
        let confirmed = identity.map { identity in all.filter { $0.certificate.confirms(identity) } } ?? all
        for candidate in confirmed {
            guard let scheme = scheme(candidate.key, schemes) else { continue }
            return OwnProof(key: candidate.key, scheme: scheme, payloads: payloads(candidate))
        }
        for key in local.publicKeys {
            guard let own = privateKey(of: key), let scheme = scheme(own, schemes) else { continue }
            let payload = CertificatePayload(encoding: .rawPublicKey, data: key.subjectPublicKeyInfo)
            let isAsked = requests.contains { $0.encoding == .rawPublicKey }
            return OwnProof(key: own, scheme: scheme, payloads: sends(isAsked) ? [payload] : [])
        }
        throw failure(all, confirmed)
    }

    private func scheme(_ key: PrivateKey, _ allowed: [SignatureScheme]) -> SignatureScheme? {
        key.type.scheme(for: context.peerHashes, allowed: allowed, answering: context.verifiedPeer?.scheme)
    }

    private func sends(_ isAsked: Bool) -> Bool {
        switch context.connection.sendCertificate {
        case .always: true
        case .ifAsked: isAsked
        case .never: false
        }
    }

    /// The certificate, and what is between it and an authority of the peer's, or else a root.
    private func payloads(_ candidate: Candidate) -> [CertificatePayload] {
        guard sends(requests.contains { $0.encoding == .x509Signature }) else { return [] }
        let between = candidate.chainToRequested ?? chain(of: candidate.certificate, to: nil) ?? []
        return ([candidate.certificate] + between).map {
            CertificatePayload(encoding: .x509Signature, data: $0.der)
        }
    }

    /// The authorities above `certificate`, up to and without the first one in `ends`, or with nil, the root. nil when
    /// that is not reached.
    private func chain(of certificate: Certificate, to ends: Set<[UInt8]>?) -> [Certificate]? {
        let pool = (context.credentials.certificates + context.credentials.authorities).filter(\.isAuthority)
        var chain: [Certificate] = []
        var current = certificate
        while chain.count < Self.maximumDepth, !current.isSelfIssued {
            let issuers = pool.filter { $0.subject.matches(current.issuer) && !chain.contains($0) }
            guard let issuer = issuers.first(where: { ends?.contains($0.publicKeyHash) ?? false }) ?? issuers.first
            else { return ends == nil ? chain : nil }
            if ends?.contains(issuer.publicKeyHash) ?? issuer.isSelfIssued { return chain }
            chain.append(issuer)
            current = issuer
        }
        return ends == nil ? chain : nil
    }

    private func failure(_ all: [Candidate], _ confirmed: [Candidate]) -> Refusal {
        let names = all.map { "\"\($0.certificate)\" (\($0.key.type))" }
        let name = identity.map(\.description) ?? "us"
        if let first = confirmed.first {
            let hashes = context.peerHashes.map { $0.map { "\($0)" }.joined(separator: ", ") } ?? "none (no RFC 7427)"
            return Refusal(
                authentication: "no signature that the peer can verify",
                details: ["peer's hashes: \(hashes)", "our key: \(first.key.type)"],
                remedy: "leave \(context.line("local.auth")) = pubkey, and use an RSA or ECDSA key")
        }
        if !all.isEmpty {
            return Refusal(
                authentication: "no certificate of ours is for \(name)",
                details: ["certificates: \(names.joined(separator: "; "))"],
                remedy: "set \(context.line("local.id")) to a subject or subjectAltName of the certificate")
        }
        return Refusal(
            authentication: "there is no certificate with a private key for \(name)",
            details: [
                "\(context.credentials.certificates.count) certificates, \(context.credentials.privateKeys.count) private keys loaded"
            ],
            remedy: "set \(context.line("local.certs")) and put its key into the folder private")
    }
}

extension Certificate {
    /// Whether it is for this identity. A key id is the SHA-1 hash of the public key.
    func confirms(_ identity: Identity) -> Bool {
        if case .keyID(let bytes) = identity { return bytes == publicKeyHash }
        return identity.certificateName.map(certifies) ?? false
    }
}
