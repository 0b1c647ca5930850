/// Transform type 1: Encryption Algorithms (RFC 7296 section 3.3.2; 4106, 4309, 4543, 5282, 5529, 7634, 8750).
public struct EncryptionAlgorithm: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let desIV64 = Self(rawValue: 1)
    public static let des = Self(rawValue: 2)
    public static let tripleDES = Self(rawValue: 3)
    public static let rc5 = Self(rawValue: 4)
    public static let idea = Self(rawValue: 5)
    public static let cast = Self(rawValue: 6)
    public static let blowfish = Self(rawValue: 7)
    public static let tripleIDEA = Self(rawValue: 8)
    public static let desIV32 = Self(rawValue: 9)
    public static let null = Self(rawValue: 11)
    public static let aesCBC = Self(rawValue: 12)
    public static let aesCTR = Self(rawValue: 13)
    public static let aesCCM8 = Self(rawValue: 14)
    public static let aesCCM12 = Self(rawValue: 15)
    public static let aesCCM16 = Self(rawValue: 16)
    public static let aesGCM8 = Self(rawValue: 18)
    public static let aesGCM12 = Self(rawValue: 19)
    public static let aesGCM16 = Self(rawValue: 20)
    public static let nullAESGMAC = Self(rawValue: 21)
    public static let camelliaCBC = Self(rawValue: 23)
    public static let camelliaCTR = Self(rawValue: 24)
    public static let camelliaCCM8 = Self(rawValue: 25)
    public static let camelliaCCM12 = Self(rawValue: 26)
    public static let camelliaCCM16 = Self(rawValue: 27)
    public static let chaCha20Poly1305 = Self(rawValue: 28)
    public static let aesCCM8ImplicitIV = Self(rawValue: 29)
    public static let aesGCM16ImplicitIV = Self(rawValue: 30)
    public static let chaCha20Poly1305ImplicitIV = Self(rawValue: 31)

    public static let label = "encryption"
    public static let names: [Self: String] = [
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
    public var isAuthenticated: Bool {
        switch self {
        case .aesCCM8, .aesCCM12, .aesCCM16, .aesGCM8, .aesGCM12, .aesGCM16, .nullAESGMAC, .camelliaCCM8,
            .camelliaCCM12, .camelliaCCM16, .chaCha20Poly1305, .aesCCM8ImplicitIV, .aesGCM16ImplicitIV,
            .chaCha20Poly1305ImplicitIV:
            true
        default: false
        }
    }

    /// What the Key Length attribute means to this algorithm (RFC 7296 section 3.3.5).
    public enum KeyLengthRule: Sendable { case required, forbidden, optional }

    public var keyLengthRule: KeyLengthRule {
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
