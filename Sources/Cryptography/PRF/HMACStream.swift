import CLibCrypto

/// One HMAC over input that comes in parts. The key schedule lives in libcrypto and is zeroed when the stream goes.
final class HMACStream {
    private let context: OpaquePointer

    // Made once, each with a key of zeros: to name HMAC and a digest makes libcrypto search every provider under a
    // lock, to copy a context that has them does not. Never freed, only read.
    private nonisolated(unsafe) static let templates: [String: OpaquePointer] = {
        guard let algorithm = EVP_MAC_fetch(nil, "HMAC", nil) else { return [:] }
        var templates: [String: OpaquePointer] = [:]
        for digest in Set(PRF.allCases.map(\.digest)) {
            templates[digest] = try? template(algorithm, digest: digest)
        }
        return templates
    }()

    /// `digest` is libcrypto's name of a PRF's digest, e.g. "SHA256"; a key may have any length, none included.
    init(digest: String, key: SecretBytes) throws(CryptographyError) {
        guard let template = Self.templates[digest], let context = EVP_MAC_CTX_dup(template) else {
            throw libraryError("EVP_MAC_CTX_dup(HMAC with \(digest))")
        }
        self.context = context
        // An empty key has an address too; a null one would mean "the key from before".
        let started = key.withUnsafeBytes { key in
            EVP_MAC_init(context, key.baseAddress?.assumingMemoryBound(to: UInt8.self), key.count, nil)
        }
        guard started == 1 else { throw libraryError("EVP_MAC_init(\(digest))") }
    }

    private static func template(_ algorithm: OpaquePointer, digest: String) throws(CryptographyError) -> OpaquePointer
    {
        guard let context = EVP_MAC_CTX_new(algorithm) else { throw libraryError("EVP_MAC_CTX_new(HMAC)") }
        let key = [UInt8](repeating: 0, count: 64)
        let started = digest.withCString { name in
            var parameters = [
                OSSL_PARAM_construct_utf8_string(
                    parameterName("digest"), UnsafeMutablePointer(mutating: name), 0),
                OSSL_PARAM_construct_end(),
            ]
            return EVP_MAC_init(context, key, key.count, &parameters)
        }
        guard started == 1 else {
            EVP_MAC_CTX_free(context)
            throw libraryError("EVP_MAC_init(\(digest))")
        }
        return context
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
