import CLibCrypto

/// The engine that is always there: OpenSSL's libcrypto (3.0 or later).
///
/// Why AES-GCM goes by `GCMContext`: cycles per packet sealed with AES-128-GCM, best of 3,000 batches of 64 packets on an
/// AMD Milan core at 2.45 GHz with OpenSSL 3.0, for payloads of 64, 88 and 1424 bytes:
///
///     GCMContext: the provider's AES-CTR called directly, GHASH by CRYPTO_gcm128_*     253   294  1065
///     CRYPTO_gcm128_* with the provider's AES-ECB and AES-CTR as its callbacks         271   355  1095
///     AEADContext: the provider's AES-GCM called directly                              395   452  1179
///     EVP_Cipher and a prebuilt OSSL_PARAM                                             616   688  1403
public struct OpenSSLEngine: ESPEngine {
    private let insideProvider: Bool

    /// `insideProvider`: AES-GCM and ChaCha20-Poly1305 run wholly within the provider that OpenSSL's configuration
    /// chooses, at the cost above. Always so for AES-GCM when that provider is not OpenSSL's default one (FIPS).
    public init(insideProvider: Bool = false) { self.insideProvider = insideProvider }

    public var name: String { "openssl" }

    public func supports(_ transform: ESPTransform) -> Bool { true }

    public func makeCipher(
        _ transform: ESPTransform, keyMaterial: SecretBytes, direction: CipherDirection, extendedSequenceNumbers: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let expected = transform.keyMaterialLength
        guard keyMaterial.count == expected else {
            throw .keyLength(transform: transform, expected: expected, actual: keyMaterial.count)
        }
        return try keyMaterial.withUnsafeBytes { key throws(CryptographyError) in
            try makeCipher(transform, key: key, direction: direction, extended: extendedSequenceNumbers)
        }
    }

    private func makeCipher(
        _ transform: ESPTransform, key: UnsafeRawBufferPointer, direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        if let integrity = transform.integrity {
            return try MACContext.makeCipher(
                transform, integrity: integrity, key: key, direction: direction, extended: extended)
        }
        switch transform.encryption {
        case .aesGCM(let keyBits, _) where insideProvider || !Self.usesDefaultProvider("AES-\(keyBits)-GCM"):
            return try AEADContext.makeCipher(
                transform, name: "AES-\(keyBits)-GCM", key: key, direction: direction, extended: extended)
        case .chaCha20Poly1305 where insideProvider:
            return try AEADContext.makeCipher(
                transform, name: "ChaCha20-Poly1305", key: key, direction: direction, extended: extended)
        case .chaCha20Poly1305:
            return try ChaChaContext.makeCipher(transform, key: key, direction: direction, extended: extended)
        default:
            return try GCMContext.makeCipher(transform, key: key, direction: direction, extended: extended)
        }
    }

    /// Whether OpenSSL's configuration leaves `name` to the provider "default".
    private static func usesDefaultProvider(_ name: String) -> Bool {
        guard let cipher = EVP_CIPHER_fetch(nil, name, nil) else { return false }
        defer { EVP_CIPHER_free(cipher) }
        guard let provider = OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)) else { return false }
        return String(cString: provider) == "default"
    }
}
