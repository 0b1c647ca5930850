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
