import CLibCrypto

/// A key that signs. The private part stays in libcrypto, which zeroes it when the key goes.
public final class PrivateKey: Sendable {
    public let publicKey: PublicKey
    public var type: SignatureKeyType { publicKey.type }
    private let key: LibraryKey

    /// Reads PEM or DER: PKCS#8 (encrypted too), traditional RSA and EC.
    ///
    /// `passphrase` is asked only when the key is encrypted; it returns nil when it has none. The source's owner zeroes
    /// the source. Throws `passphraseNeeded`, `wrongPassphrase`, `unreadableKey`, `unsupportedKey` or `keySize`.
    public init(_ source: SecretBytes, passphrase: () -> SecretBytes? = { nil }) throws(SignatureError) {
        // libcrypto would ask the terminal if it had no callback.
        let prompt = PassphrasePrompt()
        let read = withoutActuallyEscaping(passphrase) { passphrase in
            prompt.ask = passphrase
            defer { prompt.ask = { nil } }
            return source.withUnsafeBytes { Self.read($0, prompt) }
        }
        guard let read else {
            let reason = libraryReason()
            if prompt.asked { throw prompt.answered ? .wrongPassphrase : .passphraseNeeded }
            throw .unreadableKey(reason: "no private key in it\(reason)")
        }
        ERR_clear_error()
        key = LibraryKey(owning: read)
        publicKey = try PublicKey(key)
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, _ prompt: PassphrasePrompt) -> OpaquePointer? {
        let context = Unmanaged.passUnretained(prompt).toOpaque()
        let count = Int32(clamping: bytes.count)
        let reads: [(OpaquePointer?) -> OpaquePointer?] = [
            { PEM_read_bio_PrivateKey($0, nil, answerPrompt, context) },
            { d2i_PKCS8PrivateKey_bio($0, nil, answerPrompt, context) },
            { d2i_PrivateKey_bio($0, nil) },
        ]
        for read in reads {
            // A memory BIO only lends the bytes.
            let source = BIO_new_mem_buf(bytes.baseAddress, count)
            defer { BIO_free(source) }
            if let key = read(source) { return key }
            if prompt.asked { return nil }
        }
        return nil
    }

    /// Signs `message`. Throws `schemeMismatch` or `failure`.
    public func sign(_ message: [UInt8], scheme: SignatureScheme) throws(SignatureError) -> [UInt8] {
        guard type.fits(scheme) else { throw .schemeMismatch(scheme: scheme, key: type) }
        let operation = try SignatureOperation(key, scheme: scheme, signing: true)
        var count = Int(EVP_PKEY_get_size(key.handle))
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(operation.handle, &signature, &count, message, message.count) == 1 else {
            throw .failure(libraryError("EVP_DigestSign"))
        }
        signature.removeLast(signature.count - count)
        guard case .ecdsaConcatenated = scheme else { return signature }
        guard let parts = ECDSASignature.concatenated(der: signature, keyType: type) else {
            throw .failure(libraryError("d2i_ECDSA_SIG"))
        }
        return parts
    }
}

extension PrivateKey: CustomStringConvertible, CustomReflectable {
    /// The kind of the key, never the key.
    public var description: String { "<private key, \(type)>" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// libcrypto's passphrase callback (pem_password_cb).
private func answerPrompt(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int32, _ writing: Int32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard let buffer, let context else { return -1 }
    return Unmanaged<PassphrasePrompt>.fromOpaque(context).takeUnretainedValue().answer(buffer, size)
}

/// The object that libcrypto's passphrase callback reaches through its context pointer.
private final class PassphrasePrompt {
    var ask: () -> SecretBytes? = { nil }
    private(set) var asked = false
    private(set) var answered = false

    /// Copies the passphrase into libcrypto's buffer, which it zeroes. -1: there is none.
    func answer(_ buffer: UnsafeMutablePointer<CChar>, _ size: Int32) -> Int32 {
        asked = true
        guard let passphrase = ask(), passphrase.count <= Int(size) else { return -1 }
        answered = true
        passphrase.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            UnsafeMutableRawPointer(buffer).copyMemory(from: start, byteCount: bytes.count)
        }
        return Int32(passphrase.count)
    }
}
