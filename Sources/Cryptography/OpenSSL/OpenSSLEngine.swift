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
            try Self.makeCipher(transform, key: key, direction: direction, extended: extendedSequenceNumbers)
        }
    }

    private static func makeCipher(
        _ transform: ESPTransform, key: UnsafeRawBufferPointer, direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        if let integrity = transform.integrity {
            return try MACContext.makeCipher(
                transform, integrity: integrity, key: key, direction: direction, extended: extended)
        }
        if case .chaCha20Poly1305 = transform.encryption {
            return try AEADContext.makeCipher(
                transform, name: "ChaCha20-Poly1305", key: key, direction: direction, extended: extended)
        }
        return try GCMContext.makeCipher(transform, key: key, direction: direction, extended: extended)
    }
}
