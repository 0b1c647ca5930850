import Cryptography
import IKEv2Messages

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
    /// How to sign for a peer with these SIGNATURE_HASH_ALGORITHMS, within `allowed` when that is not empty. Without
    /// RFC 7427 on the other side the methods of RFC 7296 (RSA with SHA-1) and RFC 4754 are all there is.
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
