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
