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
        guard let table = DispatchTable(of: cipher, name: name, direction: direction),
            let instance = table.new(OSSL_PROVIDER_get0_provider_ctx(EVP_CIPHER_get0_provider(cipher)))
        else {
            EVP_CIPHER_free(cipher)
            throw .library(function: "OSSL_PROVIDER_query_operation(\(name))", reason: "no usable implementation")
        }
        self.instance = instance
        startFunction = table.start
        runFunction = table.run
        finishFunction = table.finish
        getFunction = table.get
        freeFunction = table.free
        reference = cipher
        let bytes = key.assumingMemoryBound(to: UInt8.self)
        guard table.start(instance, bytes.baseAddress, key.count, nil, 0, nil) == 1 else {
            release()
            throw libraryError("\(name) initialisation")
        }
    }

    /// Zeroes and frees the instance; no use after this.
    func release() {
        freeFunction(instance)
        EVP_CIPHER_free(reference)
    }

    // MARK: Per packet; each returns false when the provider refuses

    /// Begins a message with a new IV under the key that is set.
    @inline(__always)
    func start(iv: UnsafeRawPointer, count: Int, parameters: UnsafePointer<OSSL_PARAM>? = nil) -> Bool {
        startFunction(instance, nil, 0, iv.assumingMemoryBound(to: UInt8.self), count, parameters) == 1
    }

    /// Processes `count` bytes in place.
    @inline(__always)
    func process(_ bytes: UnsafeMutableRawPointer, count: Int) -> Bool {
        var written = 0
        let bytes = bytes.assumingMemoryBound(to: UInt8.self)
        return runFunction(instance, bytes, &written, count, bytes, count) == 1
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

/// The functions of one algorithm in its provider's table.
private struct DispatchTable {
    let new: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    let start: ProviderCipher.Start
    let run: ProviderCipher.Run
    let finish: ProviderCipher.Finish
    let get: ProviderCipher.GetParameters
    let free: ProviderCipher.Free

    init?(of cipher: OpaquePointer, name: String, direction: CipherDirection) {
        guard let provider = EVP_CIPHER_get0_provider(cipher), let entries = Self.entries(provider, name) else {
            return nil
        }
        var functions: [Int32: UnsafePointer<OSSL_DISPATCH>] = [:]
        var entry = entries
        while entry.pointee.function_id != 0 {
            functions[entry.pointee.function_id] = entry
            entry += 1
        }
        let starter = direction == .seal ? OSSL_FUNC_CIPHER_ENCRYPT_INIT : OSSL_FUNC_CIPHER_DECRYPT_INIT
        guard let new = functions[OSSL_FUNC_CIPHER_NEWCTX].flatMap({ OSSL_FUNC_cipher_newctx($0) }),
            let start = functions[starter].flatMap({
                direction == .seal ? OSSL_FUNC_cipher_encrypt_init($0) : OSSL_FUNC_cipher_decrypt_init($0)
            }),
            let run = functions[OSSL_FUNC_CIPHER_CIPHER].flatMap({ OSSL_FUNC_cipher_cipher($0) }),
            let finish = functions[OSSL_FUNC_CIPHER_FINAL].flatMap({ OSSL_FUNC_cipher_final($0) }),
            let get = functions[OSSL_FUNC_CIPHER_GET_CTX_PARAMS].flatMap({ OSSL_FUNC_cipher_get_ctx_params($0) }),
            let free = functions[OSSL_FUNC_CIPHER_FREECTX].flatMap({ OSSL_FUNC_cipher_freectx($0) })
        else { return nil }
        self.new = new
        self.start = start
        self.run = run
        self.finish = finish
        self.get = get
        self.free = free
    }

    /// The provider's table for the algorithm that goes by `name` (names are colon-separated, case does not matter).
    private static func entries(_ provider: OpaquePointer, _ name: String) -> UnsafePointer<OSSL_DISPATCH>? {
        var noCache: Int32 = 0
        guard var algorithm = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &noCache) else { return nil }
        while let names = algorithm.pointee.algorithm_names {
            let known = String(cString: names).lowercased().split(separator: ":")
            if known.contains(where: { $0 == name.lowercased() }) { return algorithm.pointee.implementation }
            algorithm += 1
        }
        return nil
    }
}

/// libcrypto's newest error of this thread as ours; empties its error queue.
func libraryError(_ function: String) -> CryptographyError {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0 else { return .library(function: function, reason: "no reason given") }
    var text = [CChar](repeating: 0, count: 256)
    ERR_error_string_n(code, &text, text.count)
    return .library(
        function: function,
        reason: text.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        })
}
