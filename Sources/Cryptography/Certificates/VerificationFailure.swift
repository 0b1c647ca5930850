import CLibCrypto

extension TrustStore {
    /// The verifier's error number as one of ours, with what an operator needs to know.
    func failure(_ context: OpaquePointer, _ leaf: Certificate) -> CertificateError {
        let code = X509_STORE_CTX_get_error(context)
        let current = X509_STORE_CTX_get_current_cert(context) ?? leaf.handle
        let subject = DistinguishedName(X509_get_subject_name(current)).description
        let issuer = DistinguishedName(X509_get_issuer_name(current)).description
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return .expired(subject: subject, since: CertificateTime.seconds(X509_get0_notAfter(current)) ?? 0)
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return .notYetValid(subject: subject, until: CertificateTime.seconds(X509_get0_notBefore(current)) ?? 0)
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return .unknownAuthority(subject: subject, issuer: issuer)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return .untrustedRoot(subject: subject)
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return .wrongSignature(subject: subject, issuer: issuer)
        case X509_V_ERR_INVALID_CA, X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
            return .notAuthority(subject: subject)
        case X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_CA_KEY_TOO_SMALL, X509_V_ERR_CA_MD_TOO_WEAK:
            return .weak(subject: subject, reason: String(cString: X509_verify_cert_error_string(Int(code))))
        default:
            return .rejected(subject: subject, reason: String(cString: X509_verify_cert_error_string(Int(code))))
        }
    }
}
