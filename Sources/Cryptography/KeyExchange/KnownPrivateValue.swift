import CLibCrypto

#if canImport(Glibc)
    import Glibc
#endif

extension KeyExchange {
    /// An exchange with a given private value, big endian (RFC 7748's own order for x25519 and x448).
    ///
    /// For published test vectors only; a gateway never chooses its private values. Not for modp1024, which has no name in
    /// libcrypto.
    package convenience init(_ method: KeyExchangeMethod, privateValue: SecretBytes) throws(CryptographyError) {
        if method.family == .montgomery {
            let raw = privateValue.withUnsafeBytes { bytes in
                EVP_PKEY_new_raw_private_key_ex(
                    nil, method.libraryNames.algorithm, nil, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    bytes.count)
            }
            guard let raw else { throw libraryError("EVP_PKEY_new_raw_private_key") }
            try self.init(method, key: LibraryKey(owning: raw))
            return
        }
        let scalar = privateValue.withUnsafeBytes { bytes in
            BN_bin2bn(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count), nil)
        }
        defer { BN_clear_free(scalar) }
        guard let scalar else { throw libraryError("BN_bin2bn") }
        try self.init(method, key: Self.key(method, scalar))
    }

    /// A key with this private value and the public one that belongs to it.
    private static func key(_ method: KeyExchangeMethod, _ scalar: OpaquePointer) throws(CryptographyError)
        -> LibraryKey
    {
        let builder = OSSL_PARAM_BLD_new()
        let power = try method.family == .modp ? power(method, scalar) : nil
        var point = try method.family == .ecp ? point(method, scalar) : []
        // The builder keeps pointers until it is asked for the parameters.
        let group = strdup(method.libraryNames.group ?? "")
        defer {
            OSSL_PARAM_BLD_free(builder)
            BN_free(power)
            free(group)
        }
        let parameters = point.withUnsafeMutableBytes { point -> UnsafeMutablePointer<OSSL_PARAM>? in
            let pushed =
                power != nil
                ? OSSL_PARAM_BLD_push_BN(builder, parameterName("pub"), power)
                : OSSL_PARAM_BLD_push_octet_string(builder, parameterName("pub"), point.baseAddress, point.count)
            guard pushed == 1, OSSL_PARAM_BLD_push_utf8_string(builder, parameterName("group"), group, 0) == 1,
                OSSL_PARAM_BLD_push_BN(builder, parameterName("priv"), scalar) == 1
            else { return nil }
            return OSSL_PARAM_BLD_to_param(builder)
        }
        defer { OSSL_PARAM_free(parameters) }
        guard parameters != nil else { throw libraryError("OSSL_PARAM_BLD_to_param") }
        let algorithm = method.libraryNames.algorithm
        let context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_name(nil, algorithm, nil))
        try check(EVP_PKEY_fromdata_init(context.handle), "EVP_PKEY_fromdata_init")
        var key: OpaquePointer?
        let parts =
            OSSL_KEYMGMT_SELECT_PRIVATE_KEY | OSSL_KEYMGMT_SELECT_PUBLIC_KEY | OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS
        try check(EVP_PKEY_fromdata(context.handle, &key, parts, parameters), "EVP_PKEY_fromdata")
        guard let key else { throw libraryError("EVP_PKEY_fromdata") }
        return LibraryKey(owning: key)
    }

    /// The base point times `scalar`, uncompressed.
    private static func point(_ method: KeyExchangeMethod, _ scalar: OpaquePointer) throws(CryptographyError) -> [UInt8]
    {
        let curve =
            switch method {
            case .ecp256: NID_X9_62_prime256v1
            case .ecp384: NID_secp384r1
            default: NID_secp521r1
            }
        let group = EC_GROUP_new_by_curve_name(curve)
        let point = EC_POINT_new(group)
        defer {
            EC_POINT_free(point)
            EC_GROUP_free(group)
        }
        try check(EC_POINT_mul(group, point, scalar, nil, nil, nil), "EC_POINT_mul")
        var encoded = [UInt8](repeating: 0, count: 1 + method.publicValueLength)
        let count = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, &encoded, encoded.count, nil)
        guard count == encoded.count else { throw libraryError("EC_POINT_point2oct") }
        return encoded
    }

    /// 2 to the power of `scalar` (the generator of all groups of RFC 3526 is 2).
    private static func power(
        _ method: KeyExchangeMethod, _ scalar: OpaquePointer
    ) throws(CryptographyError) -> OpaquePointer? {
        let prime =
            switch method {
            case .modp1536: BN_get_rfc3526_prime_1536(nil)
            case .modp2048: BN_get_rfc3526_prime_2048(nil)
            case .modp3072: BN_get_rfc3526_prime_3072(nil)
            default: BN_get_rfc3526_prime_4096(nil)
            }
        let (base, result, context) = (BN_new(), BN_new(), BN_CTX_new())
        defer {
            BN_free(prime)
            BN_free(base)
            BN_CTX_free(context)
        }
        BN_set_word(base, 2)
        try check(BN_mod_exp(result, base, scalar, prime, context), "BN_mod_exp")
        return result
    }
}
