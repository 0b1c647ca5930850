import CLibCrypto

/// One HMAC over input that comes in parts. The key schedule lives in libcrypto and is zeroed when the stream goes.
final class HMACStream {
    private let context: OpaquePointer

    // Fetched once: a fetch searches every provider under a lock. Never freed, only read.
    private nonisolated(unsafe) static let algorithm = EVP_MAC_fetch(nil, "HMAC", nil)

    /// `digest` is libcrypto's name, e.g. "SHA256"; a key may have any length, none included.
    init(digest: String, key: SecretBytes) throws(CryptographyError) {
        guard let algorithm = Self.algorithm, let context = EVP_MAC_CTX_new(algorithm) else {
            throw libraryError("EVP_MAC_CTX_new(HMAC)")
        }
        self.context = context
        let started = digest.withCString { name in
            var parameters = [
                OSSL_PARAM_construct_utf8_string(
                    parameterName("digest"), UnsafeMutablePointer(mutating: name), 0),
                OSSL_PARAM_construct_end(),
            ]
            // An empty key has an address too; a null one would mean "the key from before".
            return key.withUnsafeBytes { key in
                EVP_MAC_init(context, key.baseAddress?.assumingMemoryBound(to: UInt8.self), key.count, &parameters)
            }
        }
        guard started == 1 else { throw libraryError("EVP_MAC_init(\(digest))") }
    }

    /// Begins another message under the same key.
    func restart() throws(CryptographyError) {
        guard EVP_MAC_init(context, nil, 0, nil) == 1 else { throw libraryError("EVP_MAC_init") }
    }

    func update(_ bytes: UnsafeRawBufferPointer) throws(CryptographyError) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        guard EVP_MAC_update(context, start.assumingMemoryBound(to: UInt8.self), bytes.count) == 1 else {
            throw libraryError("EVP_MAC_update")
        }
    }

    /// Writes the whole MAC; `output` has exactly the digest's length.
    func finish(into output: UnsafeMutableRawBufferPointer) throws(CryptographyError) {
        var written = 0
        let start = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard EVP_MAC_final(context, start, &written, output.count) == 1, written == output.count else {
            throw libraryError("EVP_MAC_final")
        }
    }

    deinit { EVP_MAC_CTX_free(context) }
}

/// The name of an OSSL_PARAM, which keeps the pointer: a Swift String would only lend one for the call.
func parameterName(_ name: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
}
