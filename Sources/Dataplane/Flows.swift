import CLinux
import Glibc
import Packets
import Policy
import Telemetry

// How a packet is told apart from others at the least cost: link layer, the common packet, the key of its flow, and the cache of
// what was decided about that flow.

/// The Ethernet header in front of an IP packet, with at most one VLAN tag (the steering program lets no more pass).
struct LinkLayer {
    /// 14 or 18 bytes.
    var headerLength = 14
    var family = AddressFamily.ipv4

    /// EtherTypes as they lie in the header. Computed, as a stored one would be initialised under a lock at its first use.
    static var ipv4: UInt16 { UInt16(0x0800).bigEndian }
    static var ipv6: UInt16 { UInt16(0x86DD).bigEndian }
    static var vlan: UInt16 { UInt16(0x8100).bigEndian }
    static var serviceVLAN: UInt16 { UInt16(0x88A8).bigEndian }

    /// False when the frame is too short or carries something else than IP.
    @inline(__always)
    mutating func parse(_ start: UnsafeMutableRawPointer, available: Int) -> Bool {
        guard available >= 14 else { return false }
        var type = start.loadUnaligned(fromByteOffset: 12, as: UInt16.self)
        if type == LinkLayer.vlan || type == LinkLayer.serviceVLAN {
            guard available >= 18 else { return false }
            type = start.loadUnaligned(fromByteOffset: 16, as: UInt16.self)
            headerLength = 18
        }
        if type == LinkLayer.ipv4 {
            family = .ipv4
            return true
        }
        family = .ipv6
        return type == LinkLayer.ipv6
    }
}

/// Reads the packets that nearly all traffic consists of without a `PacketSummary`: TCP, UDP and ICMP right behind an
/// IPv4 header without options or an IPv6 header, not fragmented. For them the flow key says all that policies see.
enum CommonPacket {
    /// Fills the key, and the slot's length, traffic class, next header and DF. False, with both unchanged, for any
    /// other packet and for whatever is wrong: those take the long way, which names the fault.
    @inline(__always)
    static func read(
        _ packet: UnsafeMutableRawPointer, available: Int, family: AddressFamily,
        slot: UnsafeMutablePointer<PacketSlot>, key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        switch family {
        case .ipv4: readIPv4(packet, available: available, slot: slot, key: key)
        case .ipv6: readIPv6(packet, available: available, slot: slot, key: key)
        }
    }

    /// With the checks of RFC 1812 section 5.2.2.
    @inline(__always)
    private static func readIPv4(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        guard available >= 24 else { return false }
        let first = packet.loadUnaligned(as: UInt32.self)
        let total = Int(UInt16(truncatingIfNeeded: first >> 16).byteSwapped)
        let fragment = packet.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        // 0xFF3F: more-fragments and offset, as they lie in the header.
        guard first & 0xFF == 0x45, fragment & 0xFF3F == 0, total >= 24, total <= available,
            Checksum.isIPv4HeaderValid(packet, headerLength: 20)
        else { return false }
        let number = packet.load(fromByteOffset: 9, as: UInt8.self)
        var ports = packet.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
        if number == IPProtocol.icmp {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return false
        }
        key.pointee = FlowKey(ipv4: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 8)
        slot.pointee.nextHeader = IPProtocol.ipv4
        if fragment & 0x0040 != 0 { slot.pointee.flags.insert(.dontFragment) }
        return true
    }

    @inline(__always)
    private static func readIPv6(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Bool {
        guard available >= 44 else { return false }
        let first = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        let total = 40 &+ Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        let number = packet.load(fromByteOffset: 6, as: UInt8.self)
        guard first >> 28 == 6, total >= 44, total <= available else { return false }
        var ports = packet.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
        if number == IPProtocol.icmpv6 {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return false
        }
        key.pointee = FlowKey(ipv6: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        slot.pointee.nextHeader = IPProtocol.ipv6
        slot.pointee.flags.insert(.dontFragment)
        return true
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

/// What an outbound policy decision depends on: addresses, upper protocol, ports (or ICMP type and code).
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
/// eviction policy beyond "the newer one wins". Entries of an older snapshot are never used, because the generation
/// is part of the entry.
///
/// Memory is mapped lazily: a cache that few flows touch stays small.
struct FlowCache: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: FlowKey
        /// The SA: an `OutboundRuntime` that the policies want, or the `InboundRuntime` from which they accept the flow.
        var association: UnsafeMutableRawPointer?
        /// To the peer (outbound), to the destination (inner).
        var nextHop: UnsafePointer<NextHop>?
        /// The worker's number of the snapshot (`Worker.generation`), 0 for an empty entry.
        var generation: UInt32
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

    /// The entry of a flow under this generation, or nil.
    @inline(__always)
    func find(_ key: UnsafePointer<FlowKey>, hash: UInt64, generation: UInt32) -> UnsafeMutablePointer<Entry>? {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        if first.pointee.generation == generation, key.pointee.isSame(as: FlowCache.key(of: first)) { return first }
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        if second.pointee.generation == generation, key.pointee.isSame(as: FlowCache.key(of: second)) {
            return second
        }
        return nil
    }

    /// Remembers a decision; the flow's first place is kept for it unless a current flow has it and the second is free.
    mutating func insert(_ entry: Entry, hash: UInt64) {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        let place =
            first.pointee.generation == entry.generation && second.pointee.generation != entry.generation
            ? second : first
        place.pointee = entry
    }

    @inline(__always)
    static func key(of entry: UnsafeMutablePointer<Entry>) -> UnsafePointer<FlowKey> {
        UnsafeRawPointer(entry).assumingMemoryBound(to: FlowKey.self)
    }
}

/// Zeroed memory from the kernel, resident only where it was touched.
struct LazyMemory: ~Copyable {
    let base: UnsafeMutableRawPointer
    private let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = byteCount
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            // Only at start-up, never while packets flow.
            fatalError("no memory for a table of \(byteCount) bytes: \(errno)")
        }
        base = memory
    }

    deinit { munmap(base, byteCount) }
}
