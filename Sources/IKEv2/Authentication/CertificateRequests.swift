import Cryptography
import IKEv2Messages

extension PeerAuthentication {
    /// The CERTREQ payloads that we send: authorities whose certificates we could verify, and raw keys where
    /// that is the one way (RFC 7296 section 3.7, RFC 7670 section 3). None when the peer is to prove itself otherwise.
    public static func requests(for connections: [Connection], _ credentials: Credentials)
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
