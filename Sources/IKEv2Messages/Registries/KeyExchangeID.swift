/// Transform type 4: Key Exchange Methods, once called Diffie-Hellman groups (RFC 7296 section 3.3.2; 3526, 5114, 5903,
/// 6954, 8031, 9370; ML-KEM from draft-ietf-ipsecme-ikev2-mlkem).
public struct KeyExchangeID: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let none = Self(rawValue: 0)
    public static let modp768 = Self(rawValue: 1)
    public static let modp1024 = Self(rawValue: 2)
    public static let modp1536 = Self(rawValue: 5)
    public static let modp2048 = Self(rawValue: 14)
    public static let modp3072 = Self(rawValue: 15)
    public static let modp4096 = Self(rawValue: 16)
    public static let modp6144 = Self(rawValue: 17)
    public static let modp8192 = Self(rawValue: 18)
    public static let ecp256 = Self(rawValue: 19)
    public static let ecp384 = Self(rawValue: 20)
    public static let ecp521 = Self(rawValue: 21)
    public static let modp1024Order160 = Self(rawValue: 22)
    public static let modp2048Order224 = Self(rawValue: 23)
    public static let modp2048Order256 = Self(rawValue: 24)
    public static let ecp192 = Self(rawValue: 25)
    public static let ecp224 = Self(rawValue: 26)
    public static let brainpool224 = Self(rawValue: 27)
    public static let brainpool256 = Self(rawValue: 28)
    public static let brainpool384 = Self(rawValue: 29)
    public static let brainpool512 = Self(rawValue: 30)
    public static let curve25519 = Self(rawValue: 31)
    public static let curve448 = Self(rawValue: 32)
    public static let gost256 = Self(rawValue: 33)
    public static let gost512 = Self(rawValue: 34)
    public static let mlKEM512 = Self(rawValue: 35)
    public static let mlKEM768 = Self(rawValue: 36)
    public static let mlKEM1024 = Self(rawValue: 37)

    public static let label = "key exchange"
    public static let names: [Self: String] = [
        .none: "NONE", .modp768: "MODP_768", .modp1024: "MODP_1024", .modp1536: "MODP_1536", .modp2048: "MODP_2048",
        .modp3072: "MODP_3072", .modp4096: "MODP_4096", .modp6144: "MODP_6144", .modp8192: "MODP_8192",
        .ecp256: "ECP_256", .ecp384: "ECP_384", .ecp521: "ECP_521", .modp1024Order160: "MODP_1024_160",
        .modp2048Order224: "MODP_2048_224", .modp2048Order256: "MODP_2048_256", .ecp192: "ECP_192",
        .ecp224: "ECP_224", .brainpool224: "ECP_224_BP", .brainpool256: "ECP_256_BP", .brainpool384: "ECP_384_BP",
        .brainpool512: "ECP_512_BP", .curve25519: "CURVE_25519", .curve448: "CURVE_448", .gost256: "GOST_256",
        .gost512: "GOST_512", .mlKEM512: "ML_KEM_512", .mlKEM768: "ML_KEM_768", .mlKEM1024: "ML_KEM_1024",
    ]
}
