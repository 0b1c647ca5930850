import CLibCrypto

/// One MAC instance of a libcrypto provider, called through its dispatch table like `ProviderCipher`.
struct ProviderMAC: BitwiseCopyable, @unchecked Sendable {
    private typealias Start =
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int, UnsafePointer<OSSL_PARAM>?) -> Int32
    private typealias Update = @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int) -> Int32
    private typealias Finish =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?, Int
        ) -> Int32

    private let instance: UnsafeMutableRawPointer
    private let startFunction: Start
    private let updateFunction: Update
    private let finishFunction: Finish
    private let freeFunction: @convention(c) (UnsafeMutableRawPointer?) -> Void
    // Keeps the provider, and with it the dispatch table, loaded.
    private let reference: OpaquePointer

    /// An instance of the algorithm `name` ("POLY1305"), without a key. Throws `library`.
    init(_ name: String) throws(CryptographyError) {
        guard let mac = EVP_MAC_fetch(nil, name, nil) else { throw libraryError("EVP_MAC_fetch(\(name))") }
        let provider = EVP_MAC_get0_provider(mac)
        guard let provider, let table = ProviderDispatch(provider, operation: OSSL_OP_MAC, name: name),
            let new = table.function(OSSL_FUNC_MAC_NEWCTX, { OSSL_FUNC_mac_newctx($0) }),
            let start = table.function(OSSL_FUNC_MAC_INIT, { OSSL_FUNC_mac_init($0) }),
            let update = table.function(OSSL_FUNC_MAC_UPDATE, { OSSL_FUNC_mac_update($0) }),
            let finish = table.function(OSSL_FUNC_MAC_FINAL, { OSSL_FUNC_mac_final($0) }),
            let free = table.function(OSSL_FUNC_MAC_FREECTX, { OSSL_FUNC_mac_freectx($0) }),
            let instance = new(OSSL_PROVIDER_get0_provider_ctx(provider))
        else {
            EVP_MAC_free(mac)
            throw .library(function: "OSSL_PROVIDER_query_operation(\(name))", reason: "no usable implementation")
        }
        self.instance = instance
        startFunction = start
        updateFunction = update
        finishFunction = finish
        freeFunction = free
        reference = mac
    }

    /// Zeroes and frees the instance; no use after this.
    func release() {
        freeFunction(instance)
        EVP_MAC_free(reference)
    }

    // MARK: Per packet; each returns false when the provider refuses

    /// Begins a message under a new key.
    @inline(__always)
    func start(key: UnsafeRawPointer, count: Int) -> Bool {
        startFunction(instance, key.assumingMemoryBound(to: UInt8.self), count, nil) == 1
    }

    @inline(__always)
    func update(_ bytes: UnsafeRawPointer, count: Int) -> Bool {
        updateFunction(instance, bytes.assumingMemoryBound(to: UInt8.self), count) == 1
    }

    /// Writes the tag; `tag` has room for `count` bytes.
    @inline(__always)
    func finish(_ tag: UnsafeMutableRawPointer, count: Int) -> Bool {
        var written = 0
        return finishFunction(instance, tag.assumingMemoryBound(to: UInt8.self), &written, count) == 1
    }
}
