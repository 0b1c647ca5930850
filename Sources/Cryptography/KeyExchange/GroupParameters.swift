import CLibCrypto

/// The groups' parameters as keys without a key, made once for each.
enum GroupParameters {
    private static let all: [KeyExchangeMethod: Result<LibraryKey, CryptographyError>] = {
        let methods = KeyExchangeMethod.allCases.filter { $0.family != .montgomery }
        return Dictionary(
            uniqueKeysWithValues: methods.map { method in
                (method, Result { () throws(CryptographyError) in try make(method) })
            })
    }()

    static func of(_ method: KeyExchangeMethod) throws(CryptographyError) -> LibraryKey {
        guard let parameters = all[method] else { return try make(method) }
        return try parameters.get()
    }

    private static func make(_ method: KeyExchangeMethod) throws(CryptographyError) -> LibraryKey {
        if method == .modp1024 { return try secondOakleyGroup() }
        let (algorithm, group) = method.libraryNames
        let context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_name(nil, algorithm, nil))
        try check(EVP_PKEY_paramgen_init(context.handle), "EVP_PKEY_paramgen_init")
        if let group { try check(EVP_PKEY_CTX_set_group_name(context.handle, group), "EVP_PKEY_CTX_set_group_name") }
        var key: OpaquePointer?
        try check(EVP_PKEY_paramgen(context.handle, &key), "EVP_PKEY_paramgen(\(method))")
        guard let key else { throw libraryError("EVP_PKEY_paramgen") }
        return LibraryKey(owning: key)
    }

    /// libcrypto knows the prime of RFC 2409 section 6.2, and has no name for the group; its generator is 2.
    private static func secondOakleyGroup() throws(CryptographyError) -> LibraryKey {
        let builder = OSSL_PARAM_BLD_new()
        let (prime, generator) = (BN_get_rfc2409_prime_1024(nil), BN_new())
        defer {
            OSSL_PARAM_BLD_free(builder)
            BN_free(prime)
            BN_free(generator)
        }
        BN_set_word(generator, 2)
        // The builder keeps pointers until it is asked for the parameters.
        guard OSSL_PARAM_BLD_push_BN(builder, parameterName("p"), prime) == 1,
            OSSL_PARAM_BLD_push_BN(builder, parameterName("g"), generator) == 1,
            let parameters = OSSL_PARAM_BLD_to_param(builder)
        else { throw libraryError("OSSL_PARAM_BLD_push_BN") }
        defer { OSSL_PARAM_free(parameters) }
        let context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_name(nil, "DH", nil))
        try check(EVP_PKEY_fromdata_init(context.handle), "EVP_PKEY_fromdata_init")
        var key: OpaquePointer?
        try check(
            EVP_PKEY_fromdata(context.handle, &key, OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS, parameters),
            "EVP_PKEY_fromdata")
        guard let key else { throw libraryError("EVP_PKEY_fromdata") }
        return LibraryKey(owning: key)
    }
}
