/// IKEv2 Identification Payload ID Types (RFC 7296 section 3.5; 4595, 7619).
public struct IdentificationType: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let ipv4 = Self(rawValue: 1)
    public static let fullyQualifiedDomainName = Self(rawValue: 2)
    public static let emailAddress = Self(rawValue: 3)
    public static let ipv6 = Self(rawValue: 5)
    public static let distinguishedName = Self(rawValue: 9)
    public static let generalName = Self(rawValue: 10)
    public static let keyID = Self(rawValue: 11)
    public static let fibreChannelName = Self(rawValue: 12)
    public static let null = Self(rawValue: 13)

    public static let label = "ID type"
    public static let names: [Self: String] = [
        .ipv4: "ID_IPV4_ADDR", .fullyQualifiedDomainName: "ID_FQDN", .emailAddress: "ID_RFC822_ADDR",
        .ipv6: "ID_IPV6_ADDR", .distinguishedName: "ID_DER_ASN1_DN", .generalName: "ID_DER_ASN1_GN",
        .keyID: "ID_KEY_ID", .fibreChannelName: "ID_FC_NAME", .null: "ID_NULL",
    ]
}
