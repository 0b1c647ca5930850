import CLinux
import Glibc
import Packets
import Platform
import Policy
import Telemetry

// How a packet is told apart from others at the least cost: link layer, the common packet, the key of its flow, and the cache of
// what was decided about that flow.

/// The IP header of nearly all packets, read in place: IPv4 without options and not fragmented, or IPv6 with no more asked than
/// what its first 40 bytes say. The fast form of `PacketSummary`.
struct CommonHeader {
    /// Bytes of the header: 20 or 40.
    var headerLength = 0
    /// Bytes of the packet.
    var length = 0
    var trafficClass: UInt8 = 0
    /// The IPv4 protocol or the IPv6 next header.
    var upperProtocol: UInt8 = 0
    /// IPv4 DF, or IPv6.
    var dontFragment = false

    /// Reads an IPv4 packet with the checks of RFC 1812 section 5.2.2. False for any other packet, for whatever is
    /// wrong, and with fewer than `least` bytes behind the header: those take the long way, which names the fault.
    @inline(__always)
    mutating func readIPv4(_ packet: UnsafeMutableRawPointer, available: Int, least: Int) -> Bool {
        guard available >= 20 &+ least else { return false }
        let first = packet.loadUnaligned(as: UInt32.self)
        let total = Int(UInt16(truncatingIfNeeded: first >> 16).byteSwapped)
        let fragment = packet.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        // 0xFF3F: more-fragments and offset, as they lie in the header.
        guard first & 0xFF == 0x45, fragment & 0xFF3F == 0, total >= 20 &+ least, total <= available,
            Checksum.isIPv4HeaderValid(packet, headerLength: 20)
        else { return false }
        headerLength = 20
        length = total
        trafficClass = UInt8(truncatingIfNeeded: first >> 8)
        upperProtocol = packet.load(fromByteOffset: 9, as: UInt8.self)
        dontFragment = fragment & 0x0040 != 0
        return true
    }

    /// The same for IPv6. `upperProtocol` may be an extension header's.
    @inline(__always)
    mutating func readIPv6(_ packet: UnsafeMutableRawPointer, available: Int, least: Int) -> Bool {
        guard available >= 40 &+ least else { return false }
        let first = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        let total = 40 &+ Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        guard first >> 28 == 6, total >= 40 &+ least, total <= available else { return false }
        headerLength = 40
        length = total
        trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        upperProtocol = packet.load(fromByteOffset: 6, as: UInt8.self)
        dontFragment = true
        return true
    }
}

/// Reads the packets that nearly all traffic consists of without a `PacketSummary`: TCP, UDP and ICMP right behind a
/// `CommonHeader`. For them the flow key says all that policies see.
enum CommonPacket {
    /// Fills the key, and the slot's length, traffic class, next header and DF. False, with both unchanged, for any
    /// other packet and for whatever is wrong: those take the long way, which names the fault.
    @inline(__always)
    static func read(
        _ packet: UnsafeMutableRawPointer, available: Int, family: AddressFamily,
        slot: UnsafeMutablePointer<PacketSlot>, key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        var header = CommonHeader()
        switch family {
        case .ipv4:
            guard header.readIPv4(packet, available: available, least: 4),
                let ports = ports(packet + 20, header.upperProtocol, icmp: IPProtocol.icmp)
            else { return false }
            key.pointee = FlowKey(ipv4: packet, protocolNumber: header.upperProtocol, ports: ports)
            slot.pointee.nextHeader = IPProtocol.ipv4
        case .ipv6:
            guard header.readIPv6(packet, available: available, least: 4),
                let ports = ports(packet + 40, header.upperProtocol, icmp: IPProtocol.icmpv6)
            else { return false }
            key.pointee = FlowKey(ipv6: packet, protocolNumber: header.upperProtocol, ports: ports)
            slot.pointee.nextHeader = IPProtocol.ipv6
        }
        slot.pointee.length = UInt32(truncatingIfNeeded: header.length)
        slot.pointee.trafficClass = header.trafficClass
        if header.dontFragment { slot.pointee.flags.insert(.dontFragment) }
        return true
    }

