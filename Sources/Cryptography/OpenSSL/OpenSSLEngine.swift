import CLibCrypto

/// The engine that is always there: OpenSSL's libcrypto (3.0 or later).
public struct OpenSSLEngine: ESPEngine {
    public init() {}

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
            switch transform.encryption {
            case .aesGCM, .aesGMAC:
                try GCMContext.makeCipher(
                    transform, key: key, direction: direction, extended: extendedSequenceNumbers)
            case .chaCha20Poly1305, .aesCBC, .aesCTR, .null:
                throw .unsupported(transform: transform, engine: name)
            }
        }
    }
}
