import Packets

/// What the first selector of an SA wants of family and next layer protocol, as value and mask of two bytes.
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
    static func tag(of packet: PacketSummary) -> UInt16 {
        UInt16(packet.family.rawValue) | UInt16(packet.upperProtocol) << 8
    }
}

/// The addresses of an SA's first selector as values and masks: one cache line, compared without a branch.
///
/// An SA without selectors has empty masks and takes every packet. A first selector that is no pair of prefixes, or
/// has ports, has a tag that no packet has; then the whole list of selectors decides.
@frozen
public struct SelectorMasks: Sendable, BitwiseCopyable {
    @usableFromInline let sourceHigh, sourceLow, sourceMaskHigh, sourceMaskLow: UInt64
    @usableFromInline let destinationHigh, destinationLow, destinationMaskHigh, destinationMaskLow: UInt64

    init(source: IPPrefix, destination: IPPrefix) {
        let sourceMask = IPPrefix.mask(length: source.length, family: source.family)
        let destinationMask = IPPrefix.mask(length: destination.length, family: destination.family)
        sourceHigh = source.address.high
        sourceLow = source.address.low
        sourceMaskHigh = sourceMask.high
        sourceMaskLow = sourceMask.low
        destinationHigh = destination.address.high
        destinationLow = destination.address.low
        destinationMaskHigh = destinationMask.high
        destinationMaskLow = destinationMask.low
    }

    /// The masks and the tag of a list of selectors.
    static func make(_ selectors: [TrafficSelector]) -> (masks: SelectorMasks, tag: SelectorTag) {
        let everything = IPPrefix.all(.ipv4)
        guard let first = selectors.first else {
            return (SelectorMasks(source: everything, destination: everything), SelectorTag(value: 0, mask: 0))
        }
        guard first.isAnyPort, let source = first.source.prefix, let destination = first.destination.prefix else {
            // The family of a packet is 4 or 6.
            return (SelectorMasks(source: everything, destination: everything), SelectorTag(value: 0, mask: 0xFF))
        }
        let family = UInt16(first.family.rawValue)
        let tag =
            first.protocol.map { SelectorTag(value: family | UInt16($0) << 8, mask: 0xFFFF) }
            ?? SelectorTag(value: family, mask: 0x00FF)
        return (SelectorMasks(source: source, destination: destination), tag)
    }

    /// Whether the packet is one of those of the first selector, as far as value and masks can say it.
    @inlinable
    @inline(__always)
    func matches(_ packet: PacketSummary, tag: SelectorTag) -> Bool {
        let source =
            (packet.source.high ^ sourceHigh) & sourceMaskHigh | (packet.source.low ^ sourceLow) & sourceMaskLow
        let destination =
            (packet.destination.high ^ destinationHigh) & destinationMaskHigh
            | (packet.destination.low ^ destinationLow) & destinationMaskLow
        let rest = (SelectorTag.tag(of: packet) ^ tag.value) & tag.mask
        return source | destination | UInt64(rest) == 0
    }
}
