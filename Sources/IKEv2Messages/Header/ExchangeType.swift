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
