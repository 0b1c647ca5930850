/// An Ethernet II header with at most one 802.1Q tag, as it lies in a frame.
///
/// A frame with two tags is a frame whose `payloadType` is a tag: not IP, and so not ours.
@frozen
public struct EthernetHeader {
    /// Bytes without a tag.
    public static let length = 14

    public let base: UnsafeMutableRawPointer

    /// nil when there are fewer than 14 bytes, or fewer than 18 when the frame has a tag.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 14 else { return nil }
        self.base = base
        if base.uint16(at: 12) == EtherType.vlan, available < 18 { return nil }
    }

    @inlinable
    public var destination: MACAddress {
        get { MACAddress(loading: base) }
        nonmutating set { newValue.store(to: base) }
    }

    @inlinable
    public var source: MACAddress {
        get { MACAddress(loading: base + 6) }
        nonmutating set { newValue.store(to: base + 6) }
    }

    /// The type field behind the addresses: `EtherType.vlan` when there is a tag.
    @inlinable
    public var etherType: UInt16 {
        get { base.uint16(at: 12) }
        nonmutating set { base.store(newValue, at: 12) }
    }

    /// The tag, when there is one.
    @inlinable
    public var tag: VLANTag? { etherType == EtherType.vlan ? VLANTag(unchecked: base + 14) : nil }

    /// What the frame carries, behind a tag if there is one.
    @inlinable
    public var payloadType: UInt16 { base.uint16(at: headerLength &- 2) }

    /// 14, or 18 with a tag.
    @inlinable
    public var headerLength: Int { etherType == EtherType.vlan ? 18 : 14 }
}

/// The four bytes behind an 802.1Q type field: priority, VLAN identifier, and the type of what follows.
@frozen
public struct VLANTag {
    /// Bytes that a tag adds to a frame.
    public static let length = 4

    public let base: UnsafeMutableRawPointer

    /// `base` points behind the 0x8100. nil when there are fewer than four bytes.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 4 else { return nil }
        self.base = base
    }

    @inlinable
    init(unchecked base: UnsafeMutableRawPointer) { self.base = base }

    /// 0...4095; 0 means priority only.
    @inlinable
    public var identifier: UInt16 {
        get { base.uint16(at: 0) & 0x0FFF }
        nonmutating set { base.store(base.uint16(at: 0) & 0xF000 | newValue & 0x0FFF, at: 0) }
    }

    /// The priority code point, 0...7.
    @inlinable
    public var priority: UInt8 {
        get { base.uint8(at: 0) >> 5 }
        nonmutating set { base.store(base.uint8(at: 0) & 0x1F | newValue << 5, at: 0) }
    }

    /// The type of what follows the tag.
    @inlinable
    public var etherType: UInt16 {
        get { base.uint16(at: 2) }
        nonmutating set { base.store(newValue, at: 2) }
    }
}
