/// One ESP algorithm suite: an AEAD, or an encryption and an integrity algorithm. Only valid combinations exist.
public struct ESPTransform: Hashable, Sendable {
    /// The algorithm that hides the payload.
    public enum Encryption: Hashable, Sendable {
        /// RFC 4106; 128, 192 or 256 key bits and an ICV of 8, 12 or 16 bytes.
        case aesGCM(keyBits: Int, icvBytes: Int)
        /// RFC 4543 (authenticates only); 128, 192 or 256 key bits.
        case aesGMAC(keyBits: Int)
        /// RFC 7634.
        case chaCha20Poly1305
        /// RFC 3602; 128, 192 or 256 key bits.
        case aesCBC(keyBits: Int)
        /// RFC 3686; 128, 192 or 256 key bits.
        case aesCTR(keyBits: Int)
        /// RFC 2410: no encryption.
        case null
    }

    /// The algorithm that authenticates the packet where the encryption does not.
    public enum Integrity: Hashable, Sendable, BitwiseCopyable, CaseIterable {
        /// RFC 2404. Legacy: kept because RFC 8221 still says MUST-.
        case hmacSHA1_96
        /// RFC 4868.
        case hmacSHA256_128
        /// RFC 4868.
        case hmacSHA384_192
        /// RFC 4868.
        case hmacSHA512_256
        /// SHA-256 cut as an early draft of RFC 4868 had it: Linux's default for `auth`, and `sha256_96 = yes` of swanctl.conf.
        case hmacSHA256_96
    }

    public let encryption: Encryption
    /// The integrity algorithm; nil exactly for AEADs (GMAC counts as one).
    public let integrity: Integrity?

    /// Throws `invalidTransform` for unknown key or ICV sizes, an AEAD with integrity, or anything else without.
    public init(encryption: Encryption, integrity: Integrity? = nil) throws(CryptographyError) {
        self.init(unchecked: encryption, integrity)
        switch encryption {
        case .aesGCM(let keyBits, let icvBytes):
            try Self.check(keyBits: keyBits)
            guard [8, 12, 16].contains(icvBytes) else {
                throw .invalidTransform("an AES-GCM ICV has 8, 12 or 16 bytes, not \(icvBytes)")
            }
        case .aesGMAC(let keyBits), .aesCBC(let keyBits), .aesCTR(let keyBits):
            try Self.check(keyBits: keyBits)
        case .chaCha20Poly1305, .null:
            break
        }
        if isAEAD != (integrity == nil) {
            throw .invalidTransform(
                isAEAD ? "\(encryption) authenticates by itself" : "\(encryption) needs an integrity algorithm")
        }
    }

    init(unchecked encryption: Encryption, _ integrity: Integrity? = nil) {
        self.encryption = encryption
        self.integrity = integrity
    }

    private static func check(keyBits: Int) throws(CryptographyError) {
        guard [128, 192, 256].contains(keyBits) else {
            throw .invalidTransform("an AES key has 128, 192 or 256 bits, not \(keyBits)")
        }
    }
}

// MARK: - Sizes, all in bytes

extension ESPTransform {
    /// The encryption authenticates too, so there is no integrity key.
    public var isAEAD: Bool {
        switch encryption {
        case .aesGCM, .aesGMAC, .chaCha20Poly1305: true
        case .aesCBC, .aesCTR, .null: false
        }
    }

    /// The explicit IV is a counter that must never repeat under one key (RFC 4106 section 2).
    public var isCounterMode: Bool {
        switch encryption {
        case .aesGCM, .aesGMAC, .chaCha20Poly1305, .aesCTR: true
        case .aesCBC, .null: false
        }
    }

    /// Length of the explicit IV between ESP header and payload.
    public var ivLength: Int {
        switch encryption {
        case .aesGCM, .aesGMAC, .chaCha20Poly1305, .aesCTR: 8
        case .aesCBC: 16
        case .null: 0
        }
    }

    /// Length of the ICV behind the payload.
    public var icvLength: Int {
        switch encryption {
        case .aesGCM(_, let icvBytes): icvBytes
        case .aesGMAC, .chaCha20Poly1305: 16
        case .aesCBC, .aesCTR, .null: integrity?.icvLength ?? 0
        }
    }

    /// Payload, padding and the two trailer bytes together are a multiple of this (RFC 4303 section 2.4).
    public var alignment: Int {
        if case .aesCBC = encryption { 16 } else { 4 }
    }

    /// Length of the salt (or RFC 3686 nonce) behind the encryption key.
    public var saltLength: Int { isCounterMode ? 4 : 0 }

    /// Length of the encryption key without the salt.
    public var encryptionKeyLength: Int {
        switch encryption {
        case .aesGCM(let keyBits, _), .aesGMAC(let keyBits), .aesCBC(let keyBits), .aesCTR(let keyBits): keyBits / 8
        case .chaCha20Poly1305: 32
        case .null: 0
        }
    }

    /// Length of the integrity key (RFC 4868: that of the hash's output).
    public var integrityKeyLength: Int { integrity?.keyLength ?? 0 }

    /// Length of the key material: encryption key, salt, integrity key, in this order (RFC 7296 section 2.17).
    public var keyMaterialLength: Int { encryptionKeyLength + saltLength + integrityKeyLength }

    /// The parts of the key material, for error messages: "16 key + 4 salt".
    var keyMaterialParts: String {
        [(encryptionKeyLength, "key"), (saltLength, "salt"), (integrityKeyLength, "integrity key")]
            .filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: " + ")
    }
}

extension ESPTransform.Integrity {
    /// Length in bytes of the truncated HMAC.
    public var icvLength: Int {
        switch self {
        case .hmacSHA1_96, .hmacSHA256_96: 12
        case .hmacSHA256_128: 16
        case .hmacSHA384_192: 24
        case .hmacSHA512_256: 32
        }
    }

    /// Length in bytes of the key.
    public var keyLength: Int {
        switch self {
        case .hmacSHA1_96: 20
        case .hmacSHA256_128, .hmacSHA256_96: 32
        case .hmacSHA384_192: 48
        case .hmacSHA512_256: 64
        }
    }
}
