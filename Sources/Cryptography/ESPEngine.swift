/// The direction of a cipher.
public enum CipherDirection: Sendable {
    /// Encrypt and authenticate.
    case seal
    /// Verify and decrypt.
    case open
}

/// A maker of ciphers over one cryptographic library.
public protocol ESPEngine: Sendable {
    /// Short name as in `--engine`.
    var name: String { get }

    func supports(_ transform: ESPTransform) -> Bool

    /// Sets a key for one SA, direction and worker. `keyMaterial` is encryption key, salt and integrity key in this
    /// order (`ESPTransform.keyMaterialLength` bytes). Throws `keyLength`, `unsupported` or `library`.
    func makeCipher(
        _ transform: ESPTransform, keyMaterial: SecretBytes, direction: CipherDirection, extendedSequenceNumbers: Bool
    ) throws(CryptographyError) -> ESPCipher
}

/// Owns the key schedule of one SA in one direction for one worker; zeroed and freed when the last reference goes.
///
/// `context` is mutable scratch space as well, so only one thread at a time may run operations with it.
public final class ESPCipher: Sendable {
    /// For `ESPOperation.context`; starts with an `ESPContextHeader`. Valid as long as this object.
    public nonisolated(unsafe) let context: UnsafeMutableRawPointer
    public let transform: ESPTransform
    public let direction: CipherDirection
    private let release: @Sendable () -> Void

    /// `release` frees `context` and everything it refers to.
    package init(
        context: UnsafeMutableRawPointer, transform: ESPTransform, direction: CipherDirection,
        release: @escaping @Sendable () -> Void
    ) {
        self.context = context
        self.transform = transform
        self.direction = direction
        self.release = release
    }

    deinit { release() }
}
