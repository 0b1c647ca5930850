/// A block of addresses that share their first `length` bits, in canonical form: all host bits are zero.
@frozen
public struct IPPrefix: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the block.
    public let address: IPAddress
    /// 0...32 or 0...128.
    public let length: Int

    /// Clears the host bits of `address`. A length outside of the family's range is brought into it.
    @inlinable
    public init(address: IPAddress, length: Int) {
        let length = min(max(length, 0), address.bitWidth)
        let mask = IPPrefix.mask(length: length, family: address.family)
        var network = address
        network.high &= mask.high
        network.low &= mask.low
        self.address = network
        self.length = length
    }

    /// The prefix of one host: /32 or /128.
    @inlinable
    public init(host address: IPAddress) {
        self.init(address: address, length: address.bitWidth)
    }

    /// 0.0.0.0/0 or ::/0.
    @inlinable
    public static func all(_ family: AddressFamily) -> IPPrefix {
        IPPrefix(address: .unspecified(family), length: 0)
    }

    @inlinable
    public var family: AddressFamily { address.family }

    /// The network mask of a prefix, as the two halves of an `IPAddress` in host order.
    @inlinable
    public static func mask(length: Int, family: AddressFamily) -> (high: UInt64, low: UInt64) {
        // Smart shifts: by 64 or more gives 0, which is what an empty mask half is.
        switch family {
        case .ipv4: (0, ~UInt64(0) << (32 &- length) & 0xFFFF_FFFF)
        case .ipv6: (~UInt64(0) << (64 &- min(length, 64)), ~UInt64(0) << (128 &- max(length, 64)))
        }
    }

    /// Whether the address is of the block's family and inside of it.
    @inlinable
    public func contains(_ candidate: IPAddress) -> Bool {
        let mask = IPPrefix.mask(length: length, family: family)
        return candidate.family == family && candidate.high & mask.high == address.high
            && candidate.low & mask.low == address.low
    }

    /// Whether every address of `other` is inside of this block.
    @inlinable
    public func contains(_ other: IPPrefix) -> Bool {
        other.length >= length && contains(other.address)
    }

    @inlinable
    public func overlaps(_ other: IPPrefix) -> Bool {
        contains(other.address) || other.contains(address)
    }

    @inlinable
    public var first: IPAddress { address }

    /// The last address of the block: all host bits one.
    @inlinable
    public var last: IPAddress {
        let mask = IPPrefix.mask(length: length, family: family)
        var last = address
        if family == .ipv6 { last.high |= ~mask.high }
        last.low |= family == .ipv4 ? ~mask.low & 0xFFFF_FFFF : ~mask.low
        return last
    }

    @inlinable
    public var range: ClosedRange<IPAddress> { first...last }
}

extension IPPrefix: LosslessStringConvertible {
    /// Reads "10.0.0.0/8" or "2001:db8::/32"; without a slash it is the prefix of one host.
    /// Host bits that are set are cleared; a length beyond the family's is nil.
    public init?(_ text: String) {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            guard let address = IPAddress(text) else { return nil }
            self.init(host: address)
            return
        }
        let digits = Array(text.utf8[text.utf8.index(after: slash)...])
        guard let address = IPAddress(String(text[..<slash])),
            let length = AddressText.decimal(digits[...], maximum: address.bitWidth)
        else { return nil }
        self.init(address: address, length: length)
    }

    /// Canonical text with the length, also for one host: "192.0.2.1/32".
    public var description: String { "\(address)/\(length)" }
}
