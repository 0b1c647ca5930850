/// A number from an IANA registry of IKEv2. Every value is legal, known or not: what is unknown must survive decoding,
/// because the RFC wants it ignored, refused or logged, each in its place.
public protocol Codepoint: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue: FixedWidthInteger & Sendable {
    init(rawValue: RawValue)

    /// The names as the registry spells them.
    static var names: [Self: String] { get }

    /// The word that announces an unregistered value: "`label` 12345".
    static var label: String { get }
}

extension Codepoint {
    /// The registered name, nil when the value is unknown here.
    public var name: String? { Self.names[self] }

    public var description: String { name ?? "\(Self.label) \(rawValue)" }
}

/// IKEv2 Exchange Types (RFC 7296 section 3.1; 5723, 9242, 9370).
public struct ExchangeType: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let initial = Self(rawValue: 34)
    public static let authentication = Self(rawValue: 35)
    public static let createChild = Self(rawValue: 36)
    public static let informational = Self(rawValue: 37)
    public static let sessionResume = Self(rawValue: 38)
    public static let intermediate = Self(rawValue: 43)
    public static let followUpKeyExchange = Self(rawValue: 44)

    public static let label = "exchange type"
    public static let names: [Self: String] = [
        .initial: "IKE_SA_INIT", .authentication: "IKE_AUTH", .createChild: "CREATE_CHILD_SA",
        .informational: "INFORMATIONAL", .sessionResume: "IKE_SESSION_RESUME", .intermediate: "IKE_INTERMEDIATE",
        .followUpKeyExchange: "IKE_FOLLOWUP_KE",
    ]
}

/// IKEv2 Payload Types (RFC 7296 section 3.2; 6467, 7383, 8019, G-IKEv2).
public struct PayloadType: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No payload follows.
    public static let none = Self(rawValue: 0)
    public static let securityAssociation = Self(rawValue: 33)
    public static let keyExchange = Self(rawValue: 34)
    public static let identificationInitiator = Self(rawValue: 35)
    public static let identificationResponder = Self(rawValue: 36)
    public static let certificate = Self(rawValue: 37)
    public static let certificateRequest = Self(rawValue: 38)
    public static let authentication = Self(rawValue: 39)
    public static let nonce = Self(rawValue: 40)
    public static let notify = Self(rawValue: 41)
    public static let delete = Self(rawValue: 42)
    public static let vendorID = Self(rawValue: 43)
    public static let trafficSelectorInitiator = Self(rawValue: 44)
    public static let trafficSelectorResponder = Self(rawValue: 45)
    public static let encrypted = Self(rawValue: 46)
    public static let configuration = Self(rawValue: 47)
    public static let extensibleAuthentication = Self(rawValue: 48)
    public static let genericSecurePassword = Self(rawValue: 49)
    public static let groupIdentification = Self(rawValue: 50)
    public static let groupSecurityAssociation = Self(rawValue: 51)
    public static let keyDownload = Self(rawValue: 52)
    public static let encryptedFragment = Self(rawValue: 53)
    public static let puzzleSolution = Self(rawValue: 54)

    public static let label = "payload type"
    public static let names: [Self: String] = [
        .none: "none", .securityAssociation: "SA", .keyExchange: "KE", .identificationInitiator: "IDi",
        .identificationResponder: "IDr", .certificate: "CERT", .certificateRequest: "CERTREQ", .authentication: "AUTH",
        .nonce: "Nonce", .notify: "N", .delete: "D", .vendorID: "V", .trafficSelectorInitiator: "TSi",
        .trafficSelectorResponder: "TSr", .encrypted: "SK", .configuration: "CP", .extensibleAuthentication: "EAP",
        .genericSecurePassword: "GSPM", .groupIdentification: "IDg", .groupSecurityAssociation: "GSA",
        .keyDownload: "KD", .encryptedFragment: "SKF", .puzzleSolution: "PS",
    ]
}

