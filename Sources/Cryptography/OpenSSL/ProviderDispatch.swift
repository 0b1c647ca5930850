import CLibCrypto

/// The functions of one algorithm in its provider, by their identities (`OSSL_FUNC_CIPHER_UPDATE` …): what the EVP layer
/// itself calls.
struct ProviderDispatch {
    private var functions: [Int32: UnsafePointer<OSSL_DISPATCH>] = [:]

    /// The functions of an algorithm; nil when the provider does not offer `name` (case does not matter) for the
    /// operation (`OSSL_OP_CIPHER` …).
    init?(_ provider: OpaquePointer, operation: Int32, name: String) {
        guard var entry = Self.entries(provider, operation, name) else { return nil }
        while entry.pointee.function_id != 0 {
            functions[entry.pointee.function_id] = entry
            entry += 1
        }
    }

    /// The function `identity`, by one of OpenSSL's typed extractors.
    func function<Function>(
        _ identity: Int32, _ extract: (UnsafePointer<OSSL_DISPATCH>?) -> Function?
    ) -> Function? {
        functions[identity].flatMap { extract($0) }
    }

    private static func entries(
        _ provider: OpaquePointer, _ operation: Int32, _ name: String
    ) -> UnsafePointer<OSSL_DISPATCH>? {
        var noCache: Int32 = 0
        guard var algorithm = OSSL_PROVIDER_query_operation(provider, operation, &noCache) else { return nil }
        while let names = algorithm.pointee.algorithm_names {
            // "AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6"
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
    let reason = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text -> String in
        guard let base = text.baseAddress else { return "" }
        ERR_error_string_n(code, base, text.count)
        return String(cString: base)
    }
    return .library(function: function, reason: reason)
}
