/// A number from an IANA registry of IKEv2. Every value is legal, known or not: what is unknown must survive decoding,
/// because the RFC wants it ignored, refused or logged, each in its place.
package protocol Codepoint: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue: FixedWidthInteger & Sendable {
    init(rawValue: RawValue)

    /// The names as the registry spells them.
    static var names: [Self: String] { get }

    /// The word that announces an unregistered value: "`label` 12345".
    static var label: String { get }
}

extension Codepoint {
    /// The registered name, nil when the value is unknown here.
    package var name: String? { Self.names[self] }

    package var description: String { name ?? "\(Self.label) \(rawValue)" }
}

/// IKEv2 Exchange Types (RFC 7296 section 3.1; 5723, 9242, 9370).
package struct ExchangeType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let initial = Self(rawValue: 34)
    package static let authentication = Self(rawValue: 35)
    package static let createChild = Self(rawValue: 36)
    package static let informational = Self(rawValue: 37)
    package static let sessionResume = Self(rawValue: 38)
    package static let intermediate = Self(rawValue: 43)
    package static let followUpKeyExchange = Self(rawValue: 44)

    package static let label = "exchange type"
    package static let names: [Self: String] = [
        .initial: "IKE_SA_INIT", .authentication: "IKE_AUTH", .createChild: "CREATE_CHILD_SA",
        .informational: "INFORMATIONAL", .sessionResume: "IKE_SESSION_RESUME", .intermediate: "IKE_INTERMEDIATE",
        .followUpKeyExchange: "IKE_FOLLOWUP_KE",
    ]
}

/// IKEv2 Payload Types (RFC 7296 section 3.2; 6467, 7383, 8019, G-IKEv2).
package struct PayloadType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No payload follows.
    package static let none = Self(rawValue: 0)
    package static let securityAssociation = Self(rawValue: 33)
    package static let keyExchange = Self(rawValue: 34)
    package static let identificationInitiator = Self(rawValue: 35)
    package static let identificationResponder = Self(rawValue: 36)
    package static let certificate = Self(rawValue: 37)
    package static let certificateRequest = Self(rawValue: 38)
    package static let authentication = Self(rawValue: 39)
    package static let nonce = Self(rawValue: 40)
    package static let notify = Self(rawValue: 41)
    package static let delete = Self(rawValue: 42)
    package static let vendorID = Self(rawValue: 43)
    package static let trafficSelectorInitiator = Self(rawValue: 44)
    package static let trafficSelectorResponder = Self(rawValue: 45)
    package static let encrypted = Self(rawValue: 46)
    package static let configuration = Self(rawValue: 47)
    package static let extensibleAuthentication = Self(rawValue: 48)
    package static let genericSecurePassword = Self(rawValue: 49)
    package static let groupIdentification = Self(rawValue: 50)
    package static let groupSecurityAssociation = Self(rawValue: 51)
    package static let keyDownload = Self(rawValue: 52)
    package static let encryptedFragment = Self(rawValue: 53)
    package static let puzzleSolution = Self(rawValue: 54)

    package static let label = "payload type"
    package static let names: [Self: String] = [
        .none: "none", .securityAssociation: "SA", .keyExchange: "KE", .identificationInitiator: "IDi",
        .identificationResponder: "IDr", .certificate: "CERT", .certificateRequest: "CERTREQ", .authentication: "AUTH",
        .nonce: "Nonce", .notify: "N", .delete: "D", .vendorID: "V", .trafficSelectorInitiator: "TSi",
        .trafficSelectorResponder: "TSr", .encrypted: "SK", .configuration: "CP", .extensibleAuthentication: "EAP",
        .genericSecurePassword: "GSPM", .groupIdentification: "IDg", .groupSecurityAssociation: "GSA",
        .keyDownload: "KD", .encryptedFragment: "SKF", .puzzleSolution: "PS",
    ]
}

/// IKEv2 Security Protocol Identifiers (RFC 7296 section 3.3.1).
package struct ProtocolID: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No SA is meant.
    package static let none = Self(rawValue: 0)
    package static let ike = Self(rawValue: 1)
    package static let ah = Self(rawValue: 2)
    package static let esp = Self(rawValue: 3)

    package static let label = "protocol"
    package static let names: [Self: String] = [.none: "none", .ike: "IKE", .ah: "AH", .esp: "ESP"]
}

/// IKEv2 Identification Payload ID Types (RFC 7296 section 3.5; 4595, 7619).
package struct IdentificationType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let ipv4 = Self(rawValue: 1)
    package static let fullyQualifiedDomainName = Self(rawValue: 2)
    package static let emailAddress = Self(rawValue: 3)
    package static let ipv6 = Self(rawValue: 5)
    package static let distinguishedName = Self(rawValue: 9)
    package static let generalName = Self(rawValue: 10)
    package static let keyID = Self(rawValue: 11)
    package static let fibreChannelName = Self(rawValue: 12)
    package static let null = Self(rawValue: 13)

    package static let label = "ID type"
    package static let names: [Self: String] = [
        .ipv4: "ID_IPV4_ADDR", .fullyQualifiedDomainName: "ID_FQDN", .emailAddress: "ID_RFC822_ADDR",
        .ipv6: "ID_IPV6_ADDR", .distinguishedName: "ID_DER_ASN1_DN", .generalName: "ID_DER_ASN1_GN",
        .keyID: "ID_KEY_ID", .fibreChannelName: "ID_FC_NAME", .null: "ID_NULL",
    ]
}

