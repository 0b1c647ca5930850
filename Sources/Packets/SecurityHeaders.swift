/// The fixed part of an ESP packet (RFC 4303 section 2) as it lies in a frame.
@frozen
public struct ESPHeader {
    public static let length = 8

    public let base: UnsafeMutableRawPointer

    /// nil when there are fewer than eight bytes. What follows depends on the SA and is checked where it is known.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 8 else { return nil }
        self.base = base
    }

    /// 0 is never sent; in UDP on port 4500 it marks an IKE message (RFC 3948 section 2.2).
    @inlinable
    public var spi: UInt32 {
        get { base.uint32(at: 0) }
        nonmutating set { base.store(newValue, at: 0) }
    }

    /// The low 32 bits, also with extended sequence numbers.
    @inlinable
    public var sequence: UInt32 {
        get { base.uint32(at: 4) }
        nonmutating set { base.store(newValue, at: 4) }
    }

    /// Where IV or payload begins.
    @inlinable
    public var payload: UnsafeMutableRawPointer { base + 8 }
}

/// An AH header (RFC 4302 section 2) as it lies in a frame.
@frozen
public struct AHHeader {
    /// Bytes without an ICV.
    public static let minimumLength = 12

    public let base: UnsafeMutableRawPointer

    /// Checks the length field against the bytes there are.
    @inlinable
    public init?(_ base: UnsafeMutableRawPointer, available: Int) {
        guard available >= 12 else { return nil }
        let headerLength = (Int(base.uint8(at: 1)) &+ 2) &* 4
        guard headerLength >= 12, headerLength <= available else { return nil }
        self.base = base
    }

    @inlinable
    public var nextHeader: UInt8 {
        get { base.uint8(at: 0) }
        nonmutating set { base.store(newValue, at: 0) }
    }

    /// Bytes with the ICV, 12...1028. The field counts 32-bit words minus 2.
    @inlinable
    public var headerLength: Int { (Int(base.uint8(at: 1)) &+ 2) &* 4 }

    @inlinable
    public var spi: UInt32 {
        get { base.uint32(at: 4) }
        nonmutating set { base.store(newValue, at: 4) }
    }

    @inlinable
    public var sequence: UInt32 {
        get { base.uint32(at: 8) }
        nonmutating set { base.store(newValue, at: 8) }
    }

    @inlinable
    public var integrityCheckValue: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + 12, count: headerLength &- 12)
    }

    @inlinable
    public var payload: UnsafeMutableRawPointer { base + headerLength }
}
