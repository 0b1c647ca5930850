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
