/// How long an SA may be used (RFC 4301 section 4.4.2.1). A soft limit raises an event, a hard limit stops the SA;
/// nil is no limit.
///
/// Bytes are those of the inner packets. As with Linux, a limit is reached when the count so far is not below it: the
/// packet that crosses it is still carried, the next one is not.
public struct Lifetime: Hashable, Sendable {
    public var softBytes: UInt64?
    public var hardBytes: UInt64?
    public var softPackets: UInt64?
    public var hardPackets: UInt64?
    public var softSecondsAfterAdd: UInt64?
    public var hardSecondsAfterAdd: UInt64?
    /// Counted from the first packet.
    public var softSecondsAfterUse: UInt64?
    /// Counted from the first packet.
    public var hardSecondsAfterUse: UInt64?

    public init(
        softBytes: UInt64? = nil, hardBytes: UInt64? = nil, softPackets: UInt64? = nil, hardPackets: UInt64? = nil,
        softSecondsAfterAdd: UInt64? = nil, hardSecondsAfterAdd: UInt64? = nil, softSecondsAfterUse: UInt64? = nil,
        hardSecondsAfterUse: UInt64? = nil
    ) {
        self.softBytes = softBytes
        self.hardBytes = hardBytes
        self.softPackets = softPackets
        self.hardPackets = hardPackets
        self.softSecondsAfterAdd = softSecondsAfterAdd
        self.hardSecondsAfterAdd = hardSecondsAfterAdd
        self.softSecondsAfterUse = softSecondsAfterUse
        self.hardSecondsAfterUse = hardSecondsAfterUse
    }

    /// No limit at all.
    public static let unlimited = Lifetime()
}
