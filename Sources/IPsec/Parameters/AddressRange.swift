import Packets

/// A contiguous range of addresses of one family, both ends included (RFC 4301 section 4.4.1.1).
@frozen
public struct AddressRange: Hashable, Sendable, BitwiseCopyable {
    public let first: IPAddress
    public let last: IPAddress

    /// nil when the families differ or the range is empty.
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
