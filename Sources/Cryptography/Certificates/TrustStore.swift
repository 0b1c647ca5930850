import CLibCrypto

/// The authorities that are trusted, and their CRLs; unchanging, so that a reload makes a new one.
public final class TrustStore: Sendable {
    /// Trusted as they are, roots and others; end-entity certificates too.
    public let authorities: [Certificate]
    public let revocationLists: RevocationListSet
    /// Filled in `init` and only read after; libcrypto locks it.
    nonisolated(unsafe) let store: OpaquePointer

    /// Throws `rejected` when libcrypto does not take a part.
    public init(
        authorities: [Certificate], revocationLists: RevocationListSet = []
    ) throws(CertificateError) {
        guard let store = X509_STORE_new() else {
            throw .rejected(subject: "", reason: "\(libraryError("X509_STORE_new"))")
        }
        self.authorities = authorities
        self.revocationLists = revocationLists
        self.store = store
        for authority in authorities where X509_STORE_add_cert(store, authority.handle) != 1 {
            throw .rejected(subject: authority.description, reason: "\(libraryError("X509_STORE_add_cert"))")
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
        let chain = try chain(from: certificate, intermediates: intermediates, at: time)
        try certificate.checkUsage()
        let check = RevocationCheck(store: self, policy: revocation, time: time, pool: intermediates)
        try check.verify(chain)
        return chain
    }

    /// A certificate that is trusted by itself, whoever issued it. What its issuer's CRLs say of it counts all the same,
    /// where the issuer is among the authorities or `intermediates`; `revocation` decides when they say nothing. Nobody
    /// can revoke one that is self-signed.
    public func verify(
        pinned certificate: Certificate, intermediates: [Certificate] = [], at time: Int64,
        revocation: RevocationPolicy = .relaxed
    ) throws(CertificateError) {
        let alone = try TrustStore(authorities: [certificate])
        _ = try alone.chain(from: certificate, intermediates: [], at: time)
        try certificate.checkUsage()
        if certificate.isSelfIssued { return }
        let check = RevocationCheck(store: self, policy: revocation, time: time, pool: intermediates)
        // The chain may be missing or expired: it is not what makes the certificate trusted.
        if let chain = try? chain(from: certificate, intermediates: intermediates, at: time) {
            try check.verify(chain)
            // When the store trusts the certificate itself, that was no question yet.
            if chain.count > 1 { return }
        }
        try check.judge(certificate, .unknown(.noList))
    }

    /// Builds the chain and verifies all of it but revocation.
    func chain(
        from certificate: Certificate, intermediates: [Certificate], at time: Int64
    ) throws(CertificateError) -> [Certificate] {
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
        // A trusted authority ends the chain even when it is no root. CRLs are asked by `RevocationCheck`: libcrypto takes
        // a delta list for a complete one, and with its extended support still one that is about some reasons only.
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK))
        // Policies matter where the chain demands some (requireExplicitPolicy, RFC 5280 section 6.1); any will do.
        X509_VERIFY_PARAM_add0_policy(parameters, OBJ_nid2obj(NID_any_policy))
        let status = withExtendedLifetime(intermediates) { X509_verify_cert(context) }
        defer { ERR_clear_error() }
        guard status == 1 else { throw failure(context, certificate) }
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