    /// The first four bytes of TCP and UDP, or type and code of ICMP; nil for other protocols.
    @inline(__always)
    private static func ports(_ upper: UnsafeMutableRawPointer, _ number: UInt8, icmp: UInt8) -> UInt32? {
        let ports = upper.loadUnaligned(as: UInt32.self)
        if number == icmp { return ports & 0xFFFF }
        return number == IPProtocol.tcp || number == IPProtocol.udp ? ports : nil
    }
}

extension DropReason {
    /// Why a packet that is no IP packet is dropped.
    init(_ failure: ParseFailure, packet: UnsafeRawPointer, available: Int) {
        switch failure {
        case .headerChecksum: self = .ipv4Checksum
        case .extensionLimit: self = .extensionHeaderLimit
        default:
            let isIPv6 = available > 0 && packet.load(as: UInt8.self) >> 4 == 6
            self = isIPv6 ? .malformedIPv6 : .malformedIPv4
        }
    }
}

/// The fields that an outbound policy decision depends on: addresses, upper protocol, ports (or ICMP type and code).
///
/// For IPv4 the first two words say everything; `kind` keeps the families apart, so the other words are compared
/// for IPv6 only.
struct FlowKey: BitwiseCopyable {
    /// IPv4: source and destination as they lie in the header. IPv6: the upper half of the source.
    var addresses: UInt64
    /// Ports as they lie in the header (bits 0...31), protocol (32...39), family (40...47), later fragment (48).
    var kind: UInt64
    var sourceLow: UInt64
    var destinationHigh: UInt64
    var destinationLow: UInt64

    static let laterFragment: UInt64 = 1 << 48

    var isIPv4: Bool { UInt8(truncatingIfNeeded: kind >> 40) == AddressFamily.ipv4.rawValue }

    /// The key of an IPv4 packet without options and not a fragment: `ports` are the four bytes behind the header.
    @inline(__always)
    init(ipv4 header: UnsafeRawPointer, protocolNumber: UInt8, ports: UInt32) {
        addresses = header.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
        kind = UInt64(ports) | UInt64(protocolNumber) << 32 | UInt64(AddressFamily.ipv4.rawValue) << 40
        sourceLow = 0
        destinationHigh = 0
        destinationLow = 0
    }

    /// The key of an IPv6 packet.
    @inline(__always)
    init(ipv6 header: UnsafeRawPointer, protocolNumber: UInt8, ports: UInt32) {
        addresses = header.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        sourceLow = header.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        destinationHigh = header.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        destinationLow = header.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        kind = UInt64(ports) | UInt64(protocolNumber) << 32 | UInt64(AddressFamily.ipv6.rawValue) << 40
    }

    /// The key of any parsed packet; equal to the fast forms where those apply.
    init(_ summary: PacketSummary, header: UnsafeRawPointer) {
        var ports = UInt32(summary.sourcePort.bigEndian) | UInt32(summary.destinationPort.bigEndian) << 16
        if summary.upperProtocol == IPProtocol.icmp || summary.upperProtocol == IPProtocol.icmpv6 { ports &= 0xFFFF }
        switch summary.family {
        case .ipv4: self.init(ipv4: header, protocolNumber: summary.upperProtocol, ports: ports)
        case .ipv6: self.init(ipv6: header, protocolNumber: summary.upperProtocol, ports: ports)
        }
        if summary.isLaterFragment { kind |= FlowKey.laterFragment }
    }

    /// A hash whose seed the network does not know, so that nobody can aim flows at one cache line.
    @inline(__always)
    func hash(seed: UInt64) -> UInt64 {
        var mixed = (addresses ^ seed) &* 0x9E37_79B9_7F4A_7C15
        if !isIPv4 {
            mixed ^= (sourceLow ^ (mixed >> 29)) &* 0xC2B2_AE3D_27D4_EB4F
            mixed ^= (destinationHigh ^ (mixed >> 31)) &* 0x1656_67B1_9E37_79F9
            mixed ^= (destinationLow ^ (mixed >> 30)) &* 0x27D4_EB2F_1656_67C5
        }
        mixed = (mixed ^ (mixed >> 32) ^ kind) &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ (mixed >> 32)
    }

