import Cryptography
import IKEv2Messages

/// AUTH payloads of both sides (RFC 7296 section 2.15, RFC 4754, RFC 7427, RFC 8420).
package enum PeerAuthentication {
    /// CERT payloads of a peer that are looked at; chains are shorter.
    static let maximumCertificates = 10

    /// Our identity to this peer: as configured, else the subject of our certificate, else our address.
    package static func localIdentity(
        _ context: AuthenticationContext, requests: [CertificateRequestPayload] = []
    ) -> Identity {
        let local = context.connection.local
        if let identity = local.identity, identity != .any { return identity }
        let address = Identity.address(context.path.local.address)
        guard case .publicKey = local.method else { return address }
        let best = OwnCertificates(context, identity: nil, requests: requests).candidates.first?.certificate
        return best.map { .distinguishedName($0.subject) } ?? address
    }

    /// Proves that we are `octets.identity`. `peer`: who it is, or as far as we know who it should be; it chooses the
    /// shared key. `requests`: the peer's CERTREQ payloads. The certificates go into the same message.
    package static func prove(
        _ octets: SignedOctets, to peer: Identity, requests: [CertificateRequestPayload],
        _ context: AuthenticationContext
    ) throws(Refusal) -> (authentication: AuthenticationPayload, certificates: [CertificatePayload]) {
        guard let own = Identity(octets.identity) else {
            throw Refusal(
                authentication: "we have no identity", remedy: "set \(context.line("local.id"))")
        }
        switch context.connection.local.method {
        case .preSharedKey:
            let keys = try SharedKeyLookup(local: own, remote: peer, context).all()
            guard let key = context.verifiedPeer?.sharedKey ?? keys.first else {
                throw Refusal(authentication: "there is no shared key", remedy: "add one to secrets")
            }
            do {
                let data = try octets.authentication(sharedKey: key.secret)
                let payload = AuthenticationPayload(method: .sharedKey, data: data.withUnsafeBytes { Array($0) })
                return (payload, [])
            } catch { throw Refusal(authentication: error) }
        case .publicKey(let schemes):
            let own = try OwnCertificates(context, identity: own, requests: requests).choose(schemes)
            do {
                let signature = try own.key.sign(try octets.bytes(), scheme: own.scheme)
                guard let payload = AuthenticationPayload(own.scheme, signature: signature) else {
                    throw SignatureError.malformedAlgorithm
                }
                return (payload, own.payloads)
            } catch { throw Refusal(authentication: error) }
        }
    }

    /// Verifies that the peer is `octets.identity`, and that this is who the connection is for. `local`: who we are,
    /// which chooses the shared key. `certificates`: the CERT payloads of the same message.
    package static func verify(
        _ authentication: AuthenticationPayload, of octets: SignedOctets, to local: Identity,
        certificates: [CertificatePayload], _ context: AuthenticationContext
    ) throws(Refusal) -> VerifiedPeer {
        guard let peer = Identity(octets.identity) else {
            throw Refusal(
                authentication: "the peer's identity is of type \(octets.identity.type), or damaged",
                remedy: "let the peer use a name, an address, a distinguished name or a key id")
        }
        let remote = context.connection.remote
        if peer.matches(remote.identity) == nil {
            throw Refusal(
                authentication: "the peer is not who connection \(context.connection.name) is for",
                details: ["identity tried: \(peer)", "identity configured: \(remote.identity)"],
                remedy: "write \(context.line("remote.id")) = \(peer), or let the peer use the other one")
        }
        switch remote.method {
        case .preSharedKey:
            guard authentication.method == .sharedKey else { throw unexpected(authentication, peer, context) }
            return try verify(authentication, of: octets, peer, SharedKeyLookup(local: local, remote: peer, context))
        case .publicKey(let schemes):
            guard authentication.method != .sharedKey else { throw unexpected(authentication, peer, context) }
            return try PeerSignature(
                authentication: authentication, octets: octets, peer: peer, schemes: schemes, context
            )
            .verify(certificates)
        }
    }

    /// Verifies a proof by one of the keys that are the peer's.
    private static func verify(
        _ authentication: AuthenticationPayload, of octets: SignedOctets, _ peer: Identity, _ lookup: SharedKeyLookup
    ) throws(Refusal) -> VerifiedPeer {
        let keys = try lookup.all()
        let proof = SecretBytes(copying: authentication.data)
        for key in keys {
            let expected: SecretBytes
            do { expected = try octets.authentication(sharedKey: key.secret) } catch {
                throw Refusal(authentication: error)
            }
            if proof == expected { return VerifiedPeer(identity: peer, method: "shared key", sharedKey: key) }
        }
        throw Refusal(
            authentication: "the peer has another shared key",
            details: [
                "identity tried: \(peer)",
                "key\(keys.count > 1 ? "s" : "") compared: \(keys.map(\.name).joined(separator: ", "))",
            ], remedy: "set the same secret in secrets.\(keys.first?.name ?? "ike") and on the peer")
    }

    private static func unexpected(
        _ authentication: AuthenticationPayload, _ peer: Identity, _ context: AuthenticationContext
    ) -> Refusal {
        let isKey = authentication.method == .sharedKey
        return Refusal(
            authentication:
                "the peer proves itself by \(authentication.method), and connection \(context.connection.name) wants "
                + (isKey ? "a signature" : "a shared key"),
            details: ["identity tried: \(peer)"],
            remedy: "write \(context.line("remote.auth")) = \(isKey ? "psk" : "pubkey"), or change the peer")
    }
}

