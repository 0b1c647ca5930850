import CLibCrypto

/// A peer's public value that was found to be one: its length, 1 < r < p-1 (MODP) or a point on the curve (ECP), as
/// RFC 6989 section 2 has it, and no point of small order (RFC 7748 section 6).
///
/// The check needs no key of ours. A responder makes it first: who sends a value that is none costs no key pair.
public struct PeerPublicValue: Sendable {
    public let method: KeyExchangeMethod
    let key: LibraryKey

    /// `bytes`: the content of the KE payload. Throws `publicValueLength` or `invalidPublicValue`.
    public init(_ method: KeyExchangeMethod, _ bytes: [UInt8]) throws(KeyExchangeError) {
        guard bytes.count == method.publicValueLength else {
            throw .publicValueLength(method: method, expected: method.publicValueLength, actual: bytes.count)
        }
        self.method = method
        key =
            switch method.family {
            case .montgomery: try Self.montgomery(method, bytes)
            case .modp, .ecp: try Self.inGroup(method, bytes)
            }
    }

    private static func montgomery(
        _ method: KeyExchangeMethod, _ bytes: [UInt8]
    ) throws(KeyExchangeError) -> LibraryKey {
        if SmallOrderPoints.contains(bytes, of: method) {
            throw .invalidPublicValue(method: method, reason: "the point has a small order")
        }
        let raw = EVP_PKEY_new_raw_public_key_ex(nil, method.libraryNames.algorithm, nil, bytes, bytes.count)
        guard let raw else { throw .failure(libraryError("EVP_PKEY_new_raw_public_key")) }
        return LibraryKey(owning: raw)
    }

    /// libcrypto's form of the value within the group's parameters. It looks itself whether a point is on its curve.
    private static func inGroup(_ method: KeyExchangeMethod, _ bytes: [UInt8]) throws(KeyExchangeError) -> LibraryKey {
        guard let empty = EVP_PKEY_new() else { throw .failure(libraryError("EVP_PKEY_new")) }
        let value = LibraryKey(owning: empty)
        let inRange: Bool
        do throws(CryptographyError) {
            let group = try GroupParameters.of(method)
            try check(EVP_PKEY_copy_parameters(value.handle, group.handle), "EVP_PKEY_copy_parameters")
            inRange = method.family == .modp ? try isInRange(bytes, group) : true
        } catch {
            throw .failure(error)
        }
        guard inRange else { throw .invalidPublicValue(method: method, reason: "it is not between 1 and p-1") }
        let encoded = method.family == .ecp ? [4] + bytes : bytes
        guard EVP_PKEY_set1_encoded_public_key(value.handle, encoded, encoded.count) == 1 else {
            ERR_clear_error()
            let reason = method.family == .ecp ? "the point is not on the curve" : "it is not in the group"
            throw .invalidPublicValue(method: method, reason: reason)
        }
        return value
    }

    /// 1 < r < p-1 (RFC 6989 section 2.1; p is a safe prime in all groups here).
    private static func isInRange(_ bytes: [UInt8], _ group: LibraryKey) throws(CryptographyError) -> Bool {
        var prime: OpaquePointer?
        try check(EVP_PKEY_get_bn_param(group.handle, OSSL_PKEY_PARAM_FFC_P, &prime), "EVP_PKEY_get_bn_param")
        let value = BN_bin2bn(bytes, Int32(bytes.count), nil)
        defer {
            BN_free(prime)
            BN_free(value)
        }
        guard let prime, let value, BN_sub_word(prime, 1) == 1 else { throw libraryError("BN_bin2bn") }
        return BN_cmp(value, BN_value_one()) > 0 && BN_cmp(value, prime) < 0
    }
}
