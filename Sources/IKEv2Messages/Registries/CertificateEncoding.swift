/// IKEv2 Certificate Encodings (RFC 7296 section 3.6; 4806, 7670).
public struct CertificateEncoding: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let pkcs7 = Self(rawValue: 1)
    public static let pgp = Self(rawValue: 2)
    public static let dnsSignedKey = Self(rawValue: 3)
    public static let x509Signature = Self(rawValue: 4)
    public static let kerberosToken = Self(rawValue: 6)
    public static let revocationList = Self(rawValue: 7)
    public static let authorityRevocationList = Self(rawValue: 8)
    public static let spki = Self(rawValue: 9)
    public static let x509Attribute = Self(rawValue: 10)
    public static let rawRSAKey = Self(rawValue: 11)
    public static let hashAndURL = Self(rawValue: 12)
    public static let hashAndURLOfBundle = Self(rawValue: 13)
    public static let ocspContent = Self(rawValue: 14)
    public static let rawPublicKey = Self(rawValue: 15)

    public static let label = "certificate encoding"
    public static let names: [Self: String] = [
        .pkcs7: "PKCS #7", .pgp: "PGP", .dnsSignedKey: "DNS signed key", .x509Signature: "X.509",
        .kerberosToken: "Kerberos token", .revocationList: "CRL", .authorityRevocationList: "ARL", .spki: "SPKI",
        .x509Attribute: "X.509 attribute", .rawRSAKey: "raw RSA key", .hashAndURL: "hash and URL",
        .hashAndURLOfBundle: "hash and URL of bundle", .ocspContent: "OCSP", .rawPublicKey: "raw public key",
    ]
}
