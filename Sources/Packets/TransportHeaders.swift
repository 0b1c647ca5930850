/// A UDP header (RFC 768) as it lies in a frame.
@frozen
public struct UDPHeader {
    public static let length = 8

    public let base: UnsafeMutableRawPointer

    /// Checks that the length field covers the header and no more than `available` bytes.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 8 else { return nil }
        let length = Int(base.uint16(at: 4))
        guard length >= 8, length <= available else { return nil }
        self.base = base
    }

    @inlinable
    public var sourcePort: UInt16 {
        get { base.uint16(at: 0) }
        nonmutating set { base.store(newValue, at: 0) }
    }

    @inlinable
    public var destinationPort: UInt16 {
        get { base.uint16(at: 2) }
        nonmutating set { base.store(newValue, at: 2) }
    }

    /// Bytes of header and data.
    @inlinable
    public var totalLength: Int {
        get { Int(base.uint16(at: 4)) }
        nonmutating set { base.store(UInt16(truncatingIfNeeded: newValue), at: 4) }
    }

    /// 0: the sender computed none.
    @inlinable
    public var checksum: UInt16 {
        get { base.uint16(at: 6) }
        nonmutating set { base.store(newValue, at: 6) }
    }

    @inlinable
    public var payload: UnsafeMutableRawPointer { base + 8 }

    @inlinable
    public var payloadLength: Int { totalLength &- 8 }
}

/// A TCP header (RFC 9293 section 3.1) as it lies in a frame.
@frozen
public struct TCPHeader {
    /// Bytes without options.
    public static let minimumLength = 20

    public let base: UnsafeMutableRawPointer

    /// Checks the data offset against the bytes there are.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 20 else { return nil }
        let headerLength = Int(base.uint8(at: 12) >> 4) &* 4
        guard headerLength >= 20, headerLength <= available else { return nil }
        self.base = base
    }

    @inlinable
    public var sourcePort: UInt16 {
        get { base.uint16(at: 0) }
        nonmutating set { base.store(newValue, at: 0) }
    }

    @inlinable
    public var destinationPort: UInt16 {
        get { base.uint16(at: 2) }
        nonmutating set { base.store(newValue, at: 2) }
    }

    @inlinable
    public var sequence: UInt32 {
        get { base.uint32(at: 4) }
        nonmutating set { base.store(newValue, at: 4) }
    }

    @inlinable
    public var acknowledgement: UInt32 {
        get { base.uint32(at: 8) }
        nonmutating set { base.store(newValue, at: 8) }
    }

    /// Bytes with options, 20...60.
    @inlinable
    public var headerLength: Int { Int(base.uint8(at: 12) >> 4) &* 4 }

    /// CWR, ECE, URG, ACK, PSH, RST, SYN, FIN, topmost first.
    @inlinable
    public var flags: UInt8 {
        get { base.uint8(at: 13) }
        nonmutating set { base.store(newValue, at: 13) }
    }

    @inlinable
    public var window: UInt16 {
        get { base.uint16(at: 14) }
        nonmutating set { base.store(newValue, at: 14) }
    }

    @inlinable
    public var checksum: UInt16 {
        get { base.uint16(at: 16) }
        nonmutating set { base.store(newValue, at: 16) }
    }

    @inlinable
    public var options: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + 20, count: headerLength &- 20)
    }

    @inlinable
    public var payload: UnsafeMutableRawPointer { base + headerLength }
}

/// The first eight bytes that all ICMP (RFC 792) and ICMPv6 (RFC 4443) messages of interest have.
@frozen
public struct ICMPHeader {
    public static let length = 8

    public let base: UnsafeMutableRawPointer

    /// nil when there are fewer than eight bytes.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 8 else { return nil }
        self.base = base
    }

    @inlinable
    public var type: UInt8 {
        get { base.uint8(at: 0) }
        nonmutating set { base.store(newValue, at: 0) }
    }

    @inlinable
    public var code: UInt8 {
        get { base.uint8(at: 1) }
        nonmutating set { base.store(newValue, at: 1) }
    }

    @inlinable
    public var checksum: UInt16 {
        get { base.uint16(at: 2) }
        nonmutating set { base.store(newValue, at: 2) }
    }

    /// The word behind the checksum: identifier and sequence of an echo, the MTU of "too big" messages.
    @inlinable
    public var restOfHeader: UInt32 {
        get { base.uint32(at: 4) }
        nonmutating set { base.store(newValue, at: 4) }
    }

    @inlinable
    public var payload: UnsafeMutableRawPointer { base + 8 }
}
