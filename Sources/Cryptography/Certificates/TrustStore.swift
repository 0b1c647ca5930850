import CLibCrypto

/// The authorities that are trusted, and their CRLs; unchanging, so that a reload makes a new one.
public final class TrustStore: Sendable {
    /// Trusted as they are, roots and others; end-entity certificates too.
    public let authorities: [Certificate]
    public let revocationLists: [RevocationList]
    /// Filled in `init` and only read after; libcrypto locks it.
    nonisolated(unsafe) let store: OpaquePointer

    /// Throws `rejected` when libcrypto does not take a part.
    public init(authorities: [Certificate], revocationLists: [RevocationList] = []) throws(CertificateError) {
        guard let store = X509_STORE_new() else {
            throw .rejected(subject: "", reason: "\(libraryError("X509_STORE_new"))")
        }
        self.authorities = authorities
        self.revocationLists = revocationLists
        self.store = store
        for authority in authorities where X509_STORE_add_cert(store, authority.handle) != 1 {
            throw .rejected(subject: authority.description, reason: "\(libraryError("X509_STORE_add_cert"))")
        }
        for list in revocationLists where X509_STORE_add_crl(store, list.handle) != 1 {
            throw .rejected(subject: "\(list.issuer)", reason: "\(libraryError("X509_STORE_add_crl"))")
        }
    }

    deinit { X509_STORE_free(store) }
}

extension TrustStore {
    /// Longest chain below the trusted authority.
    static let maximumDepth: Int32 = 10

    /// The chain from `certificate` up to a trusted authority, both included, or why there is none.
    ///
    /// `intermediates` are what the peer sent besides; they are believed only as far as signatures reach. `time` is now,
    /// in seconds since 1970. The certificate has to be allowed to sign.
    public func verify(
        _ certificate: Certificate, intermediates: [Certificate] = [], at time: Int64,
        revocation: RevocationPolicy = .relaxed
    ) throws(CertificateError) -> [Certificate] {
        let check = RevocationCheck(policy: revocation)
        let untrusted = OPENSSL_sk_new_null()
        defer { OPENSSL_sk_free(untrusted) }
        for intermediate in intermediates { OPENSSL_sk_push(untrusted, UnsafeRawPointer(intermediate.handle)) }
        let context = X509_STORE_CTX_new()
        defer { X509_STORE_CTX_free(context) }
        guard let context, X509_STORE_CTX_init(context, store, certificate.handle, untrusted) == 1 else {
            throw .rejected(subject: certificate.description, reason: "\(libraryError("X509_STORE_CTX_init"))")
        }
        let parameters = X509_STORE_CTX_get0_param(context)
        X509_VERIFY_PARAM_set_time(parameters, time_t(time))
        X509_VERIFY_PARAM_set_depth(parameters, Self.maximumDepth)
        // 2: at least 112 bits of strength.
        X509_VERIFY_PARAM_set_auth_level(parameters, 2)
        // A trusted authority ends the chain even when it is no root.
        let flags = X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL | X509_V_FLAG_PARTIAL_CHAIN
        X509_VERIFY_PARAM_set_flags(parameters, UInt(flags))
        X509_STORE_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(check).toOpaque())
        X509_STORE_CTX_set_verify_cb(context, weighProblem)
        let status = withExtendedLifetime((check, intermediates)) { X509_verify_cert(context) }
        defer { ERR_clear_error() }
        guard status == 1 else { throw failure(context, certificate) }
        guard certificate.maySign else { throw .wrongUsage(subject: certificate.description) }
        let chain = X509_STORE_CTX_get0_chain(context)
        var result: [Certificate] = []
        for index in 0..<max(0, OPENSSL_sk_num(chain)) {
            guard let element = OPENSSL_sk_value(chain, index).map({ OpaquePointer($0) }) else { continue }
            X509_up_ref(element)
            result.append(try Certificate(owning: element))
        }
        return result
    }
}

/// What the verifier's callback reaches through its context.
private final class RevocationCheck {
    let policy: RevocationPolicy
    init(policy: RevocationPolicy) { self.policy = policy }

    /// Whether a certificate of unknown status passes.
    func tolerates(_ certificate: OpaquePointer) -> Bool {
        switch policy {
        case .strict: false
        case .relaxed: true
        case .ifURI:
            X509_get_ext_by_NID(certificate, NID_crl_distribution_points, -1) < 0
                && X509_get_ext_by_NID(certificate, NID_info_access, -1) < 0
        }
    }
}

/// libcrypto's verify callback: 1 goes on in spite of the problem.
private func weighProblem(_ passed: Int32, _ context: OpaquePointer?) -> Int32 {
    if passed == 1 { return 1 }
    switch X509_STORE_CTX_get_error(context) {
    case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID:
        guard let check = X509_STORE_CTX_get_ex_data(context, 0),
            let certificate = X509_STORE_CTX_get_current_cert(context)
        else { return 0 }
        // The end of the chain is trusted as it is; nobody but itself could revoke a root.
        let last = OPENSSL_sk_num(X509_STORE_CTX_get0_chain(context)) - 1
        if X509_STORE_CTX_get_error_depth(context) == last { return 1 }
        return Unmanaged<RevocationCheck>.fromOpaque(check).takeUnretainedValue().tolerates(certificate) ? 1 : 0
    default: return 0
    }
}
