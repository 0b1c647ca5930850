/// IKEv2 Transform Types (RFC 7296 section 3.3.2; the additional key exchanges are RFC 9370).
package struct TransformType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let encryption = Self(rawValue: 1)
    package static let pseudorandomFunction = Self(rawValue: 2)
    package static let integrity = Self(rawValue: 3)
    package static let keyExchange = Self(rawValue: 4)
    package static let sequenceNumbers = Self(rawValue: 5)
    package static let additionalKeyExchange1 = Self(rawValue: 6)
    package static let additionalKeyExchange7 = Self(rawValue: 12)

    /// ADDKE1 to ADDKE7: their ids are those of ``KeyExchangeID``.
    package var isAdditionalKeyExchange: Bool {
        (Self.additionalKeyExchange1.rawValue...Self.additionalKeyExchange7.rawValue).contains(rawValue)
    }

    package static let label = "transform type"
    package static let names: [Self: String] = {
        var names: [Self: String] = [
            .encryption: "ENCR", .pseudorandomFunction: "PRF", .integrity: "INTEG", .keyExchange: "KE",
            .sequenceNumbers: "ESN",
        ]
        for number in 1...7 as ClosedRange<UInt8> {
            names[Self(rawValue: additionalKeyExchange1.rawValue - 1 + number)] = "ADDKE\(number)"
        }
        return names
    }()
}

/// Transform type 5: Extended Sequence Numbers.
package struct SequenceNumbers: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let short = Self(rawValue: 0)
    package static let extended = Self(rawValue: 1)

    package static let label = "sequence numbers"
    package static let names: [Self: String] = [.short: "NO_ESN", .extended: "ESN"]
}

/// Transform type 1: Encryption Algorithms (RFC 7296 section 3.3.2; 4106, 4309, 4543, 5282, 5529, 7634, 8750).
package struct EncryptionAlgorithm: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let desIV64 = Self(rawValue: 1)
    package static let des = Self(rawValue: 2)
    package static let tripleDES = Self(rawValue: 3)
    package static let rc5 = Self(rawValue: 4)
    package static let idea = Self(rawValue: 5)
    package static let cast = Self(rawValue: 6)
    package static let blowfish = Self(rawValue: 7)
    package static let tripleIDEA = Self(rawValue: 8)
    package static let desIV32 = Self(rawValue: 9)
    package static let null = Self(rawValue: 11)
    package static let aesCBC = Self(rawValue: 12)
    package static let aesCTR = Self(rawValue: 13)
    package static let aesCCM8 = Self(rawValue: 14)
    package static let aesCCM12 = Self(rawValue: 15)
    package static let aesCCM16 = Self(rawValue: 16)
    package static let aesGCM8 = Self(rawValue: 18)
    package static let aesGCM12 = Self(rawValue: 19)
    package static let aesGCM16 = Self(rawValue: 20)
    package static let nullAESGMAC = Self(rawValue: 21)
    package static let camelliaCBC = Self(rawValue: 23)
    package static let camelliaCTR = Self(rawValue: 24)
    package static let camelliaCCM8 = Self(rawValue: 25)
    package static let camelliaCCM12 = Self(rawValue: 26)
    package static let camelliaCCM16 = Self(rawValue: 27)
    package static let chaCha20Poly1305 = Self(rawValue: 28)
    package static let aesCCM8ImplicitIV = Self(rawValue: 29)
    package static let aesGCM16ImplicitIV = Self(rawValue: 30)
    package static let chaCha20Poly1305ImplicitIV = Self(rawValue: 31)

    package static let label = "encryption"
    package static let names: [Self: String] = [
        .desIV64: "DES_IV64", .des: "DES", .tripleDES: "3DES", .rc5: "RC5", .idea: "IDEA", .cast: "CAST",
        .blowfish: "BLOWFISH", .tripleIDEA: "3IDEA", .desIV32: "DES_IV32", .null: "NULL", .aesCBC: "AES_CBC",
        .aesCTR: "AES_CTR", .aesCCM8: "AES_CCM_8", .aesCCM12: "AES_CCM_12", .aesCCM16: "AES_CCM_16",
        .aesGCM8: "AES_GCM_8", .aesGCM12: "AES_GCM_12", .aesGCM16: "AES_GCM_16", .nullAESGMAC: "NULL_AUTH_AES_GMAC",
        .camelliaCBC: "CAMELLIA_CBC", .camelliaCTR: "CAMELLIA_CTR", .camelliaCCM8: "CAMELLIA_CCM_8",
        .camelliaCCM12: "CAMELLIA_CCM_12", .camelliaCCM16: "CAMELLIA_CCM_16", .chaCha20Poly1305: "CHACHA20_POLY1305",
        .aesCCM8ImplicitIV: "AES_CCM_8_IIV", .aesGCM16ImplicitIV: "AES_GCM_16_IIV",
        .chaCha20Poly1305ImplicitIV: "CHACHA20_POLY1305_IIV",
    ]

    /// Combined modes bring their own integrity, so that INTEG is left out or NONE (RFC 5282 section 8).
    package var isAuthenticated: Bool {
        switch self {
        case .aesCCM8, .aesCCM12, .aesCCM16, .aesGCM8, .aesGCM12, .aesGCM16, .nullAESGMAC, .camelliaCCM8,
            .camelliaCCM12, .camelliaCCM16, .chaCha20Poly1305, .aesCCM8ImplicitIV, .aesGCM16ImplicitIV,
            .chaCha20Poly1305ImplicitIV:
            true
        default: false
        }
    }

    /// The rule of this algorithm for the Key Length attribute (RFC 7296 section 3.3.5).
    package enum KeyLengthRule: Sendable { case required, forbidden, optional }

    package var keyLengthRule: KeyLengthRule {
        switch self {
        case .aesCBC, .aesCTR, .aesCCM8, .aesCCM12, .aesCCM16, .aesGCM8, .aesGCM12, .aesGCM16, .nullAESGMAC,
            .camelliaCBC, .camelliaCTR, .camelliaCCM8, .camelliaCCM12, .camelliaCCM16, .aesCCM8ImplicitIV,
            .aesGCM16ImplicitIV:
            .required
        case .rc5, .cast, .blowfish: .optional
        default: .forbidden
        }
    }
}

