/// A number from an IANA registry of IKEv2. Every value is legal, known or not: what is unknown must survive decoding,
/// because the RFC wants it ignored, refused or logged, each in its place.
public protocol Codepoint: RawRepresentable, Hashable, Sendable, CustomStringConvertible
where RawValue: FixedWidthInteger & Sendable {
    init(rawValue: RawValue)

    /// The names as the registry spells them.
    static var names: [Self: String] { get }

    /// How an unregistered value is announced: "`label` 12345".
    static var label: String { get }
}

extension Codepoint {
    /// The registered name, nil when the value is unknown here.
    public var name: String? { Self.names[self] }

    public var description: String { name ?? "\(Self.label) \(rawValue)" }
}
