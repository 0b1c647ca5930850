import CLibCrypto

/// Owns an EVP_MD_CTX that is ready to sign or to verify with a scheme.
final class SignatureOperation {
    let handle: OpaquePointer

    init(_ key: LibraryKey, scheme: SignatureScheme, signing: Bool) throws(SignatureError) {
        guard let handle = EVP_MD_CTX_new() else { throw .failure(libraryError("EVP_MD_CTX_new")) }
        self.handle = handle
        var parameters: OpaquePointer?
        let digest = scheme.hash.digest
        let status =
            signing
            ? EVP_DigestSignInit_ex(handle, &parameters, digest, nil, nil, key.handle, nil)
            : EVP_DigestVerifyInit_ex(handle, &parameters, digest, nil, nil, key.handle, nil)
        guard status == 1 else { throw .failure(libraryError("EVP_DigestSignInit_ex")) }
        var configured = true
        switch scheme {
        case .rsaPKCS1:
            configured = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) == 1
        case .rsaPSS(_, let saltLength):
            // MGF1's hash follows the digest.
            configured =
                EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, Int32(clamping: saltLength)) == 1
        case .ecdsa, .ecdsaConcatenated, .ed25519, .ed448: break
        }
        guard configured else { throw .failure(libraryError("EVP_PKEY_CTX_set_rsa_padding")) }
    }

    deinit { EVP_MD_CTX_free(handle) }
}

/// The two ways to write an ECDSA signature.
enum ECDSASignature {
    private static func elementLength(_ type: SignatureKeyType) -> Int {
        if case .ecdsa(let bits) = type { (bits + 7) / 8 } else { 0 }
    }

    /// r | s, each as long as the curve's order (RFC 4754 section 3), as DER; nil when the length is wrong.
    static func der(concatenated: [UInt8], keyType: SignatureKeyType) -> [UInt8]? {
        let length = elementLength(keyType)
        guard concatenated.count == 2 * length else { return nil }
        let signature = ECDSA_SIG_new()
        defer { ECDSA_SIG_free(signature) }
        let r = BN_bin2bn(concatenated, Int32(length), nil)
        let s = BN_bin2bn(Array(concatenated[length...]), Int32(length), nil)
        guard ECDSA_SIG_set0(signature, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(signature, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        return count > 0 ? Array(UnsafeBufferPointer(start: encoded, count: Int(count))) : nil
    }

    /// The other way round; nil for what is no DER of a signature.
    static func concatenated(der: [UInt8], keyType: SignatureKeyType) -> [UInt8]? {
        let signature = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_ECDSA_SIG(nil, &cursor, buffer.count)
        }
        defer { ECDSA_SIG_free(signature) }
        let length = Int32(elementLength(keyType))
        var parts: (r: [UInt8], s: [UInt8])
        parts.r = [UInt8](repeating: 0, count: Int(length))
        parts.s = parts.r
        guard let signature, BN_bn2binpad(ECDSA_SIG_get0_r(signature), &parts.r, length) == length,
            BN_bn2binpad(ECDSA_SIG_get0_s(signature), &parts.s, length) == length
        else { return nil }
        return parts.r + parts.s
    }
}
