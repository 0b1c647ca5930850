import CLibCrypto

/// A key that verifies signatures: out of a certificate, or raw (SubjectPublicKeyInfo).
public final class PublicKey: Sendable {
    public let type: SignatureKeyType
    /// The DER of the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    public let subjectPublicKeyInfo: [UInt8]
    let key: LibraryKey

    /// Reads PEM ("PUBLIC KEY" or "RSA PUBLIC KEY") or the DER of a SubjectPublicKeyInfo.
    public convenience init(_ bytes: [UInt8]) throws(SignatureError) {
        let key = bytes.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            let source = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count))
            defer { BIO_free(source) }
            if let key = PEM_read_bio_PUBKEY(source, nil, nil, nil) { return key }
            var cursor = buffer.baseAddress
            let key = d2i_PUBKEY(nil, &cursor, buffer.count)
            guard key == nil || cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                EVP_PKEY_free(key)
                return nil
            }
            return key
        }
        guard let key else { throw .unreadableKey(reason: "no public key in it\(libraryReason())") }
        ERR_clear_error()
        try self.init(LibraryKey(owning: key))
    }

    /// Throws `unsupportedKey` or `keySize`.
    init(_ key: LibraryKey) throws(SignatureError) {
        type = try SignatureKeyType(key)
        self.key = key
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(key.handle, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        guard count > 0, let encoded else { throw .failure(libraryError("i2d_PUBKEY")) }
        subjectPublicKeyInfo = Array(UnsafeBufferPointer(start: encoded, count: Int(count)))
    }

    /// SHA-1 of the SubjectPublicKeyInfo, 20 bytes: how CERTREQ names an authority (RFC 7296 section 3.7).
    public var keyHash: [UInt8] { sha1(subjectPublicKeyInfo) }

    /// SHA-1 of the bits of the key alone, 20 bytes: what CAs use as subjectKeyIdentifier (RFC 5280 section 4.2.1.2).
    public var subjectKeyIdentifier: [UInt8] {
        subjectPublicKeyInfo.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            let info = d2i_X509_PUBKEY(nil, &cursor, buffer.count)
            defer { X509_PUBKEY_free(info) }
            var bits: UnsafePointer<UInt8>?
            var count: Int32 = 0
            guard X509_PUBKEY_get0_param(nil, &bits, &count, nil, info) == 1 else { return sha1([]) }
            return sha1(Array(UnsafeBufferPointer(start: bits, count: Int(count))))
        }
    }

    /// Throws `badSignature` unless the private half of this key signed `message`.
    public func verify(
        _ signature: [UInt8], of message: [UInt8], scheme: SignatureScheme
    ) throws(SignatureError) {
        guard type.fits(scheme) else { throw .schemeMismatch(scheme: scheme, key: type) }
        var signature = signature
        if case .ecdsaConcatenated = scheme {
            guard let encoded = ECDSASignature.der(concatenated: signature, keyType: type) else {
                throw .badSignature
            }
            signature = encoded
        }
        let operation = try SignatureOperation(key, scheme: scheme, signing: false)
        guard EVP_DigestVerify(operation.handle, signature, signature.count, message, message.count) == 1 else {
            ERR_clear_error()
            throw .badSignature
        }
    }
}

extension PublicKey: Hashable {
    public static func == (left: PublicKey, right: PublicKey) -> Bool {
        left.subjectPublicKeyInfo == right.subjectPublicKeyInfo
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(subjectPublicKeyInfo) }
}

extension SignatureKeyType {
    /// Throws `unsupportedKey` or `keySize`.
    init(_ key: LibraryKey) throws(SignatureError) {
        switch EVP_PKEY_get_base_id(key.handle) {
        case NID_rsaEncryption, NID_rsassaPss:
            let bits = Int(EVP_PKEY_get_bits(key.handle))
            guard 2048...16384 ~= bits else { throw .keySize(bits: bits) }
            self = .rsa(bits: bits)
        case NID_X9_62_id_ecPublicKey:
            var name = [CChar](repeating: 0, count: 80)
            var count = 0
            EVP_PKEY_get_group_name(key.handle, &name, name.count, &count)
            let group = String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            switch group {
            case "prime256v1", "P-256": self = .ecdsa(bits: 256)
            case "secp384r1", "P-384": self = .ecdsa(bits: 384)
            case "secp521r1", "P-521": self = .ecdsa(bits: 521)
            default: throw .unsupportedKey("ECDSA \(group)")
            }
        case NID_ED25519: self = .ed25519
        case NID_ED448: self = .ed448
        default:
            throw .unsupportedKey(EVP_PKEY_get0_type_name(key.handle).map { String(cString: $0) } ?? "unknown")
        }
    }
}

/// SHA-1, for what RFCs fix it for and where nothing rests on it: key hashes (RFC 7296 section 3.7), NAT detection
/// (section 2.23).
package func sha1(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
    SHA1(bytes, bytes.count, &digest)
    return digest
}

/// libcrypto's latest reason as ": text", or nothing; clears its queue.
func libraryReason() -> String {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    return ERR_reason_error_string(code).map { ": " + String(cString: $0) } ?? ""
}