    @inline(__always)
    func isSame(as other: UnsafePointer<FlowKey>) -> Bool {
        if addresses != other.pointee.addresses || kind != other.pointee.kind { return false }
        if isIPv4 { return true }
        return sourceLow == other.pointee.sourceLow && destinationHigh == other.pointee.destinationHigh
            && destinationLow == other.pointee.destinationLow
    }
}

/// The SAs and next hops of recent flows, outbound or inner: one cache line per flow, two places per flow, no
/// eviction policy beyond "the newer one wins". An entry is used only as long as the version that its decision rests on is what
/// it was (`FlowVersions`).
///
/// Memory is mapped lazily: a cache that few flows touch stays small.
struct FlowCache: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: FlowKey
        /// The SA: an `OutboundRuntime` that the policies want, or the `InboundRuntime` from which they accept the flow.
        var association: UnsafeMutableRawPointer?
        /// The index of the next hop to the peer (outbound), or to the destination (inner).
        var nextHop: UInt32
        /// The version that the decision rests on, as it was then; 0 for an empty entry.
        var version: UInt32
        /// The place of that version.
        var versionPlace: UInt16
        /// The worker that owns the SA.
        var owner: UInt16
    }

    let entries: UnsafeMutablePointer<Entry>
    private let memory: LazyMemory
    let mask: UInt64
    let seed: UInt64

    /// `capacity` is rounded up to a power of two.
    init(capacity: Int) {
        var size = 2
        while size < capacity { size <<= 1 }
        memory = LazyMemory(byteCount: size * MemoryLayout<Entry>.stride)
        entries = memory.base.bindMemory(to: Entry.self, capacity: size)
        mask = UInt64(size - 1)
        seed = UInt64.random(in: 0 ... .max)
    }

    /// Forgets everything.
    mutating func clear() { memset(entries, 0, Int(truncatingIfNeeded: mask &+ 1) &* MemoryLayout<Entry>.stride) }

    @inline(__always)
    func prefetch(hash: UInt64) { sluice_prefetch(entries + Int(truncatingIfNeeded: hash & mask)) }

    /// The entry of a flow that holds under these versions, or nil.
    @inline(__always)
    func find(_ key: UnsafePointer<FlowKey>, hash: UInt64, versions: UnsafePointer<UInt32>)
        -> UnsafeMutablePointer<Entry>?
    {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        if FlowCache.holds(first, versions), key.pointee.isSame(as: FlowCache.key(of: first)) { return first }
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        if FlowCache.holds(second, versions), key.pointee.isSame(as: FlowCache.key(of: second)) {
            return second
        }
        return nil
    }

    /// Remembers a decision, in the place of another one about the flow. Else the flow's first place is kept for it unless a
    /// current flow has it and the second is free.
    mutating func insert(_ entry: Entry, hash: UInt64, versions: UnsafePointer<UInt32>) {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        let isKnown = withUnsafePointer(to: entry.key) { find($0, hash: hash, versions: versions) }
        let place = FlowCache.holds(first, versions) && !FlowCache.holds(second, versions) ? second : first
        (isKnown ?? place).pointee = entry
    }

    /// Whether the decision is still what the snapshot with these versions says.
    @inline(__always)
    static func holds(_ entry: UnsafeMutablePointer<Entry>, _ versions: UnsafePointer<UInt32>) -> Bool {
        entry.pointee.version == versions[Int(entry.pointee.versionPlace)]
    }

    @inline(__always)
    static func key(of entry: UnsafeMutablePointer<Entry>) -> UnsafePointer<FlowKey> {
        UnsafeRawPointer(entry).assumingMemoryBound(to: FlowKey.self)
    }
}

/// Zeroed memory from the kernel, resident only where it was touched.
struct LazyMemory: ~Copyable {
    let base: UnsafeMutableRawPointer
    private let memory: MappedMemory

    init(byteCount: Int) {
        do throws(Errno) {
            memory = try MappedMemory(.lazy, byteCount: byteCount)
        } catch {
            // Only at start-up, never while packets flow.
            fatalError("no memory for a table of \(byteCount) bytes: \(error)")
        }
        base = memory.base
    }
}
