/// IKEv2 Authentication Methods (RFC 7296 section 3.8; 4754, 6467, 7427, 7619).
public struct AuthenticationMethod: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let rsaSignature = Self(rawValue: 1)
    public static let sharedKey = Self(rawValue: 2)
    public static let dssSignature = Self(rawValue: 3)
    public static let ecdsa256 = Self(rawValue: 9)
    public static let ecdsa384 = Self(rawValue: 10)
    public static let ecdsa521 = Self(rawValue: 11)
    public static let genericSecurePassword = Self(rawValue: 12)
    public static let null = Self(rawValue: 13)
    public static let digitalSignature = Self(rawValue: 14)

    public static let label = "authentication method"
    public static let names: [Self: String] = [
        .rsaSignature: "RSA signature", .sharedKey: "shared key", .dssSignature: "DSS signature",
        .ecdsa256: "ECDSA P-256", .ecdsa384: "ECDSA P-384", .ecdsa521: "ECDSA P-521",
        .genericSecurePassword: "secure password", .null: "NULL", .digitalSignature: "digital signature",
    ]
}

/// IKEv2 Hash Algorithms, announced in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 7, 8420 section 3).
public struct HashAlgorithm: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let sha1 = Self(rawValue: 1)
    public static let sha256 = Self(rawValue: 2)
    public static let sha384 = Self(rawValue: 3)
    public static let sha512 = Self(rawValue: 4)
    /// The signature scheme hashes by itself: Ed25519 and Ed448.
    public static let identity = Self(rawValue: 5)

    public static let label = "hash"
    public static let names: [Self: String] = [
        .sha1: "SHA1", .sha256: "SHA2_256", .sha384: "SHA2_384", .sha512: "SHA2_512", .identity: "IDENTITY",
    ]
}
