/// Transform type 3: Integrity Algorithms (RFC 7296 section 3.3.2; 4494, 4543, 4595, 4868).
public struct IntegrityAlgorithm: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let none = Self(rawValue: 0)
    public static let hmacMD5_96 = Self(rawValue: 1)
    public static let hmacSHA1_96 = Self(rawValue: 2)
    public static let desMAC = Self(rawValue: 3)
    public static let kpdkMD5 = Self(rawValue: 4)
    public static let aesXCBC_96 = Self(rawValue: 5)
    public static let hmacMD5_128 = Self(rawValue: 6)
    public static let hmacSHA1_160 = Self(rawValue: 7)
    public static let aesCMAC_96 = Self(rawValue: 8)
    public static let aes128GMAC = Self(rawValue: 9)
    public static let aes192GMAC = Self(rawValue: 10)
    public static let aes256GMAC = Self(rawValue: 11)
    public static let hmacSHA256_128 = Self(rawValue: 12)
    public static let hmacSHA384_192 = Self(rawValue: 13)
    public static let hmacSHA512_256 = Self(rawValue: 14)

    public static let label = "integrity"
    public static let names: [Self: String] = [
        .none: "NONE", .hmacMD5_96: "HMAC_MD5_96", .hmacSHA1_96: "HMAC_SHA1_96", .desMAC: "DES_MAC",
        .kpdkMD5: "KPDK_MD5", .aesXCBC_96: "AES_XCBC_96", .hmacMD5_128: "HMAC_MD5_128",
        .hmacSHA1_160: "HMAC_SHA1_160", .aesCMAC_96: "AES_CMAC_96", .aes128GMAC: "AES_128_GMAC",
        .aes192GMAC: "AES_192_GMAC", .aes256GMAC: "AES_256_GMAC", .hmacSHA256_128: "HMAC_SHA2_256_128",
        .hmacSHA384_192: "HMAC_SHA2_384_192", .hmacSHA512_256: "HMAC_SHA2_512_256",
    ]
}
