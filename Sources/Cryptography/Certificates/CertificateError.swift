/// Why a certificate was not accepted. Names are distinguished names as text, times are seconds since 1970, UTC.
public enum CertificateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes are no certificate or CRL (`what`) at all.
    case unreadable(what: String, reason: String)
    case expired(subject: String, since: Int64)
    case notYetValid(subject: String, until: Int64)
    case revoked(subject: String, serialNumber: String, since: Int64?, reason: String?)
    /// No trusted authority has the name of its issuer.
    case unknownAuthority(subject: String, issuer: String)
    /// The certificate is its own issuer and not among the trusted ones.
    case untrustedRoot(subject: String)
    /// Its issuer's key did not make its signature.
    case wrongSignature(subject: String, issuer: String)
    /// The certificate issued another one and may not.
    case notAuthority(subject: String)
    /// keyUsage allows no signatures.
    case wrongUsage(subject: String)
    /// extendedKeyUsage is for other things than IKE or TLS.
    case wrongPurpose(subject: String, purposes: String)
    /// The revocation policy wants a CRL, and there is none.
    case noRevocationList(subject: String, issuer: String)
    /// The revocation policy wants a current CRL, and the only one is too old.
    case staleRevocationList(subject: String, issuer: String)
    /// The revocation policy wants a CRL that tells, and none of those there are does.
    case insufficientRevocationList(subject: String, issuer: String, reason: String)
    /// A key below 112 bits of strength (RSA below 2048 bits), or a signature with SHA-1.
    case weak(subject: String, reason: String)
    /// libcrypto's verifier has another reason.
    case rejected(subject: String, reason: String)

    public var description: String {
        switch self {
        case .unreadable(let what, let reason): "unreadable \(what): \(reason)"
        case .expired(let subject, let since): "certificate \"\(subject)\" expired at \(CertificateTime.text(since))"
        case .notYetValid(let subject, let until):
            "certificate \"\(subject)\" is not valid before \(CertificateTime.text(until)); is the clock right?"
        case .revoked(let subject, let serialNumber, let since, let reason):
            "certificate \"\(subject)\" (serial \(serialNumber)) was revoked"
                + (since.map { " at \(CertificateTime.text($0))" } ?? "") + (reason.map { ": \($0)" } ?? "")
        case .unknownAuthority(let subject, let issuer):
            "certificate \"\(subject)\" was issued by \"\(issuer)\", which is not among the trusted authorities"
        case .untrustedRoot(let subject): "\"\(subject)\" is self-signed and not among the trusted authorities"
        case .wrongSignature(let subject, let issuer):
            "certificate \"\(subject)\" was not signed by the key of \"\(issuer)\""
        case .notAuthority(let subject):
            "\"\(subject)\" issued a certificate but is not an authority (basicConstraints)"
        case .wrongUsage(let subject): "certificate \"\(subject)\" may not sign (keyUsage lacks digitalSignature)"
        case .wrongPurpose(let subject, let purposes):
            "certificate \"\(subject)\" is not for IKE (extendedKeyUsage is \(purposes))"
        case .noRevocationList(let subject, let issuer):
            "the revocation policy wants a CRL of \"\(issuer)\" for \"\(subject)\", and there is none"
        case .staleRevocationList(let subject, let issuer):
            "the revocation policy wants a current CRL of \"\(issuer)\" for \"\(subject)\"; the one at hand is outdated"
        case .insufficientRevocationList(let subject, let issuer, let reason):
            "the revocation policy wants a CRL of \"\(issuer)\" that tells of \"\(subject)\"; of those there are, none "
                + "does: \(reason)"
        case .weak(let subject, let reason): "certificate \"\(subject)\" is too weak: \(reason)"
        case .rejected(let subject, let reason): "certificate \"\(subject)\": \(reason)"
        }
    }
}
