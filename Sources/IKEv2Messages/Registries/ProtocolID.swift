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
