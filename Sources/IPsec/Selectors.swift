import Packets

/// The packets that a policy or an SA is for (RFC 4301 section 4.4.1.1): addresses, next layer protocol and ports.
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

/// A contiguous range of addresses of one family, both ends included (RFC 4301 section 4.4.1.1).
@frozen
public struct AddressRange: Hashable, Sendable, BitwiseCopyable {
    public let first: IPAddress
    public let last: IPAddress

    /// A range; nil when the families differ or it is empty.
    public init?(first: IPAddress, last: IPAddress) {
        guard first.family == last.family, first <= last else { return nil }
        self.first = first
        self.last = last
    }

    /// All addresses of a prefix.
    public init(_ prefix: IPPrefix) {
        first = prefix.first
        last = prefix.last
    }

    /// One address.
    public init(_ address: IPAddress) {
        first = address
        last = address
    }

    /// Every address of a family.
    public static func any(_ family: AddressFamily) -> AddressRange { AddressRange(.all(family)) }

    @inlinable
    public var family: AddressFamily { first.family }

    /// Whether the range holds every address of its family.
    public var isAny: Bool { prefix?.length == 0 }

    @inlinable
    public func contains(_ address: IPAddress) -> Bool {
        address.family == first.family && first <= address && address <= last
    }

    /// Whether every address of `other` is inside.
    public func contains(_ other: AddressRange) -> Bool { contains(other.first) && contains(other.last) }

    public func overlaps(_ other: AddressRange) -> Bool {
        family == other.family && first <= other.last && other.first <= last
    }

    /// The prefix that holds exactly these addresses, if there is one.
    public var prefix: IPPrefix? {
        let candidate = commonPrefix
        return candidate.first == first && candidate.last == last ? candidate : nil
    }
}

extension AddressRange: CustomStringConvertible {
    /// "10.0.0.0/8", or "10.0.0.1...10.0.0.9" when it is no prefix.
    public var description: String { prefix.map(\.description) ?? "\(first)...\(last)" }
}

extension AddressRange {
    /// The fewest prefixes that together hold exactly these addresses, in ascending order; or, when there are more than
    /// `limit`, the one prefix that holds them all and others. At most 2 × width - 2 are needed (RFC 4301 allows
    /// any range), and `limit` keeps a pair of odd ranges from becoming thousands of table entries.
    public func prefixes(limit: Int = .max) -> [IPPrefix] {
        var result: [IPPrefix] = []
        var next = first
        while result.count <= limit {
            let prefix = largestPrefix(from: next)
            result.append(prefix)
            if prefix.last == last { return result }
            next = prefix.last.successor
        }
        return [commonPrefix]
    }

    /// The longest prefix that holds the whole range.
    public var commonPrefix: IPPrefix {
        let high = first.high ^ last.high
        let low = first.low ^ last.low
        let differing = high == 0 ? 64 - low.leadingZeroBitCount : 128 - high.leadingZeroBitCount
        return IPPrefix(address: first, length: first.bitWidth - differing)
    }

    /// The shortest prefix that begins at `start` and does not go beyond the range.
    private func largestPrefix(from start: IPAddress) -> IPPrefix {
        var length = start.bitWidth
        while length > 0 {
            let wider = IPPrefix(address: start, length: length - 1)
            guard wider.address == start, wider.last <= last else { break }
            length -= 1
        }
        return IPPrefix(address: start, length: length)
    }
}

/// The family and next layer protocol that the first selector of an SA wants, as value and mask of two bytes.
@frozen
public struct SelectorTag: Sendable, BitwiseCopyable {
    @usableFromInline let value: UInt16
    @usableFromInline let mask: UInt16

    init(value: UInt16, mask: UInt16) {
        self.value = value
        self.mask = mask
    }

    /// Family in the low byte, next layer protocol in the high one.
    @inlinable
    static func tag(family: AddressFamily, upperProtocol: UInt8) -> UInt16 {
        UInt16(family.rawValue) | UInt16(upperProtocol) << 8
    }
}

/// The addresses of an SA's first selector as values and masks: one cache line, compared without a branch.
///
/// They are compared with the packet itself, source and destination at once: eight bytes for IPv4, 32 for IPv6, as
/// they lie in memory. (The packet's summary was stored in smaller pieces just before; a wide load would wait for them.)
///
/// An SA without selectors has empty masks and takes every packet. A first selector that is no pair of prefixes, or
/// has ports, has a tag that no packet has; then the whole list of selectors decides.
@frozen
public struct SelectorMasks: Sendable, BitwiseCopyable {
    @usableFromInline let value0, mask0, value1, mask1, value2, mask2, value3, mask3: UInt64

    init(source: IPPrefix, destination: IPPrefix) {
        func words(_ source: IPAddress, _ destination: IPAddress) -> [UInt64] {
            source.family == .ipv4
                ? [(source.low << 32 | destination.low).bigEndian, 0, 0, 0]
                : [source.high, source.low, destination.high, destination.low].map(\.bigEndian)
        }
        func mask(_ prefix: IPPrefix) -> IPAddress {
            let mask = IPPrefix.mask(length: prefix.length, family: prefix.family)
            return prefix.family == .ipv4
                ? IPAddress(ipv4: UInt32(mask.low)) : IPAddress(ipv6High: mask.high, low: mask.low)
        }
        let values = words(source.address, destination.address)
        let masks = words(mask(source), mask(destination))
        (value0, value1, value2, value3) = (values[0], values[1], values[2], values[3])
        (mask0, mask1, mask2, mask3) = (masks[0], masks[1], masks[2], masks[3])
    }

    /// The masks and the tag of a list of selectors.
    static func make(_ selectors: [TrafficSelector]) -> (masks: SelectorMasks, tag: SelectorTag) {
        let everything = SelectorMasks(source: .all(.ipv4), destination: .all(.ipv4))
        guard let first = selectors.first else { return (everything, SelectorTag(value: 0, mask: 0)) }
        guard first.isAnyPort, let source = first.source.prefix, let destination = first.destination.prefix else {
            // The family of a packet is 4 or 6.
            return (everything, SelectorTag(value: 0, mask: 0xFF))
        }
        let tag = SelectorTag(
            value: SelectorTag.tag(family: first.family, upperProtocol: first.protocol ?? 0),
            mask: first.protocol == nil ? 0x00FF : 0xFFFF)
        return (SelectorMasks(source: source, destination: destination), tag)
    }

    /// Whether the packet is one of those of the first selector, as far as value and masks can say it.
    ///
    /// `ip` is a parsed packet of the family.
    @inlinable
    @inline(__always)
    func matches(_ ip: UnsafeRawPointer, family: AddressFamily, upperProtocol: UInt8, tag: SelectorTag) -> Bool {
        let rest = (SelectorTag.tag(family: family, upperProtocol: upperProtocol) ^ tag.value) & tag.mask
        if family == .ipv4 {
            let addresses = ip.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
            return (addresses ^ value0) & mask0 | UInt64(rest) == 0
        }
        let source =
            (ip.loadUnaligned(fromByteOffset: 8, as: UInt64.self) ^ value0) & mask0
            | (ip.loadUnaligned(fromByteOffset: 16, as: UInt64.self) ^ value1) & mask1
        let destination =
            (ip.loadUnaligned(fromByteOffset: 24, as: UInt64.self) ^ value2) & mask2
            | (ip.loadUnaligned(fromByteOffset: 32, as: UInt64.self) ^ value3) & mask3
        return source | destination | UInt64(rest) == 0
    }
}