/// IKEv2 Security Protocol Identifiers (RFC 7296 section 3.3.1).
public struct ProtocolID: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No SA is meant.
    public static let none = Self(rawValue: 0)
    public static let ike = Self(rawValue: 1)
    public static let ah = Self(rawValue: 2)
    public static let esp = Self(rawValue: 3)

    public static let label = "protocol"
    public static let names: [Self: String] = [.none: "none", .ike: "IKE", .ah: "AH", .esp: "ESP"]
}

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

/// CFG Type of a Configuration payload (RFC 7296 section 3.15).
public struct ConfigurationType: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let request = Self(rawValue: 1)
    public static let reply = Self(rawValue: 2)
    public static let set = Self(rawValue: 3)
    public static let acknowledgement = Self(rawValue: 4)

    public static let label = "CFG type"
    public static let names: [Self: String] = [
        .request: "CFG_REQUEST", .reply: "CFG_REPLY", .set: "CFG_SET", .acknowledgement: "CFG_ACK",
    ]
}

/// Configuration Attribute Types, 15 bits (RFC 7296 section 3.15.1; 5739, 7651, 8598).
public struct ConfigurationAttributeType: Codepoint {
    public let rawValue: UInt16
    /// The reserved top bit is dropped.
    public init(rawValue: UInt16) { self.rawValue = rawValue & 0x7FFF }

    public static let ip4Address = Self(rawValue: 1)
    public static let ip4Netmask = Self(rawValue: 2)
    public static let ip4DNS = Self(rawValue: 3)
    public static let ip4NBNS = Self(rawValue: 4)
    public static let ip4DHCP = Self(rawValue: 6)
    public static let applicationVersion = Self(rawValue: 7)
    public static let ip6Address = Self(rawValue: 8)
    public static let ip6DNS = Self(rawValue: 10)
    public static let ip6DHCP = Self(rawValue: 12)
    public static let ip4Subnet = Self(rawValue: 13)
    public static let supportedAttributes = Self(rawValue: 14)
    public static let ip6Subnet = Self(rawValue: 15)
    public static let mip6HomePrefix = Self(rawValue: 16)
    public static let ip6Link = Self(rawValue: 17)
    public static let ip6Prefix = Self(rawValue: 18)
    public static let homeAgentAddress = Self(rawValue: 19)
    public static let pcscfIP4Address = Self(rawValue: 20)
    public static let pcscfIP6Address = Self(rawValue: 21)
    public static let dnsDomain = Self(rawValue: 25)
    public static let dnssecTrustAnchor = Self(rawValue: 26)

    public static let label = "configuration attribute"
    public static let names: [Self: String] = [
        .ip4Address: "INTERNAL_IP4_ADDRESS", .ip4Netmask: "INTERNAL_IP4_NETMASK", .ip4DNS: "INTERNAL_IP4_DNS",
        .ip4NBNS: "INTERNAL_IP4_NBNS", .ip4DHCP: "INTERNAL_IP4_DHCP", .applicationVersion: "APPLICATION_VERSION",
        .ip6Address: "INTERNAL_IP6_ADDRESS", .ip6DNS: "INTERNAL_IP6_DNS", .ip6DHCP: "INTERNAL_IP6_DHCP",
        .ip4Subnet: "INTERNAL_IP4_SUBNET", .supportedAttributes: "SUPPORTED_ATTRIBUTES",
        .ip6Subnet: "INTERNAL_IP6_SUBNET", .mip6HomePrefix: "MIP6_HOME_PREFIX", .ip6Link: "INTERNAL_IP6_LINK",
        .ip6Prefix: "INTERNAL_IP6_PREFIX", .homeAgentAddress: "HOME_AGENT_ADDRESS",
        .pcscfIP4Address: "P_CSCF_IP4_ADDRESS", .pcscfIP6Address: "P_CSCF_IP6_ADDRESS",
        .dnsDomain: "INTERNAL_DNS_DOMAIN", .dnssecTrustAnchor: "INTERNAL_DNSSEC_TA",
    ]
}
