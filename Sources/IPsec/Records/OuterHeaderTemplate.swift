import Packets

/// The outer IP and UDP headers of an SA, ready to be copied before the ESP header (RFC 4301 section 5.1.2).
///
/// 64 bytes, one cache line: the first eight bytes of the IP header as a number, because all that changes from packet
/// to packet lies there, the part of the IPv4 checksum that does not change, and the headers as they lie in memory,
/// aligned to the end so that one copy of 48 bytes serves all lengths.
@frozen
public struct OuterHeaderTemplate: Sendable, BitwiseCopyable {
    /// The IP header's first eight bytes in host order with lengths, DS, ECN, identification and DF zero.
    @usableFromInline let firstWord: UInt64
    /// Sum of the IPv4 header's 16-bit words in host order, without what is zero in `firstWord`; 0 for IPv6.
    @usableFromInline let checksumBase: UInt32
    let reserved: UInt32 = 0
    @usableFromInline let part0, part1, part2: SIMD2<UInt64>

    /// Bytes that `copy` writes before the ESP header.
    @inlinable
    static var copyLength: Int { 48 }

    /// Length of the outer IP header and, with encapsulation, the UDP header.
    static func headerLength(family: AddressFamily, isEncapsulated: Bool) -> Int {
        (family == .ipv4 ? 20 : 40) + (isEncapsulated ? 8 : 0)
    }

    init(_ parameters: SAParameters) {
        let family = parameters.source.family
        let isEncapsulated = parameters.encapsulation != nil
        let length = Self.headerLength(family: family, isEncapsulated: isEncapsulated)
        let next = isEncapsulated ? IPProtocol.udp : IPProtocol.esp
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.copyLength, alignment: 16)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[(Self.copyLength - length)...])

        switch family {
        case .ipv4:
            firstWord = 0x4500 << 48
            bytes[0] = 0x45
            bytes[8] = parameters.outerHopLimit
            bytes[9] = next
            Self.store(parameters.source, in: bytes, at: 12)
            Self.store(parameters.destination, in: bytes, at: 16)
            checksumBase = stride(from: 0, to: 20, by: 2).reduce(0) { sum, offset in
                sum + UInt32(bytes[offset]) << 8 + UInt32(bytes[offset + 1])
            }
        case .ipv6:
            firstWord =
                6 << 60 | UInt64(Self.flowLabel(spi: parameters.spi)) << 32 | UInt64(next) << 8
                | UInt64(parameters.outerHopLimit)
            Self.store(parameters.source, in: bytes, at: 8)
            Self.store(parameters.destination, in: bytes, at: 24)
            checksumBase = 0
        }
        if let encapsulation = parameters.encapsulation {
            // RFC 3948 section 2.1: over IPv4 the UDP checksum is zero. Over IPv6 it is computed behind the cipher.
            bytes.storeBytes(of: encapsulation.sourcePort.bigEndian, toByteOffset: length - 8, as: UInt16.self)
            bytes.storeBytes(of: encapsulation.destinationPort.bigEndian, toByteOffset: length - 6, as: UInt16.self)
        }
        part0 = memory.loadUnaligned(fromByteOffset: 0, as: SIMD2<UInt64>.self)
        part1 = memory.loadUnaligned(fromByteOffset: 16, as: SIMD2<UInt64>.self)
        part2 = memory.loadUnaligned(fromByteOffset: 32, as: SIMD2<UInt64>.self)
    }

    private static func store(_ address: IPAddress, in bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        guard let start = bytes.baseAddress else { return }
        address.store(to: start + offset)
    }

    /// One flow label per SA, so that the path can spread SAs over links (RFC 6438); inner labels are not copied
    /// (RFC 4301 section 5.1.2.2, note 8). The label is derived from the SPI, which everyone on the path sees anyway.
    static func flowLabel(spi: UInt32) -> UInt32 {
        let label = (spi &* 0x9E37_79B1) >> 12
        return label == 0 ? 1 : label
    }

    /// Writes the headers so that they end at `end`, and 48 bytes in any case.
    @inlinable
    @inline(__always)
    func copy(before end: UnsafeMutableRawPointer) {
        let start = end - OuterHeaderTemplate.copyLength
        start.storeBytes(of: part0, as: SIMD2<UInt64>.self)
        start.storeBytes(of: part1, toByteOffset: 16, as: SIMD2<UInt64>.self)
        start.storeBytes(of: part2, toByteOffset: 32, as: SIMD2<UInt64>.self)
    }
}
