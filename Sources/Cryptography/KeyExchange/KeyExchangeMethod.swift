/// A key exchange method of IKEv2, numbered as IANA's transform type 4 (once "Diffie-Hellman group").
public enum KeyExchangeMethod: UInt16, Hashable, Sendable, CaseIterable {
    /// RFC 2409 section 6.2. Weak: RFC 8247 section 2.4 says SHOULD NOT.
    case modp1024 = 2
    /// RFC 3526. Weak: RFC 8247 section 2.4 says SHOULD NOT.
    case modp1536 = 5
    /// RFC 3526.
    case modp2048 = 14
    /// RFC 3526.
    case modp3072 = 15
    /// RFC 3526.
    case modp4096 = 16
    /// RFC 5903, NIST P-256.
    case ecp256 = 19
    /// RFC 5903, NIST P-384.
    case ecp384 = 20
    /// RFC 5903, NIST P-521.
    case ecp521 = 21
    /// RFC 8031.
    case x25519 = 31
    /// RFC 8031.
    case x448 = 32
}

extension KeyExchangeMethod: CustomStringConvertible {
    /// strongSwan's notation, "ecp256".
    public var name: String { "\(self)" }

    public var description: String {
        switch self {
        case .modp1024: "modp1024"
        case .modp1536: "modp1536"
        case .modp2048: "modp2048"
        case .modp3072: "modp3072"
        case .modp4096: "modp4096"
        case .ecp256: "ecp256"
        case .ecp384: "ecp384"
        case .ecp521: "ecp521"
        case .x25519: "x25519"
        case .x448: "x448"
        }
    }

    /// Reads strongSwan's notation, which has two names for the curves of RFC 7748; nil for anything else.
    public init?(name: String) {
        switch name {
        case "curve25519": self = .x25519
        case "curve448": self = .x448
        default:
            guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
            self = found
        }
    }
}

extension KeyExchangeMethod {
    /// The method may be broken by whoever can afford it, so that only those get it who ask for it (RFC 8247 section
    /// 2.4).
    public var isWeak: Bool { self == .modp1024 || self == .modp1536 }
}

// MARK: - Sizes, all in bytes

extension KeyExchangeMethod {
    enum Family { case modp, ecp, montgomery }

    var family: Family {
        switch self {
        case .modp1024, .modp1536, .modp2048, .modp3072, .modp4096: .modp
        case .ecp256, .ecp384, .ecp521: .ecp
        case .x25519, .x448: .montgomery
        }
    }

    /// Length of the field or modulus.
    private var elementLength: Int {
        switch self {
        case .modp1024: 128
        case .modp1536: 192
        case .modp2048: 256
        case .modp3072: 384
        case .modp4096: 512
        case .ecp256: 32
        case .ecp384: 48
        case .ecp521: 66
        case .x25519: 32
        case .x448: 56
        }
    }

    /// Length of the public value in the KE payload: x and y for the ECP groups (RFC 5903 section 7), else one element.
    public var publicValueLength: Int { family == .ecp ? 2 * elementLength : elementLength }

    /// Length of the shared secret: x for the ECP groups, the element with leading zeros for MODP.
    public var sharedSecretLength: Int { elementLength }

    /// libcrypto's names: of the algorithm, and of the group within it; nil where it has no name.
    var libraryNames: (algorithm: String, group: String?) {
        switch self {
        case .modp1024: ("DH", nil)
        case .modp1536: ("DH", "modp_1536")
        case .modp2048: ("DH", "modp_2048")
        case .modp3072: ("DH", "modp_3072")
        case .modp4096: ("DH", "modp_4096")
        case .ecp256: ("EC", "P-256")
        case .ecp384: ("EC", "P-384")
        case .ecp521: ("EC", "P-521")
        case .x25519: ("X25519", nil)
        case .x448: ("X448", nil)
        }
    }
}