/// Transform type 2: Pseudorandom Functions (RFC 7296 section 3.3.2; 4434, 4615, 4868).
package struct PseudorandomFunction: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let hmacMD5 = Self(rawValue: 1)
    package static let hmacSHA1 = Self(rawValue: 2)
    package static let hmacTiger = Self(rawValue: 3)
    package static let aes128XCBC = Self(rawValue: 4)
    package static let hmacSHA256 = Self(rawValue: 5)
    package static let hmacSHA384 = Self(rawValue: 6)
    package static let hmacSHA512 = Self(rawValue: 7)
    package static let aes128CMAC = Self(rawValue: 8)
    package static let hmacStreebog512 = Self(rawValue: 9)

    package static let label = "PRF"
    package static let names: [Self: String] = [
        .hmacMD5: "PRF_HMAC_MD5", .hmacSHA1: "PRF_HMAC_SHA1", .hmacTiger: "PRF_HMAC_TIGER",
        .aes128XCBC: "PRF_AES128_XCBC", .hmacSHA256: "PRF_HMAC_SHA2_256", .hmacSHA384: "PRF_HMAC_SHA2_384",
        .hmacSHA512: "PRF_HMAC_SHA2_512", .aes128CMAC: "PRF_AES128_CMAC",
        .hmacStreebog512: "PRF_HMAC_STREEBOG_512",
    ]
}

