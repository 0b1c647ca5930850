/// An IPv4 header (RFC 791 section 3.1) as it lies in a frame.
@frozen
public struct IPv4Header {
    /// Bytes without options.
    public static let minimumLength = 20

    public let base: UnsafeMutableRawPointer

    /// Checks version, header length and total length against the bytes there are; not the checksum.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 20, base.uint8(at: 0) >> 4 == 4 else { return nil }
        let headerLength = Int(base.uint8(at: 0) & 0xF) &* 4
        let totalLength = Int(base.uint16(at: 2))
        guard headerLength >= 20, headerLength <= totalLength, totalLength <= available else { return nil }
        self.base = base
    }

    /// Bytes with options, 20...60.
    @inlinable
    public var headerLength: Int { Int(base.uint8(at: 0) & 0xF) &* 4 }

    /// The DS field and ECN.
    @inlinable
    public var trafficClass: UInt8 {
        get { base.uint8(at: 1) }
        nonmutating set { base.store(newValue, at: 1) }
    }

    /// Bytes of header and data.
    @inlinable
    public var totalLength: Int {
        get { Int(base.uint16(at: 2)) }
        nonmutating set { base.store(UInt16(truncatingIfNeeded: newValue), at: 2) }
    }

    @inlinable
    public var identification: UInt16 {
        get { base.uint16(at: 4) }
        nonmutating set { base.store(newValue, at: 4) }
    }

    @inlinable
    public var dontFragment: Bool {
        get { base.uint8(at: 6) & 0x40 != 0 }
        nonmutating set { base.store(base.uint8(at: 6) & ~0x40 | (newValue ? 0x40 : 0), at: 6) }
    }

    @inlinable
    public var moreFragments: Bool {
        get { base.uint8(at: 6) & 0x20 != 0 }
        nonmutating set { base.store(base.uint8(at: 6) & ~0x20 | (newValue ? 0x20 : 0), at: 6) }
    }

    /// The place of the data in the whole packet, in bytes; a multiple of 8, the setter drops the rest.
    @inlinable
    public var fragmentOffset: Int {
        get { Int(base.uint16(at: 6) & 0x1FFF) &* 8 }
        nonmutating set {
            base.store(base.uint16(at: 6) & 0xE000 | UInt16(truncatingIfNeeded: newValue >> 3) & 0x1FFF, at: 6)
        }
    }

    @inlinable
    public var isFragment: Bool { base.uint16(at: 6) & 0x3FFF != 0 }

    @inlinable
    public var timeToLive: UInt8 {
        get { base.uint8(at: 8) }
        nonmutating set { base.store(newValue, at: 8) }
    }

    @inlinable
    public var `protocol`: UInt8 {
        get { base.uint8(at: 9) }
        nonmutating set { base.store(newValue, at: 9) }
    }

    @inlinable
    public var checksum: UInt16 {
        get { base.uint16(at: 10) }
        nonmutating set { base.store(newValue, at: 10) }
    }

    @inlinable
    public var source: IPAddress {
        get { IPAddress(loading: base + 12, family: .ipv4) }
        nonmutating set { base.store(UInt32(truncatingIfNeeded: newValue.low), at: 12) }
    }

    @inlinable
    public var destination: IPAddress {
        get { IPAddress(loading: base + 16, family: .ipv4) }
        nonmutating set { base.store(UInt32(truncatingIfNeeded: newValue.low), at: 16) }
    }

    /// The options, 0...40 bytes.
    @inlinable
    public var options: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + 20, count: headerLength &- 20)
    }

    /// The beginning of the data.
    @inlinable
    public var payload: UnsafeMutableRawPointer { base + headerLength }

    @inlinable
    public var payloadLength: Int { totalLength &- headerLength }

    @inlinable
    public var isChecksumValid: Bool { Checksum.isIPv4HeaderValid(base, headerLength: headerLength) }

    /// Computes the checksum anew.
    @inlinable
    public func updateChecksum() {
        checksum = 0
        checksum = Checksum.internet(base, count: headerLength)
    }
}
