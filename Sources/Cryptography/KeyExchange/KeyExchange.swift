import CLibCrypto

/// One side of one key exchange: a fresh private value, and the public value to send.
///
/// Make a new one for every exchange. Private values are never used twice, which is what RFC 6989 asks of those who
/// leave out the expensive check for small subgroups.
public final class KeyExchange: Sendable {
    public let method: KeyExchangeMethod
    /// What goes into the KE payload, `method.publicValueLength` bytes.
    public let publicValue: [UInt8]
    private let key: LibraryKey

    /// Draws a fresh private value. Throws `failure`.
    public convenience init(_ method: KeyExchangeMethod) throws(KeyExchangeError) {
        do {
            try self.init(method, key: Self.generate(method))
        } catch {
            throw .failure(error)
        }
    }

    init(_ method: KeyExchangeMethod, key: LibraryKey) throws(CryptographyError) {
        self.method = method
        self.key = key
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = EVP_PKEY_get1_encoded_public_key(key.handle, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        // libcrypto puts the byte 4, "uncompressed", in front of a point; IKE does not (RFC 5903 section 7).
        let prefix = method.family == .ecp ? 1 : 0
        guard let encoded, count == method.publicValueLength + prefix else {
            throw libraryError("EVP_PKEY_get1_encoded_public_key")
        }
        publicValue = Array(UnsafeBufferPointer(start: encoded, count: count).dropFirst(prefix))
    }

    private static func generate(_ method: KeyExchangeMethod) throws(CryptographyError) -> LibraryKey {
        let (algorithm, group) = method.libraryNames
        let context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_name(nil, algorithm, nil))
        try check(EVP_PKEY_keygen_init(context.handle), "EVP_PKEY_keygen_init")
        if let group { try check(EVP_PKEY_CTX_set_group_name(context.handle, group), "EVP_PKEY_CTX_set_group_name") }
        var key: OpaquePointer?
        try check(EVP_PKEY_generate(context.handle, &key), "EVP_PKEY_generate(\(method))")
        guard let key else { throw libraryError("EVP_PKEY_generate") }
        return LibraryKey(owning: key)
    }
}

extension KeyExchange {
    /// The secret that both sides now have, `method.sharedSecretLength` bytes.
    ///
    /// `peer` is the peer's public value as it came. Checked are its length, that 1 < r < p-1 (MODP) or that the point
    /// is on the curve (RFC 6989), and that the secret is not zero (RFC 8031 section 4.2: points of small order).
    public func sharedSecret(with peer: [UInt8]) throws(KeyExchangeError) -> SecretBytes {
        guard peer.count == method.publicValueLength else {
            throw .publicValueLength(method: method, expected: method.publicValueLength, actual: peer.count)
        }
        let other = try peerKey(peer)
        let context: LibraryKeyContext
        do throws(CryptographyError) {
            context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil))
            try check(EVP_PKEY_derive_init(context.handle), "EVP_PKEY_derive_init")
            if method.family == .modp {
                // Leading zeros stay (RFC 7296 section 2.14).
                try check(EVP_PKEY_CTX_set_dh_pad(context.handle, 1), "EVP_PKEY_CTX_set_dh_pad")
            }
            // 0: the value was checked when it was read.
            try check(EVP_PKEY_derive_set_peer_ex(context.handle, other.handle, 0), "EVP_PKEY_derive_set_peer")
        } catch {
            throw .failure(error)
        }
        do throws(CryptographyError) {
            return try derive(context.handle)
        } catch {
            // Everything but the peer's value is known to be right.
            throw invalid(method.family == .montgomery ? "the point has a small order" : "it is not in the group")
        }
    }

    private func derive(_ context: OpaquePointer) throws(CryptographyError) -> SecretBytes {
        try secret(count: method.sharedSecretLength) { output throws(CryptographyError) in
            var count = output.count
            let start = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            guard EVP_PKEY_derive(context, start, &count) == 1, count == output.count else {
                throw libraryError("EVP_PKEY_derive")
            }
        }
    }

    /// libcrypto's form of the peer's public value, checked.
    private func peerKey(_ peer: [UInt8]) throws(KeyExchangeError) -> LibraryKey {
        if method.family == .montgomery {
            let raw = EVP_PKEY_new_raw_public_key_ex(nil, method.libraryNames.algorithm, nil, peer, peer.count)
            guard let raw else { throw .failure(libraryError("EVP_PKEY_new_raw_public_key")) }
            return LibraryKey(owning: raw)
        }
        guard let empty = EVP_PKEY_new() else { throw .failure(libraryError("EVP_PKEY_new")) }
        let other = LibraryKey(owning: empty)
        let inRange: Bool
        do throws(CryptographyError) {
            try check(EVP_PKEY_copy_parameters(other.handle, key.handle), "EVP_PKEY_copy_parameters")
            inRange = method.family == .modp ? try isInRange(peer) : true
        } catch {
            throw .failure(error)
        }
        guard inRange else { throw invalid("it is not between 1 and p-1") }
        let encoded = method.family == .ecp ? [4] + peer : peer
        guard EVP_PKEY_set1_encoded_public_key(other.handle, encoded, encoded.count) == 1 else {
            ERR_clear_error()
            throw invalid(method.family == .ecp ? "the point is not on the curve" : "it is not in the group")
        }
        return other
    }

    /// 1 < r < p-1 (RFC 6989 section 2.1; p is a safe prime in all groups here).
    private func isInRange(_ peer: [UInt8]) throws(CryptographyError) -> Bool {
        var prime: OpaquePointer?
        try check(EVP_PKEY_get_bn_param(key.handle, OSSL_PKEY_PARAM_FFC_P, &prime), "EVP_PKEY_get_bn_param")
        let value = BN_bin2bn(peer, Int32(peer.count), nil)
        defer {
            BN_free(prime)
            BN_free(value)
        }
        guard let prime, let value, BN_sub_word(prime, 1) == 1 else { throw libraryError("BN_bin2bn") }
        return BN_cmp(value, BN_value_one()) > 0 && BN_cmp(value, prime) < 0
    }

    private func invalid(_ reason: String) -> KeyExchangeError {
        ERR_clear_error()
        return .invalidPublicValue(method: method, reason: reason)
    }
}
