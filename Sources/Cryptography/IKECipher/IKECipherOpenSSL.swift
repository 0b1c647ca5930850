import CLibCrypto

/// Owns an EVP_CIPHER_CTX; freeing it zeroes the key schedule.
private final class CipherContext {
    let handle: OpaquePointer

    /// `key` and `iv` have the lengths that `cipher` takes.
    init(
        _ cipher: OpaquePointer?, key: SecretBytes, iv: [UInt8], encrypting: Bool
    ) throws(IKECipherError) {
        guard let handle = EVP_CIPHER_CTX_new() else { throw .failure(libraryError("EVP_CIPHER_CTX_new")) }
        self.handle = handle
        let status = key.withUnsafeBytes { key in
            EVP_CipherInit_ex2(
                handle, cipher, key.baseAddress?.assumingMemoryBound(to: UInt8.self), iv, encrypting ? 1 : 0, nil)
        }
        guard status == 1 else { throw .failure(libraryError("EVP_CipherInit_ex2")) }
    }

    func authenticate(_ header: [UInt8]) throws(IKECipherError) {
        var written: Int32 = 0
        guard EVP_CipherUpdate(handle, nil, &written, header, Int32(header.count)) == 1 else {
            throw .failure(libraryError("EVP_CipherUpdate"))
        }
    }

    /// Runs the cipher over the input: as many bytes out as in. With `checked` a failure at the end means a wrong tag.
    func transform(_ input: [UInt8], checked: Bool) throws(IKECipherError) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: input.count + 16)
        var (written, last): (Int32, Int32) = (0, 0)
        let updated = input.isEmpty ? 1 : EVP_CipherUpdate(handle, &output, &written, input, Int32(input.count))
        guard updated == 1 else { throw .failure(libraryError("EVP_CipherUpdate")) }
        var tail = [UInt8](repeating: 0, count: 32)
        guard EVP_CipherFinal_ex(handle, &tail, &last) == 1 else {
            OPENSSL_cleanse(&output, output.count)
            if checked {
                ERR_clear_error()
                throw .integrityFailure
            }
            throw .failure(libraryError("EVP_CipherFinal_ex"))
        }
        output.removeLast(output.count - Int(written))
        return output
    }

    deinit { EVP_CIPHER_CTX_free(handle) }
}

extension IKECipher {
    private var cipher: OpaquePointer? {
        switch suite.encryption {
        case .aesGCM16(keyBits: 128): EVP_aes_128_gcm()
        case .aesGCM16(keyBits: 192): EVP_aes_192_gcm()
        case .aesGCM16: EVP_aes_256_gcm()
        case .chaCha20Poly1305: EVP_chacha20_poly1305()
        case .aesCBC(keyBits: 128): EVP_aes_128_cbc()
        case .aesCBC(keyBits: 192): EVP_aes_192_cbc()
        case .aesCBC: EVP_aes_256_cbc()
        }
    }

    /// The nonce is salt | IV (RFC 5282 section 4).
    private func context(iv: [UInt8], encrypting: Bool) throws(IKECipherError) -> CipherContext {
        var nonce = encryptionKey.withUnsafeBytes { Array($0.suffix(suite.saltLength)) + iv }
        defer { OPENSSL_cleanse(&nonce, nonce.count) }
        return try CipherContext(cipher, key: encryptionKey, iv: nonce, encrypting: encrypting)
    }

    /// Ciphertext | tag.
    func sealAEAD(_ plaintext: [UInt8], iv: [UInt8], header: [UInt8]) throws(IKECipherError) -> [UInt8] {
        let context = try context(iv: iv, encrypting: true)
        try context.authenticate(header)
        let ciphertext = try context.transform(plaintext, checked: false)
        var tag = [UInt8](repeating: 0, count: suite.icvLength)
        guard EVP_CIPHER_CTX_ctrl(context.handle, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), &tag) == 1 else {
            throw .failure(libraryError("EVP_CTRL_AEAD_GET_TAG"))
        }
        return ciphertext + tag
    }

    func openAEAD(
        _ ciphertext: [UInt8], icv: [UInt8], iv: [UInt8], header: [UInt8]
    ) throws(IKECipherError) -> [UInt8] {
        let context = try context(iv: iv, encrypting: false)
        var tag = icv
        guard EVP_CIPHER_CTX_ctrl(context.handle, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1 else {
            throw .failure(libraryError("EVP_CTRL_AEAD_SET_TAG"))
        }
        try context.authenticate(header)
        return try context.transform(ciphertext, checked: true)
    }

    func cbc(_ input: [UInt8], iv: [UInt8], encrypting: Bool) throws(IKECipherError) -> [UInt8] {
        let context = try CipherContext(cipher, key: encryptionKey, iv: iv, encrypting: encrypting)
        EVP_CIPHER_CTX_set_padding(context.handle, 0)
        return try context.transform(input, checked: false)
    }
}
