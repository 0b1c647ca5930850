/// Encrypts and authenticates IKE messages for one direction of one IKE SA. Cryptography lives elsewhere; this module
/// says where in a message it applies.
///
/// A conforming type holds its keys, and everything that initialization vectors need to be unique (RFC 5282 section 3.1)
/// or unpredictable (RFC 7296 section 3.14).
public protocol MessageCipher {
    /// Bytes of the explicit initialization vector: 8 for GCM and ChaCha20-Poly1305, 16 for AES-CBC.
    var ivLength: Int { get }
    /// Bytes of the Integrity Checksum Data, which for combined modes is the tag.
    var icvLength: Int { get }
    /// The ciphertext is a multiple of so many bytes: 16 for AES-CBC, 1 for combined modes. At least 1.
    var blockLength: Int { get }

    /// Writes the initialization vector, encrypts in place, writes the checksum.
    func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure)

    /// Verifies the checksum, and only then leaves the plaintext in place. Throws `.integrity` when it is wrong.
    func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure)
}

/// Where a cipher works: offsets into a whole message.
public struct EncryptedLayout: Hashable, Sendable {
    /// What a combined mode authenticates without encrypting: from the IKE header to the last byte before the
    /// initialization vector, so with SKF including the fragment numbers (RFC 5282 section 5.1, RFC 7383 section 2.5).
    public let associatedData: Range<Int>
    public let initializationVector: Range<Int>
    /// Payloads, padding and pad length; in place.
    public let ciphertext: Range<Int>
    public let checksum: Range<Int>

    /// What a separate integrity algorithm covers: the whole message up to the checksum (RFC 7296 section 3.14).
    public var integrityInput: Range<Int> { 0..<checksum.lowerBound }

    /// Nil when so short a message cannot hold a vector, a pad length and a checksum.
    init?(messageLength: Int, bodyOffset: Int, cipher: some MessageCipher) {
        let start = bodyOffset + cipher.ivLength
        let end = messageLength - cipher.icvLength
        guard start < end else { return nil }
        associatedData = 0..<bodyOffset
        initializationVector = bodyOffset..<start
        ciphertext = start..<end
        checksum = end..<messageLength
    }
}

/// Why an Encrypted payload cannot be opened or sealed. A message that cannot be opened is dropped without an answer.
public enum ProtectionFailure: Error, Hashable, Sendable {
    /// The message has no Encrypted payload.
    case notEncrypted
    /// Not even room for a vector, a pad length and a checksum.
    case tooShort
    /// The ciphertext is not a multiple of the cipher's block.
    case incompleteBlock
    /// The checksum is wrong: forged, damaged, or other keys.
    case integrity
    /// The pad length is more than the ciphertext; the sender's error, as the checksum was right.
    case padding
    /// The cipher itself failed: no fault of the message.
    case cipher
}
