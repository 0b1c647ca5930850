/// What happened to an SA that the control side should act upon. Each event is raised once and stays.
@frozen
public struct SAEvents: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The first packet passed.
    public static let firstUse = SAEvents(rawValue: 1 << 0)
    public static let softBytes = SAEvents(rawValue: 1 << 1)
    public static let hardBytes = SAEvents(rawValue: 1 << 2)
    public static let softPackets = SAEvents(rawValue: 1 << 3)
    public static let hardPackets = SAEvents(rawValue: 1 << 4)
    public static let softTime = SAEvents(rawValue: 1 << 5)
    public static let hardTime = SAEvents(rawValue: 1 << 6)
    /// The last sequence number was used; the SA sends nothing more (RFC 4303 section 3.3.3).
    public static let sequenceExhausted = SAEvents(rawValue: 1 << 7)

    /// The SA should be replaced soon.
    public static let soft: SAEvents = [.softBytes, .softPackets, .softTime]
    /// The SA carries nothing any more.
    public static let hard: SAEvents = [.hardBytes, .hardPackets, .hardTime, .sequenceExhausted]

    private static let names: [(SAEvents, String)] = [
        (.firstUse, "first-use"), (.softBytes, "soft-bytes"), (.hardBytes, "hard-bytes"),
        (.softPackets, "soft-packets"), (.hardPackets, "hard-packets"), (.softTime, "soft-time"),
        (.hardTime, "hard-time"), (.sequenceExhausted, "sequence-exhausted"),
    ]

    /// The stable names of the events in the set.
    public var names: [String] { Self.names.filter { contains($0.0) }.map(\.1) }
}
