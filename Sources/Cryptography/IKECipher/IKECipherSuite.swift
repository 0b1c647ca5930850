/// The algorithms that protect the SK payload of an IKE SA: an AEAD, or an encryption and an integrity algorithm.
public struct IKECipherSuite: Hashable, Sendable {
    /// The algorithm that hides the payloads: IANA's transform type 1.
    public enum Encryption: Hashable, Sendable {
        /// RFC 3602; 128, 192 or 256 key bits.
        case aesCBC(keyBits: Int)
        /// RFC 5282 with an ICV of 16 bytes; 128, 192 or 256 key bits.
        case aesGCM16(keyBits: Int)
        /// RFC 7634.
        case chaCha20Poly1305

        /// IANA's transform id.
        public var transformID: UInt16 {
            switch self {
            case .aesCBC: 12
            case .aesGCM16: 20
            case .chaCha20Poly1305: 28
            }
        }

        /// The Key Length attribute; nil where there must be none (RFC 7634 section 4).
        public var keyBits: Int? {
            switch self {
            case .aesCBC(let keyBits), .aesGCM16(let keyBits): keyBits
            case .chaCha20Poly1305: nil
            }
        }

        /// The encryption of a received transform; nil when it is unknown or its key length is.
        public init?(transformID: UInt16, keyBits: Int?) {
            switch (transformID, keyBits) {
            case (12, .some(let bits)) where [128, 192, 256].contains(bits): self = .aesCBC(keyBits: bits)
            case (20, .some(let bits)) where [128, 192, 256].contains(bits): self = .aesGCM16(keyBits: bits)
            case (28, nil): self = .chaCha20Poly1305
            default: return nil
            }
        }

        /// The encryption authenticates too, so no integrity algorithm goes with it (RFC 5282 section 8).
        public var isAEAD: Bool {
            if case .aesCBC = self { false } else { true }
        }

        /// strongSwan's notation, "aes256gcm16".
        public var name: String {
            switch self {
            case .aesCBC(let keyBits): "aes\(keyBits)"
            case .aesGCM16(let keyBits): "aes\(keyBits)gcm16"
            case .chaCha20Poly1305: "chacha20poly1305"
            }
        }
    }

    /// RFC 4868; raw values are IANA's transform type 3.
    public enum Integrity: UInt16, Hashable, Sendable, CaseIterable {
        /// RFC 2404. Legacy: RFC 8247 section 2.3 still says MUST-; never part of `default`.
        case hmacSHA1_96 = 2
        case hmacSHA256_128 = 12
        case hmacSHA384_192 = 13
        case hmacSHA512_256 = 14

        /// Length in bytes of key and untruncated MAC.
        public var keyLength: Int {
            switch self {
            case .hmacSHA1_96: 20
            case .hmacSHA256_128: 32
            case .hmacSHA384_192: 48
            case .hmacSHA512_256: 64
            }
        }

        /// Length in bytes of the truncated MAC.
        public var icvLength: Int { self == .hmacSHA1_96 ? 12 : keyLength / 2 }

        /// libcrypto's name of the hash.
        var digest: String { self == .hmacSHA1_96 ? "SHA1" : "SHA\(keyLength * 8)" }

        /// strongSwan's notation, "sha256".
        public var name: String { self == .hmacSHA1_96 ? "sha1" : "sha\(keyLength * 8)" }
    }

    public let encryption: Encryption
    /// The integrity algorithm; nil exactly for AEADs.
    public let integrity: Integrity?

    /// A suite of two algorithms; nil for an AEAD with integrity, another encryption without, or key sizes that AES
    /// does not have.
    public init?(encryption: Encryption, integrity: Integrity? = nil) {
        guard encryption.isAEAD == (integrity == nil) else { return nil }
        if let keyBits = encryption.keyBits, ![128, 192, 256].contains(keyBits) { return nil }
        self.encryption = encryption
        self.integrity = integrity
    }

    private init(_ encryption: Encryption, _ integrity: Integrity? = nil) {
        self.encryption = encryption
        self.integrity = integrity
    }

    /// Every suite there is.
    public static let all: [IKECipherSuite] =
        [128, 192, 256].map { IKECipherSuite(.aesGCM16(keyBits: $0)) } + [IKECipherSuite(.chaCha20Poly1305)]
        + [128, 192, 256].flatMap { bits in Integrity.allCases.map { IKECipherSuite(.aesCBC(keyBits: bits), $0) } }
}

extension IKECipherSuite: CustomStringConvertible {
    /// strongSwan's notation, "aes128-sha256" or "aes256gcm16".
    public var description: String { integrity.map { "\(encryption.name)-\($0.name)" } ?? encryption.name }
}

// MARK: - Sizes, all in bytes

extension IKECipherSuite {
    /// Length of the salt behind the encryption key (RFC 5282 section 4, RFC 7634 section 2).
    public var saltLength: Int { encryption.isAEAD ? 4 : 0 }

    /// Length of SK_ei and SK_er, the salt included (RFC 5282 section 7.1).
    public var encryptionKeyLength: Int { (encryption.keyBits ?? 256) / 8 + saltLength }

    /// Length of SK_ai and SK_ar; 0 for AEADs (RFC 5282 section 7.1).
    public var integrityKeyLength: Int { integrity?.keyLength ?? 0 }

    /// Length of the explicit IV at the front of the SK payload's body.
    public var ivLength: Int { encryption.isAEAD ? 8 : 16 }

    /// Length of the ICV at the end of the SK payload's body.
    public var icvLength: Int { integrity?.icvLength ?? 16 }

    /// Plaintext with its padding and pad length byte is a multiple of this; 1 where any length goes.
    public var blockLength: Int { encryption.isAEAD ? 1 : 16 }
}
