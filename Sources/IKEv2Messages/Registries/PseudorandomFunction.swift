/// Transform type 2: Pseudorandom Functions (RFC 7296 section 3.3.2; 4434, 4615, 4868).
public struct PseudorandomFunction: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let hmacMD5 = Self(rawValue: 1)
    public static let hmacSHA1 = Self(rawValue: 2)
    public static let hmacTiger = Self(rawValue: 3)
    public static let aes128XCBC = Self(rawValue: 4)
    public static let hmacSHA256 = Self(rawValue: 5)
    public static let hmacSHA384 = Self(rawValue: 6)
    public static let hmacSHA512 = Self(rawValue: 7)
    public static let aes128CMAC = Self(rawValue: 8)
    public static let hmacStreebog512 = Self(rawValue: 9)

    public static let label = "PRF"
    public static let names: [Self: String] = [
        .hmacMD5: "PRF_HMAC_MD5", .hmacSHA1: "PRF_HMAC_SHA1", .hmacTiger: "PRF_HMAC_TIGER",
        .aes128XCBC: "PRF_AES128_XCBC", .hmacSHA256: "PRF_HMAC_SHA2_256", .hmacSHA384: "PRF_HMAC_SHA2_384",
        .hmacSHA512: "PRF_HMAC_SHA2_512", .aes128CMAC: "PRF_AES128_CMAC",
        .hmacStreebog512: "PRF_HMAC_STREEBOG_512",
    ]
}