/// Transform type 3: Integrity Algorithms (RFC 7296 section 3.3.2; 4494, 4543, 4595, 4868).
package struct IntegrityAlgorithm: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let none = Self(rawValue: 0)
    package static let hmacMD5_96 = Self(rawValue: 1)
    package static let hmacSHA1_96 = Self(rawValue: 2)
    package static let desMAC = Self(rawValue: 3)
    package static let kpdkMD5 = Self(rawValue: 4)
    package static let aesXCBC_96 = Self(rawValue: 5)
    package static let hmacMD5_128 = Self(rawValue: 6)
    package static let hmacSHA1_160 = Self(rawValue: 7)
    package static let aesCMAC_96 = Self(rawValue: 8)
    package static let aes128GMAC = Self(rawValue: 9)
    package static let aes192GMAC = Self(rawValue: 10)
    package static let aes256GMAC = Self(rawValue: 11)
    package static let hmacSHA256_128 = Self(rawValue: 12)
    package static let hmacSHA384_192 = Self(rawValue: 13)
    package static let hmacSHA512_256 = Self(rawValue: 14)

    package static let label = "integrity"
    package static let names: [Self: String] = [
        .none: "NONE", .hmacMD5_96: "HMAC_MD5_96", .hmacSHA1_96: "HMAC_SHA1_96", .desMAC: "DES_MAC",
        .kpdkMD5: "KPDK_MD5", .aesXCBC_96: "AES_XCBC_96", .hmacMD5_128: "HMAC_MD5_128",
        .hmacSHA1_160: "HMAC_SHA1_160", .aesCMAC_96: "AES_CMAC_96", .aes128GMAC: "AES_128_GMAC",
        .aes192GMAC: "AES_192_GMAC", .aes256GMAC: "AES_256_GMAC", .hmacSHA256_128: "HMAC_SHA2_256_128",
        .hmacSHA384_192: "HMAC_SHA2_384_192", .hmacSHA512_256: "HMAC_SHA2_512_256",
    ]
}

/// Transform type 4: Key Exchange Methods, once called Diffie-Hellman groups (RFC 7296 section 3.3.2; 3526, 5114, 5903,
/// 6954, 8031, 9370; ML-KEM from draft-ietf-ipsecme-ikev2-mlkem).
package struct KeyExchangeID: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let none = Self(rawValue: 0)
    package static let modp768 = Self(rawValue: 1)
    package static let modp1024 = Self(rawValue: 2)
    package static let modp1536 = Self(rawValue: 5)
    package static let modp2048 = Self(rawValue: 14)
    package static let modp3072 = Self(rawValue: 15)
    package static let modp4096 = Self(rawValue: 16)
    package static let modp6144 = Self(rawValue: 17)
    package static let modp8192 = Self(rawValue: 18)
    package static let ecp256 = Self(rawValue: 19)
    package static let ecp384 = Self(rawValue: 20)
    package static let ecp521 = Self(rawValue: 21)
    package static let modp1024Order160 = Self(rawValue: 22)
    package static let modp2048Order224 = Self(rawValue: 23)
    package static let modp2048Order256 = Self(rawValue: 24)
    package static let ecp192 = Self(rawValue: 25)
    package static let ecp224 = Self(rawValue: 26)
    package static let brainpool224 = Self(rawValue: 27)
    package static let brainpool256 = Self(rawValue: 28)
    package static let brainpool384 = Self(rawValue: 29)
    package static let brainpool512 = Self(rawValue: 30)
    package static let curve25519 = Self(rawValue: 31)
    package static let curve448 = Self(rawValue: 32)
    package static let gost256 = Self(rawValue: 33)
    package static let gost512 = Self(rawValue: 34)
    package static let mlKEM512 = Self(rawValue: 35)
    package static let mlKEM768 = Self(rawValue: 36)
    package static let mlKEM1024 = Self(rawValue: 37)

    package static let label = "key exchange"
    package static let names: [Self: String] = [
        .none: "NONE", .modp768: "MODP_768", .modp1024: "MODP_1024", .modp1536: "MODP_1536", .modp2048: "MODP_2048",
        .modp3072: "MODP_3072", .modp4096: "MODP_4096", .modp6144: "MODP_6144", .modp8192: "MODP_8192",
        .ecp256: "ECP_256", .ecp384: "ECP_384", .ecp521: "ECP_521", .modp1024Order160: "MODP_1024_160",
        .modp2048Order224: "MODP_2048_224", .modp2048Order256: "MODP_2048_256", .ecp192: "ECP_192",
        .ecp224: "ECP_224", .brainpool224: "ECP_224_BP", .brainpool256: "ECP_256_BP", .brainpool384: "ECP_384_BP",
        .brainpool512: "ECP_512_BP", .curve25519: "CURVE_25519", .curve448: "CURVE_448", .gost256: "GOST_256",
        .gost512: "GOST_512", .mlKEM512: "ML_KEM_512", .mlKEM768: "ML_KEM_768", .mlKEM1024: "ML_KEM_1024",
    ]
}
