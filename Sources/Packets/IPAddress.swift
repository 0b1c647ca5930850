/// The two versions of the Internet Protocol; the raw value is what the version field of a header says.
@frozen
public enum AddressFamily: UInt8, Sendable, Hashable, BitwiseCopyable {
    case ipv4 = 4
    case ipv6 = 6

    /// The version of a packet whose IP header was checked, or is one of ours.
    @inlinable @inline(__always)
    public init(ofPacketAt packet: UnsafeRawPointer) { self = packet.load(as: UInt8.self) >> 4 == 4 ? .ipv4 : .ipv6 }

    /// The type in the Ethernet header before a packet of the family.
    @inlinable
    public var etherType: UInt16 { self == .ipv4 ? EtherType.ipv4 : EtherType.ipv6 }

    /// Bits of an address: 32 or 128.
    @inlinable
    public var bitWidth: Int { self == .ipv4 ? 32 : 128 }

    /// Bytes of an address on the wire: 4 or 16.
    @inlinable
    public var byteCount: Int { self == .ipv4 ? 4 : 16 }
}

/// One IP address of either family: 24 bytes, trivially copied, compared without a branch on the family.
///
/// The bits are kept in host order, so that prefixes and ranges are plain integer arithmetic.
/// An IPv4 address has `high == 0` and its 32 bits in `low`.
@frozen
public struct IPAddress: Sendable, BitwiseCopyable {
    /// The upper 64 bits of an IPv6 address in host order; 0 for IPv4.
    public var high: UInt64
    /// The lower 64 bits in host order; for IPv4 the 32 bits of the address.
    public var low: UInt64
    public var family: AddressFamily

    /// An IPv4 address from its 32 bits in host order: `0x0A00_0001` is 10.0.0.1.
    @inlinable
    public init(ipv4 bits: UInt32) {
        high = 0
        low = UInt64(bits)
        family = .ipv4
    }

    /// An IPv6 address from its two halves in host order.
    @inlinable
    public init(ipv6High high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
        family = .ipv6
    }

    /// Reads 4 (IPv4) or 16 (IPv6) bytes in network order. The caller has checked that they are there.
    @inlinable
    public init(loading bytes: UnsafeRawPointer, family: AddressFamily) {
        switch family {
        case .ipv4:
            self.init(ipv4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        case .ipv6:
            self.init(
                ipv6High: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    /// Writes 4 (IPv4) or 16 (IPv6) bytes in network order. The caller has checked that there is room.
    @inlinable
    public func store(to bytes: UnsafeMutableRawPointer) {
        switch family {
        case .ipv4:
            bytes.storeBytes(of: UInt32(truncatingIfNeeded: low).bigEndian, as: UInt32.self)
        case .ipv6:
            bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
    }

    /// 32 or 128.
    @inlinable
    public var bitWidth: Int { family.bitWidth }

    /// 0.0.0.0 or `::`.
    @inlinable
    public static func unspecified(_ family: AddressFamily) -> IPAddress {
        family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(ipv6High: 0, low: 0)
    }
}

// MARK: - What an address is for

extension IPAddress {
    @inlinable
    public var isUnspecified: Bool { high | low == 0 }

    /// 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or `::1` (RFC 4291 section 2.5.3).
    @inlinable
    public var isLoopback: Bool {
        family == .ipv4 ? low >> 24 == 127 : high == 0 && low == 1
    }

    /// 224.0.0.0/4 or ff00::/8.
    @inlinable
    public var isMulticast: Bool {
        family == .ipv4 ? low >> 28 == 0xE : high >> 56 == 0xFF
    }

    /// 255.255.255.255; IPv6 has no broadcast.
    @inlinable
    public var isLimitedBroadcast: Bool { family == .ipv4 && low == 0xFFFF_FFFF }

    /// 169.254.0.0/16 or fe80::/10: never forwarded (RFC 3927, RFC 4291 section 2.5.6).
    @inlinable
    public var isLinkLocal: Bool {
        family == .ipv4 ? low >> 16 == 0xA9FE : high >> 54 == 0x3FA
    }

    /// Whether the address can name one host that a reply could reach (RFC 1122 section 3.2.2):
    /// not unspecified, loopback, multicast, broadcast, 0.0.0.0/8 or 240.0.0.0/4.
    @inlinable
    public var isSingleHost: Bool {
        switch family {
        case .ipv4:
            let top = low >> 24
            return top != 0 && top != 127 && top < 224
        case .ipv6:
            return !isMulticast && !isUnspecified && !isLoopback
        }
    }
}

// MARK: - Comparison

extension IPAddress: Hashable, Comparable {
    @inlinable
    public static func == (left: IPAddress, right: IPAddress) -> Bool {
        (left.high ^ right.high) | (left.low ^ right.low) == 0 && left.family == right.family
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        hasher.combine(high)
        hasher.combine(low)
        hasher.combine(family.rawValue)
    }

    /// IPv4 before IPv6, then numeric order.
    @inlinable
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        if left.family != right.family { return left.family.rawValue < right.family.rawValue }
        if left.high != right.high { return left.high < right.high }
        return left.low < right.low
    }
}

extension IPAddress {
    /// The next address; the one after the last address of a family is its first.
    public var successor: IPAddress {
        var next = self
        next.low &+= 1
        switch family {
        case .ipv4: next.low &= 0xFFFF_FFFF
        case .ipv6: if next.low == 0 { next.high &+= 1 }
        }
        return next
    }
}
