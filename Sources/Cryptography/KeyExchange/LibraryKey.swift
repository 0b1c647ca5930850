import CLibCrypto

/// Owns one of libcrypto's asymmetric keys (EVP_PKEY), which zeroes its private part when it is freed.
final class LibraryKey: Sendable {
    /// Never changed after `init`; libcrypto locks what it caches inside.
    nonisolated(unsafe) let handle: OpaquePointer

    /// Takes over the reference.
    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { EVP_PKEY_free(handle) }
}

/// Owns an EVP_PKEY_CTX.
final class LibraryKeyContext {
    let handle: OpaquePointer

    init(owning handle: OpaquePointer?) throws(CryptographyError) {
        guard let handle else { throw libraryError("EVP_PKEY_CTX_new") }
        self.handle = handle
    }

    deinit { EVP_PKEY_CTX_free(handle) }
}

/// Throws libcrypto's own text unless `status` is 1.
func check(_ status: Int32, _ function: String) throws(CryptographyError) {
    guard status == 1 else { throw libraryError(function) }
}
