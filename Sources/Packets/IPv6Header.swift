/// An IPv6 header (RFC 8200 section 3) as it lies in a frame.
@frozen
public struct IPv6Header {
    public static let length = 40

    public let base: UnsafeMutableRawPointer

    /// Checks version and payload length against the bytes there are.
    /// A jumbogram (RFC 2675, payload length 0) is longer than any frame of ours: it reads as an empty packet.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 40, base.uint8(at: 0) >> 4 == 6 else { return nil }
        guard 40 &+ Int(base.uint16(at: 4)) <= available else { return nil }
        self.base = base
    }

    /// The DS field and ECN.
    @inlinable
    public var trafficClass: UInt8 {
        get { UInt8(truncatingIfNeeded: base.uint16(at: 0) >> 4) }
        nonmutating set { base.store(base.uint16(at: 0) & 0xF00F | UInt16(newValue) << 4, at: 0) }
    }

    /// The low 20 bits.
    @inlinable
    public var flowLabel: UInt32 {
        get { base.uint32(at: 0) & 0xF_FFFF }
        nonmutating set { base.store(base.uint32(at: 0) & 0xFFF0_0000 | newValue & 0xF_FFFF, at: 0) }
    }

    /// Bytes behind the fixed header, extension headers included.
    @inlinable
    public var payloadLength: Int {
        get { Int(base.uint16(at: 4)) }
        nonmutating set { base.store(UInt16(truncatingIfNeeded: newValue), at: 4) }
    }

    /// Bytes of header and payload.
    @inlinable
    public var totalLength: Int { 40 &+ payloadLength }

    /// The first extension header, or the next layer protocol.
    @inlinable
    public var nextHeader: UInt8 {
        get { base.uint8(at: 6) }
        nonmutating set { base.store(newValue, at: 6) }
    }

    @inlinable
    public var hopLimit: UInt8 {
        get { base.uint8(at: 7) }
        nonmutating set { base.store(newValue, at: 7) }
    }

    @inlinable
    public var source: IPAddress {
        get { IPAddress(loading: base + 8, family: .ipv6) }
        nonmutating set { IPAddress(ipv6High: newValue.high, low: newValue.low).store(to: base + 8) }
    }

    @inlinable
    public var destination: IPAddress {
        get { IPAddress(loading: base + 24, family: .ipv6) }
        nonmutating set { IPAddress(ipv6High: newValue.high, low: newValue.low).store(to: base + 24) }
    }

    /// The beginning of the payload.
    @inlinable
    public var payload: UnsafeMutableRawPointer { base + 40 }

    /// Walks the extension headers.
    @inlinable
    public func walkExtensions(into walk: inout IPv6ExtensionWalk) -> ParseFailure {
        IPv6ExtensionWalk.walk(base, totalLength: totalLength, into: &walk)
    }
}
