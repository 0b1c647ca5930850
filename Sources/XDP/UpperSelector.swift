/// The demands of a rule on a packet beside its addresses: the next layer protocol and ports (RFC 4301 section
/// 4.4.1.1).
public struct UpperSelector: Hashable, Sendable {
    /// The next layer protocol; nil: any.
    public var `protocol`: UInt8?
    /// Ports in host order. ICMP: type << 8 | code; Mobility Header: type << 8.
    public var sourcePorts, destinationPorts: ClosedRange<UInt16>

    private static let anyPort: ClosedRange<UInt16> = 0...UInt16.max

    public init(
        protocol number: UInt8? = nil, sourcePorts: ClosedRange<UInt16> = 0...UInt16.max,
        destinationPorts: ClosedRange<UInt16> = 0...UInt16.max
    ) {
        self.protocol = number
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
    }

    /// Every packet.
    public static let any = UpperSelector()

    public var isAny: Bool { self.protocol == nil && isAnyPort }

    public var isAnyPort: Bool { sourcePorts == Self.anyPort && destinationPorts == Self.anyPort }

    /// Whether every packet of the other is one of this.
    func contains(_ other: UpperSelector) -> Bool {
        (self.protocol == nil || self.protocol == other.protocol) && sourcePorts.contains(other.sourcePorts)
            && destinationPorts.contains(other.destinationPorts)
    }
}
