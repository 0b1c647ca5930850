/// IKEv2 Transform Types (RFC 7296 section 3.3.2; the additional key exchanges are RFC 9370).
public struct TransformType: Codepoint {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let encryption = Self(rawValue: 1)
    public static let pseudorandomFunction = Self(rawValue: 2)
    public static let integrity = Self(rawValue: 3)
    public static let keyExchange = Self(rawValue: 4)
    public static let sequenceNumbers = Self(rawValue: 5)
    public static let additionalKeyExchange1 = Self(rawValue: 6)
    public static let additionalKeyExchange7 = Self(rawValue: 12)

    /// ADDKE1 to ADDKE7: their ids are those of ``KeyExchangeID``.
    public var isAdditionalKeyExchange: Bool {
        (Self.additionalKeyExchange1.rawValue...Self.additionalKeyExchange7.rawValue).contains(rawValue)
    }

    public static let label = "transform type"
    public static let names: [Self: String] = {
        var names: [Self: String] = [
            .encryption: "ENCR", .pseudorandomFunction: "PRF", .integrity: "INTEG", .keyExchange: "KE",
            .sequenceNumbers: "ESN",
        ]
        for number in 1...7 as ClosedRange<UInt8> {
            names[Self(rawValue: additionalKeyExchange1.rawValue - 1 + number)] = "ADDKE\(number)"
        }
        return names
    }()
}

/// Transform type 5: Extended Sequence Numbers.
public struct SequenceNumbers: Codepoint {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let short = Self(rawValue: 0)
    public static let extended = Self(rawValue: 1)

    public static let label = "sequence numbers"
    public static let names: [Self: String] = [.short: "NO_ESN", .extended: "ESN"]
}
