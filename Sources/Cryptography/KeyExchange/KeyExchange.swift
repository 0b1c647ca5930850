import CLibCrypto

/// One key exchange, as the initiator has it between the two values.
///
///     initiator                                responder
///     initiate(method)     value ──────►
///                                              respond(to: value)    its value, the secret
///     finish(with: value)  ◄────── value
///     the secret
///
/// Nobody asks for the responder's value before that of the initiator is known: with groups it is drawn all the same, with
/// a KEM it would be the secret, encapsulated for the initiator's key.
///
/// Private values are never used twice, which is what RFC 6989 asks of those who leave out the expensive check for small
/// subgroups.
public final class KeyExchange: Sendable {
    /// The responder's end of an exchange.
    public struct Response: Sendable {
        /// What goes into the KE payload.
        public let value: [UInt8]
        public let secret: SecretBytes
    }

    public let method: KeyExchangeMethod
    /// The value for the KE payload, `method.publicValueLength` bytes.
    public let publicValue: [UInt8]
    private let key: LibraryKey

    /// Begins an exchange with a fresh private value. Throws `failure`.
    public static func initiate(_ method: KeyExchangeMethod) throws(KeyExchangeError) -> KeyExchange {
        do {
            return try KeyExchange(method, key: generate(method))
        } catch {
            throw .failure(error)
        }
    }

    /// Answers the initiator's value.
    public static func respond(to value: PeerPublicValue) throws(KeyExchangeError) -> Response {
        let own = try initiate(value.method)
        return Response(value: own.publicValue, secret: try own.finish(with: value))
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
        let context: LibraryKeyContext
        if method == .modp1024 {
            let parameters = try GroupParameters.of(method)
            context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_pkey(nil, parameters.handle, nil))
        } else {
            context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_name(nil, algorithm, nil))
        }
        try check(EVP_PKEY_keygen_init(context.handle), "EVP_PKEY_keygen_init")
        if let group { try check(EVP_PKEY_CTX_set_group_name(context.handle, group), "EVP_PKEY_CTX_set_group_name") }
        var key: OpaquePointer?
        try check(EVP_PKEY_generate(context.handle, &key), "EVP_PKEY_generate(\(method))")
        guard let key else { throw libraryError("EVP_PKEY_generate") }
        return LibraryKey(owning: key)
    }
}

extension KeyExchange {
    /// Ends the exchange: the secret that both sides now have, `method.sharedSecretLength` bytes. `peer`: the peer's public value as it
    /// came; it is checked as `PeerPublicValue` says, and the secret must not be zero (RFC 8031 section 4.2).
    public func finish(with peer: [UInt8]) throws(KeyExchangeError) -> SecretBytes {
        try finish(with: PeerPublicValue(method, peer))
    }

    /// The same with a value that was checked. It has to be of the same method.
    public func finish(with peer: PeerPublicValue) throws(KeyExchangeError) -> SecretBytes {
        guard peer.method == method else { throw invalid("it is one of \(peer.method)") }
        let context: LibraryKeyContext
        do throws(CryptographyError) {
            context = try LibraryKeyContext(owning: EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil))
            try check(EVP_PKEY_derive_init(context.handle), "EVP_PKEY_derive_init")
            if method.family == .modp {
                // Leading zeros stay (RFC 7296 section 2.14).
                try check(EVP_PKEY_CTX_set_dh_pad(context.handle, 1), "EVP_PKEY_CTX_set_dh_pad")
            }
            // 0: the value was checked when it was read.
            try check(EVP_PKEY_derive_set_peer_ex(context.handle, peer.key.handle, 0), "EVP_PKEY_derive_set_peer")
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

    private func invalid(_ reason: String) -> KeyExchangeError {
        ERR_clear_error()
        return .invalidPublicValue(method: method, reason: reason)
    }
}
