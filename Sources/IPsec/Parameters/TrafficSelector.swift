import Packets

/// Which packets a policy or an SA is for (RFC 4301 section 4.4.1.1): addresses, next layer protocol and ports.
///
/// Source and destination are those of the packet as it travels, so the selectors of an inbound SA have the
/// peer's side as source.
@frozen
public struct TrafficSelector: Hashable, Sendable {
    /// Every port, or every ICMP type and code.
    @inlinable
    public static var anyPort: ClosedRange<UInt16> { 0...UInt16.max }

    public let source: AddressRange
    public let destination: AddressRange
    /// The next layer protocol; nil for any.
    public let `protocol`: UInt8?
    /// Source ports in host order. ICMP: type << 8 | code, as in `PacketSummary.sourcePort`.
    public let sourcePorts: ClosedRange<UInt16>
    /// Destination ports in host order.
    public let destinationPorts: ClosedRange<UInt16>

    /// Source and destination have to be of one family.
    public init(
        source: AddressRange, destination: AddressRange, protocol number: UInt8? = nil,
        sourcePorts: ClosedRange<UInt16> = TrafficSelector.anyPort,
        destinationPorts: ClosedRange<UInt16> = TrafficSelector.anyPort
    ) {
        precondition(source.family == destination.family, "a selector is of one address family")
        self.source = source
        self.destination = destination
        self.protocol = number
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
    }

    /// A selector of two prefixes, for all protocols and ports.
    public init(source: IPPrefix, destination: IPPrefix) {
        self.init(source: AddressRange(source), destination: AddressRange(destination))
    }

    /// All packets of a family.
    public static func any(_ family: AddressFamily) -> TrafficSelector {
        TrafficSelector(source: .any(family), destination: .any(family))
    }

    @inlinable
    public var family: AddressFamily { source.family }

    /// Whether the selector says nothing about ports.
    @inlinable
    public var isAnyPort: Bool {
        sourcePorts == TrafficSelector.anyPort && destinationPorts == TrafficSelector.anyPort
    }

    /// Whether the packet is one of those that the selector describes.
    ///
    /// Later fragments carry no ports, so they match only selectors for all ports (RFC 4301 section 7).
    @inlinable
    public func matches(_ packet: PacketSummary) -> Bool {
        guard source.contains(packet.source), destination.contains(packet.destination) else { return false }
        if let number = self.protocol, number != packet.upperProtocol { return false }
        if isAnyPort { return true }
        return !packet.isLaterFragment && sourcePorts.contains(packet.sourcePort)
            && destinationPorts.contains(packet.destinationPort)
    }

    /// The selector of the opposite direction: source and destination exchanged. ICMP type and code, and the type of a Mobility
    /// Header, stay where they are, since they have no direction.
    public var reversed: TrafficSelector {
        let hasTypes = [IPProtocol.icmp, IPProtocol.icmpv6, IPProtocol.mobility].contains(self.protocol)
        return TrafficSelector(
            source: destination, destination: source, protocol: self.protocol,
            sourcePorts: hasTypes ? sourcePorts : destinationPorts,
            destinationPorts: hasTypes ? destinationPorts : sourcePorts)
    }
}

extension TrafficSelector {
    /// Whether every packet of `other` is one of this selector's.
    public func contains(_ other: TrafficSelector) -> Bool {
        source.contains(other.source) && destination.contains(other.destination)
            && (self.protocol == nil || self.protocol == other.protocol)
            && sourcePorts.contains(other.sourcePorts) && destinationPorts.contains(other.destinationPorts)
    }

    /// Whether some packet could match both.
    public func overlaps(_ other: TrafficSelector) -> Bool {
        source.overlaps(other.source) && destination.overlaps(other.destination)
            && (self.protocol == nil || other.protocol == nil || self.protocol == other.protocol)
            && sourcePorts.overlaps(other.sourcePorts) && destinationPorts.overlaps(other.destinationPorts)
    }
}

extension TrafficSelector: CustomStringConvertible {
    /// "10.1.0.0/16 -> 10.2.0.0/16 proto 6 dport 443".
    public var description: String {
        var text = "\(source) -> \(destination)"
        if let number = self.protocol { text += " proto \(number)" }
        if sourcePorts != Self.anyPort { text += " sport \(Self.text(sourcePorts))" }
        if destinationPorts != Self.anyPort { text += " dport \(Self.text(destinationPorts))" }
        return text
    }

    private static func text(_ ports: ClosedRange<UInt16>) -> String {
        ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
    }
}
