import CLibCrypto

/// One cipher instance of a libcrypto provider, called through the provider's own dispatch table
/// (`OSSL_PROVIDER_query_operation`): what the EVP layer would call after some hundred cycles of its own.
///
/// A plain value so that it can live in an `ESPCipher`'s context; `release` ends it. May move between threads, but only one
/// may use it at a time.
struct ProviderCipher: BitwiseCopyable, @unchecked Sendable {
    typealias Start =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int, UnsafePointer<UInt8>?, Int, UnsafePointer<OSSL_PARAM>?
        ) -> Int32
    typealias Run =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?, Int,
            UnsafePointer<UInt8>?, Int
        ) -> Int32
    typealias Finish =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?, Int
        ) -> Int32
    typealias GetParameters = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<OSSL_PARAM>?) -> Int32
    typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void

    private let instance: UnsafeMutableRawPointer
    private let startFunction: Start
    private let runFunction: Run
    private let finishFunction: Finish
    private let getFunction: GetParameters
    private let freeFunction: Free
    // Keeps the provider, and with it the dispatch table, loaded.
    private let reference: OpaquePointer

    /// A keyed instance of the algorithm `name` ("AES-128-CTR"). Throws `library`.
    init(_ name: String, key: UnsafeRawBufferPointer, direction: CipherDirection) throws(CryptographyError) {
        guard let cipher = EVP_CIPHER_fetch(nil, name, nil) else { throw libraryError("EVP_CIPHER_fetch(\(name))") }
        let provider = EVP_CIPHER_get0_provider(cipher)
        guard let functions = CipherFunctions(of: provider, name: name, direction: direction),
            let instance = functions.new(OSSL_PROVIDER_get0_provider_ctx(provider))
        else {
            EVP_CIPHER_free(cipher)
            throw .library(function: "OSSL_PROVIDER_query_operation(\(name))", reason: "no usable implementation")
        }
        self.instance = instance
        startFunction = functions.start
        runFunction = functions.run
        finishFunction = functions.finish
        getFunction = functions.get
        freeFunction = functions.free
        reference = cipher
        let bytes = key.assumingMemoryBound(to: UInt8.self)
        guard functions.start(instance, bytes.baseAddress, key.count, nil, 0, nil) == 1 else {
            release()
            throw libraryError("\(name) initialisation")
        }
    }

    /// Zeroes and frees the instance; no use after this.
    func release() {
        freeFunction(instance)
        EVP_CIPHER_free(reference)
    }

    /// The place where the provider keeps the key schedule; for prefetching only.
    var address: UnsafeRawPointer { UnsafeRawPointer(instance) }

    // MARK: Per packet; each returns false when the provider refuses

    /// Begins a message with a new IV under the key that is set.
    @inline(__always)
    func start(iv: UnsafeRawPointer, count: Int, parameters: UnsafePointer<OSSL_PARAM>? = nil) -> Bool {
        startFunction(instance, nil, 0, iv.assumingMemoryBound(to: UInt8.self), count, parameters) == 1
    }

    /// Processes `count` bytes in place.
    @inline(__always)
    func process(_ bytes: UnsafeMutableRawPointer, count: Int) -> Bool {
        process(bytes, from: bytes, count: count)
    }

    /// Processes `count` bytes of `source` into `bytes`.
    @inline(__always)
    func process(_ bytes: UnsafeMutableRawPointer, from source: UnsafeRawPointer, count: Int) -> Bool {
        var written = 0
        let (output, input) = (bytes.assumingMemoryBound(to: UInt8.self), source.assumingMemoryBound(to: UInt8.self))
        return runFunction(instance, output, &written, count, input, count) == 1
    }

    /// Takes in additional authenticated data (AEADs only).
    @inline(__always)
    func authenticate(_ bytes: UnsafeRawPointer, count: Int) -> Bool {
        var written = 0
        return runFunction(instance, nil, &written, count, bytes.assumingMemoryBound(to: UInt8.self), count) == 1
    }

    /// Ends the message; false also when an AEAD that decrypts finds a wrong tag.
    @inline(__always)
    func finish() -> Bool {
        var written = 0
        var nothing: UInt8 = 0
        return finishFunction(instance, &nothing, &written, 0) == 1
    }

    /// Asks for the parameters listed (an AEAD's tag).
    @inline(__always)
    func get(_ parameters: UnsafeMutablePointer<OSSL_PARAM>?) -> Bool {
        getFunction(instance, parameters) == 1
    }
}

/// The functions of one cipher in its provider's table.
private struct CipherFunctions {
    let new: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    let start: ProviderCipher.Start
    let run: ProviderCipher.Run
    let finish: ProviderCipher.Finish
    let get: ProviderCipher.GetParameters
    let free: ProviderCipher.Free

    init?(of provider: OpaquePointer?, name: String, direction: CipherDirection) {
        guard let provider, let table = ProviderDispatch(provider, operation: OSSL_OP_CIPHER, name: name) else {
            return nil
        }
        let starter: ProviderCipher.Start? =
            switch direction {
            case .seal: table.function(OSSL_FUNC_CIPHER_ENCRYPT_INIT) { OSSL_FUNC_cipher_encrypt_init($0) }
            case .open: table.function(OSSL_FUNC_CIPHER_DECRYPT_INIT) { OSSL_FUNC_cipher_decrypt_init($0) }
            }
        guard let start = starter,
            let new = table.function(OSSL_FUNC_CIPHER_NEWCTX, { OSSL_FUNC_cipher_newctx($0) }),
            let run = table.function(OSSL_FUNC_CIPHER_CIPHER, { OSSL_FUNC_cipher_cipher($0) }),
            let finish = table.function(OSSL_FUNC_CIPHER_FINAL, { OSSL_FUNC_cipher_final($0) }),
            let get = table.function(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, { OSSL_FUNC_cipher_get_ctx_params($0) }),
            let free = table.function(OSSL_FUNC_CIPHER_FREECTX, { OSSL_FUNC_cipher_freectx($0) })
        else { return nil }
        self.new = new
        self.start = start
        self.run = run
        self.finish = finish
        self.get = get
        self.free = free
    }
}