/// IKEv2 Certificate Encodings (RFC 7296 section 3.6; 4806, 7670).
package struct CertificateEncoding: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let pkcs7 = Self(rawValue: 1)
    package static let pgp = Self(rawValue: 2)
    package static let dnsSignedKey = Self(rawValue: 3)
    package static let x509Signature = Self(rawValue: 4)
    package static let kerberosToken = Self(rawValue: 6)
    package static let revocationList = Self(rawValue: 7)
    package static let authorityRevocationList = Self(rawValue: 8)
    package static let spki = Self(rawValue: 9)
    package static let x509Attribute = Self(rawValue: 10)
    package static let rawRSAKey = Self(rawValue: 11)
    package static let hashAndURL = Self(rawValue: 12)
    package static let hashAndURLOfBundle = Self(rawValue: 13)
    package static let ocspContent = Self(rawValue: 14)
    package static let rawPublicKey = Self(rawValue: 15)

    package static let label = "certificate encoding"
    package static let names: [Self: String] = [
        .pkcs7: "PKCS #7", .pgp: "PGP", .dnsSignedKey: "DNS signed key", .x509Signature: "X.509",
        .kerberosToken: "Kerberos token", .revocationList: "CRL", .authorityRevocationList: "ARL", .spki: "SPKI",
        .x509Attribute: "X.509 attribute", .rawRSAKey: "raw RSA key", .hashAndURL: "hash and URL",
        .hashAndURLOfBundle: "hash and URL of bundle", .ocspContent: "OCSP", .rawPublicKey: "raw public key",
    ]
}

/// IKEv2 Authentication Methods (RFC 7296 section 3.8; 4754, 6467, 7427, 7619).
package struct AuthenticationMethod: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let rsaSignature = Self(rawValue: 1)
    package static let sharedKey = Self(rawValue: 2)
    package static let dssSignature = Self(rawValue: 3)
    package static let ecdsa256 = Self(rawValue: 9)
    package static let ecdsa384 = Self(rawValue: 10)
    package static let ecdsa521 = Self(rawValue: 11)
    package static let genericSecurePassword = Self(rawValue: 12)
    package static let null = Self(rawValue: 13)
    package static let digitalSignature = Self(rawValue: 14)

    package static let label = "authentication method"
    package static let names: [Self: String] = [
        .rsaSignature: "RSA signature", .sharedKey: "shared key", .dssSignature: "DSS signature",
        .ecdsa256: "ECDSA P-256", .ecdsa384: "ECDSA P-384", .ecdsa521: "ECDSA P-521",
        .genericSecurePassword: "secure password", .null: "NULL", .digitalSignature: "digital signature",
    ]
}

/// IKEv2 Hash Algorithms, announced in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 7, 8420 section 3).
package struct HashAlgorithm: Codepoint {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let sha1 = Self(rawValue: 1)
    package static let sha256 = Self(rawValue: 2)
    package static let sha384 = Self(rawValue: 3)
    package static let sha512 = Self(rawValue: 4)
    /// The signature scheme hashes by itself: Ed25519 and Ed448.
    package static let identity = Self(rawValue: 5)

    package static let label = "hash"
    package static let names: [Self: String] = [
        .sha1: "SHA1", .sha256: "SHA2_256", .sha384: "SHA2_384", .sha512: "SHA2_512", .identity: "IDENTITY",
    ]
}

/// CFG Type of a Configuration payload (RFC 7296 section 3.15).
package struct ConfigurationType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let request = Self(rawValue: 1)
    package static let reply = Self(rawValue: 2)
    package static let set = Self(rawValue: 3)
    package static let acknowledgement = Self(rawValue: 4)

    package static let label = "CFG type"
    package static let names: [Self: String] = [
        .request: "CFG_REQUEST", .reply: "CFG_REPLY", .set: "CFG_SET", .acknowledgement: "CFG_ACK",
    ]
}

/// Configuration Attribute Types, 15 bits (RFC 7296 section 3.15.1; 5739, 7651, 8598).
package struct ConfigurationAttributeType: Codepoint {
    package let rawValue: UInt16
    /// The reserved top bit is dropped.
    package init(rawValue: UInt16) { self.rawValue = rawValue & 0x7FFF }

    package static let ip4Address = Self(rawValue: 1)
    package static let ip4Netmask = Self(rawValue: 2)
    package static let ip4DNS = Self(rawValue: 3)
    package static let ip4NBNS = Self(rawValue: 4)
    package static let ip4DHCP = Self(rawValue: 6)
    package static let applicationVersion = Self(rawValue: 7)
    package static let ip6Address = Self(rawValue: 8)
    package static let ip6DNS = Self(rawValue: 10)
    package static let ip6DHCP = Self(rawValue: 12)
    package static let ip4Subnet = Self(rawValue: 13)
    package static let supportedAttributes = Self(rawValue: 14)
    package static let ip6Subnet = Self(rawValue: 15)
    package static let mip6HomePrefix = Self(rawValue: 16)
    package static let ip6Link = Self(rawValue: 17)
    package static let ip6Prefix = Self(rawValue: 18)
    package static let homeAgentAddress = Self(rawValue: 19)
    package static let pcscfIP4Address = Self(rawValue: 20)
    package static let pcscfIP6Address = Self(rawValue: 21)
    package static let dnsDomain = Self(rawValue: 25)
    package static let dnssecTrustAnchor = Self(rawValue: 26)

    package static let label = "configuration attribute"
    package static let names: [Self: String] = [
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
