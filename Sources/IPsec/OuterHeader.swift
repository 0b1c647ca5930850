import Packets
import Synchronization

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
    static func flowLabel(spi: SPI) -> UInt32 {
        let label = (spi.value &* 0x9E37_79B1) >> 12
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

/// The fields of the outer headers that change from packet to packet (RFC 4301 section 5.1.2).
@usableFromInline
enum OuterHeader {
    /// Writes lengths, DS and ECN, identification, DF and the IPv4 checksum over the template's copy.
    ///
    /// - Parameters:
    ///   - dontFragment: 0x4000 or 0, the DF bit in place.
    ///   - identification: for packets that may be fragmented; an atomic datagram has 0 (RFC 6864 section 4.1).
    @inlinable
    @inline(__always)
    static func patch(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, outer: OuterPacket, esp: UnsafeMutableRawPointer,
        trafficClass: UInt8,
        dontFragment: UInt16, identification: UInt16
    ) {
        let length = UInt64(truncatingIfNeeded: outer.length)
        let firstWord = sa.pointee.template.firstWord
        let headerLength: Int
        if !sa.pointee.flags.contains(.outerIPv6) {
            headerLength = 20
            let fragmentation = dontFragment != 0 ? UInt64(dontFragment) : UInt64(identification) << 16
            let word = firstWord | UInt64(trafficClass) << 48 | length << 32 | fragmentation
            outer.start.storeBytes(of: word.bigEndian, as: UInt64.self)
            // At most nine 16-bit words: folding twice takes in every carry.
            var sum = sa.pointee.template.checksumBase &+ UInt32(trafficClass)
            sum &+= UInt32(truncatingIfNeeded: length) &+ UInt32(truncatingIfNeeded: fragmentation & 0xFFFF)
            sum &+= UInt32(truncatingIfNeeded: fragmentation >> 16)
            sum = (sum & 0xFFFF) &+ sum >> 16
            sum = (sum & 0xFFFF) &+ sum >> 16
            let checksum = ~UInt16(truncatingIfNeeded: sum)
            outer.start.storeBytes(of: checksum.bigEndian, toByteOffset: 10, as: UInt16.self)
        } else {
            headerLength = 40
            let word = firstWord | UInt64(trafficClass) << 52 | (length &- 40) << 16
            outer.start.storeBytes(of: word.bigEndian, as: UInt64.self)
        }
        if sa.pointee.flags.contains(.udp) {
            let udpLength = UInt16(truncatingIfNeeded: outer.length &- headerLength)
            esp.storeBytes(of: udpLength.bigEndian, toByteOffset: -4, as: UInt16.self)
        }
    }

    /// The UDP checksum of an encapsulated packet over IPv6, which has to have one (RFC 8200 section 8.1).
    @usableFromInline
    @inline(never)
    static func writeUDPChecksum(_ outer: OuterPacket, esp: UnsafeMutableRawPointer) {
        let udp = esp - 8
        let count = outer.length &- 40
        udp.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
        let pseudoHeader = Checksum.pseudoHeader(
            source: IPAddress(loading: outer.start + 8, family: .ipv6),
            destination: IPAddress(loading: outer.start + 24, family: .ipv6), protocol: IPProtocol.udp,
            length: UInt32(truncatingIfNeeded: count))
        let checksum = Checksum.udpField(Checksum.internet(udp, count: count, initial: pseudoHeader))
        udp.storeBytes(of: checksum.bigEndian, toByteOffset: 6, as: UInt16.self)
    }
}

/// The part of an outbound record that changes when an SA moves: what is around its ESP packets.
///
/// The control side never writes what a worker reads per packet. It lays the new form beside the record and publishes a
/// snapshot; the owner takes it over before the first packet that it sends under that snapshot, so that no packet has
/// headers half old and half new, and sequence numbers, keys and counters are not touched.
struct OutboundForm: BitwiseCopyable {
    var template: OuterHeaderTemplate
    var headerLength: UInt8
    var isIPv6: Bool
    var isEncapsulated: Bool

    init(_ parameters: SAParameters) {
        template = OuterHeaderTemplate(parameters)
        isIPv6 = parameters.source.family == .ipv6
        isEncapsulated = parameters.encapsulation != nil
        headerLength = UInt8(
            OuterHeaderTemplate.headerLength(family: parameters.source.family, isEncapsulated: isEncapsulated))
    }
}

/// The place of the newest form of an outbound SA, for its owner: words that belong to the SA's record, so that they
/// are there as long as a worker can meet the SA, however many objects of it come and go meanwhile.
///
/// A sequence lock: the one writer makes the version odd, writes, and makes it even again; a reader whose version was odd or has
/// changed leaves what it read alone. It does not wait: the snapshot that the writer publishes next makes it look again.
@usableFromInline
struct PendingForm: ~Copyable {
    /// The version of the form in `words`; 0: none yet.
    @usableFromInline let version: Atomic<UInt64>
    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// Eight words for the template, one for the rest.
    static let wordCount = MemoryLayout<OuterHeaderTemplate>.size / 8 + 1

    /// `words` is memory for `wordCount` words that outlives the record.
    init(words: UnsafeMutablePointer<Atomic<UInt64>>) {
        for index in 0..<Self.wordCount { (words + index).initialize(to: Atomic(0)) }
        self.words = words
        version = Atomic(0)
    }

    /// Writes a form, from the control side, one call at a time.
    func write(_ form: OutboundForm) {
        let before = version.load(ordering: .relaxed)
        version.store(before &+ 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        withUnsafeBytes(of: form.template) { bytes in
            for index in 0..<Self.wordCount - 1 {
                words[index].store(bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self), ordering: .relaxed)
            }
        }
        let rest = UInt64(form.headerLength) | (form.isIPv6 ? 0x100 : 0) | (form.isEncapsulated ? 0x200 : 0)
        words[Self.wordCount - 1].store(rest, ordering: .relaxed)
        version.store(before &+ 2, ordering: .releasing)
    }

    /// Reads the newest form into `form`, for the owner, and returns its version; nil, and a form without meaning,
    /// while the writer is at it.
    func read(into form: inout OutboundForm) -> UInt64? {
        let before = version.load(ordering: .acquiring)
        guard before & 1 == 0 else { return nil }
        withUnsafeMutableBytes(of: &form.template) { bytes in
            for index in 0..<Self.wordCount - 1 {
                bytes.storeBytes(of: words[index].load(ordering: .relaxed), toByteOffset: 8 * index, as: UInt64.self)
            }
        }
        let rest = words[Self.wordCount - 1].load(ordering: .relaxed)
        form.headerLength = UInt8(truncatingIfNeeded: rest)
        form.isIPv6 = rest & 0x100 != 0
        form.isEncapsulated = rest & 0x200 != 0
        atomicMemoryFence(ordering: .acquiring)
        return version.load(ordering: .relaxed) == before ? before : nil
    }
}

extension ESPOutbound {
    /// Takes over new outer headers, if there are any. To be called by the SA's owner once it has found the SA in a
    /// snapshot, and not between `prepare` and `finish` of a packet.
    @inlinable
    @inline(__always)
    public static func follow(_ sa: UnsafeMutablePointer<OutboundRuntime>) {
        if sa.pointee.pendingForm.version.load(ordering: .relaxed) != sa.pointee.takenForm { takeForm(sa) }
    }

    @usableFromInline
    @inline(never)
    static func takeForm(_ sa: UnsafeMutablePointer<OutboundRuntime>) {
        var form = OutboundForm(template: sa.pointee.template)
        guard let version = sa.pointee.pendingForm.read(into: &form) else { return }
        sa.pointee.takenForm = version
        sa.pointee.template = form.template
        sa.pointee.headerLength = form.headerLength
        var flags = sa.pointee.flags.subtracting(.udpOverIPv6)
        if form.isIPv6 { flags.insert(.outerIPv6) }
        if form.isEncapsulated { flags.insert(.udp) }
        sa.pointee.flags = flags
    }
}

extension OutboundForm {
    /// A form that is to be written over.
    fileprivate init(template: OuterHeaderTemplate) {
        self.template = template
        (headerLength, isIPv6, isEncapsulated) = (0, false, false)
    }
}