extension PeerAuthentication {
    /// The connections of a responder that are for this peer, the closest first; the order stays among equals. `wanted`:
    /// whom the peer wants to talk to (its IDr), nil when it does not say.
    package static func connections(
        _ candidates: [Connection], for peer: Identity, wanted: Identity?
    ) -> [Connection] {
        let fitting = candidates.compactMap { connection -> (Connection, Int, Int)? in
            guard let remote = peer.matches(connection.remote.identity) else { return nil }
            guard let wanted, let own = connection.local.identity, own != .any else { return (connection, remote, 0) }
            return wanted.matches(own).map { (connection, remote, $0 + 1) }
        }
        // `sorted` is stable only by chance.
        return fitting.enumerated().sorted { left, right in
            (right.element.1, right.element.2, left.offset) < (left.element.1, left.element.2, right.offset)
        }.map(\.element.0)
    }

    /// Connections that are spelt out; a log record has to end somewhere.
    private static let candidatesShown = 8

    /// Why there is none.
    package static func explainNoConnection(
        _ candidates: [Connection], for peer: IdentificationPayload?, wanted: IdentificationPayload?
    ) -> Explanation {
        func text(_ payload: IdentificationPayload?) -> String {
            payload.map { Identity($0)?.description ?? "of type \($0.type), with data that is not valid" } ?? "not said"
        }
        var configured = candidates.prefix(candidatesShown).map {
            "connection \($0.name): remote.id = \($0.remote.identity), local.id = "
                + ($0.local.identity.map(\.description) ?? "not set")
        }
        if candidates.count > candidatesShown {
            configured.append("and \(candidates.count - candidatesShown) more connections")
        }
        return Explanation(
            "authentication failed: no connection is for this peer",
            details: ["identities tried: \(text(peer)) (peer), \(text(wanted)) (here)"] + configured,
            remedy: remedy(candidates, peer))
    }

    /// The remedy, if the peer's identity is one that can be written.
    private static func remedy(_ candidates: [Connection], _ peer: IdentificationPayload?) -> String {
        guard let identity = peer.flatMap(Identity.init) else {
            return "let the peer send a name, an address, a distinguished name or a key id as its identity"
        }
        return candidates.first.map { "write connections.\($0.name).remote.id = \(identity.settingText)" }
            ?? "add a connection for the peer"
    }
}

extension PeerAuthentication {
    /// The CERTREQ payloads that we send: authorities whose certificates we could verify, and raw keys where
    /// that is the one way (RFC 7296 section 3.7, RFC 7670 section 3). None when the peer is to prove itself otherwise.
    package static func requests(for connections: [Connection], _ credentials: Credentials)
        -> [CertificateRequestPayload]
    {
        let asking = connections.filter { connection in
            guard case .publicKey = connection.remote.method else { return false }
            return connection.sendsCertificateRequest
        }
        if asking.isEmpty { return [] }
        var hashes: [[UInt8]] = []
        for connection in asking where !connection.remote.isRawKeyOnly {
            let own = connection.remote.authorities
            for authority in own.isEmpty ? credentials.authorities : own where !hashes.contains(authority.publicKeyHash)
            {
                hashes.append(authority.publicKeyHash)
            }
        }
        var requests: [CertificateRequestPayload] =
            hashes.isEmpty ? [] : [CertificateRequestPayload(authorities: hashes)]
        // There are peers that give up when they see an encoding that they do not know.
        if asking.allSatisfy(\.remote.isRawKeyOnly) {
            requests.append(CertificateRequestPayload(encoding: .rawPublicKey, data: []))
        }
        return requests
    }
}

extension RemoteAuthentication {
    /// Raw public keys are named, and nothing by which a certificate could be accepted.
    fileprivate var isRawKeyOnly: Bool { !publicKeys.isEmpty && authorities.isEmpty && certificates.isEmpty }
}
