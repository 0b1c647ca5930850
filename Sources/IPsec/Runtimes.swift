import Glibc
import Packets
import Synchronization
import Telemetry

/// The runtime record of an inbound SA: what a worker reads and writes per packet, and nothing else.
///
/// It lives at 64-byte aligned memory that an `InboundSA` owns, followed by the bits of the replay window.
/// Each group of fields is one cache line. Other workers read line 0 only, to find out who owns the SA.
@frozen
public struct InboundRuntime: ~Copyable {
    // Line 0, read-mostly.
    public let kind: SAKind
    /// The context of the SA's `ESPCipher`.
    @usableFromInline let context: UnsafeMutableRawPointer
    @usableFromInline var stops: LifetimeStops
    /// The outer destination, ours (RFC 4301 section 4.1), halves as in `IPAddress`. Changes when the SA moves.
    @usableFromInline let destinationHigh: Atomic<UInt64>
    @usableFromInline let destinationLow: Atomic<UInt64>
    public let spi: SPI
    /// The index of the worker that processes the SA.
    public let owner: UInt16
    /// ESP header and IV: 8, 16 or 24.
    @usableFromInline let espHeaderLength: UInt8
    /// ESP header, IV and ICV.
    @usableFromInline let overhead: UInt8
    /// Padding alignment minus one: 3 or 15.
    @usableFromInline let alignmentMask: UInt8
    @usableFromInline let flags: Flags
    @usableFromInline let destinationFamily: Atomic<UInt8>
    @usableFromInline let selectorTag: SelectorTag

    // Line 1, written by the owner for each packet.
    @usableFromInline var window: ReplayWindow
    @usableFromInline let packets: Atomic<UInt64>
    /// Bytes of inner packets.
    @usableFromInline let bytes: Atomic<UInt64>
    /// Nanoseconds of the dataplane's clock; 0 before the first packet.
    @usableFromInline let lastUsed: Atomic<UInt64>
    @usableFromInline let drops: DropCounters

    // Line 2.
    @usableFromInline let selector: SelectorMasks

    // Line 3, cold.
    let limits: LifetimeLimits

    // Line 4, cold but for packets in UDP.
    /// The source that packets in UDP are to have (`SourceMark`); 0: any. Changes when the SA moves.
    @usableFromInline let sourceMark: Atomic<UInt64>
    let selectors: UnsafePointer<TrafficSelector>
    let selectorCount: Int
    let firstUsed: Atomic<UInt64>
    /// Packets with a combination of ECN fields that no sender makes (RFC 6040 section 4.2), dropped or not.
    @usableFromInline let ecnAnomalies: Atomic<UInt64>
    let events: Atomic<UInt32>

    @frozen
    @usableFromInline
    struct Flags: OptionSet, BitwiseCopyable {
        @usableFromInline let rawValue: UInt8

        @inlinable
        init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Packets in UDP are taken.
        @inlinable static var udp: Flags { Flags(rawValue: 1) }
        @inlinable static var extendedSequence: Flags { Flags(rawValue: 2) }
        @inlinable static var ecn: Flags { Flags(rawValue: 4) }
        /// Packets without UDP are taken.
        @inlinable static var bare: Flags { Flags(rawValue: 8) }
    }
}

/// The runtime record of an outbound SA: what a worker reads and writes per packet, and nothing else.
///
/// It lives at 64-byte aligned memory that an `OutboundSA` owns. Each group of fields is one cache line:
/// read-mostly, written by the owning worker, outer header template, and what is read only when a limit is reached.
/// What other threads read while the owner writes is atomic, with relaxed loads and stores.
@frozen
public struct OutboundRuntime: ~Copyable {
    // Line 0, read-mostly.
    public let kind: SAKind
    /// The context of the SA's `ESPCipher`.
    @usableFromInline let context: UnsafeMutableRawPointer
    /// The explicit IV of counter modes is `ivBase &+ sequence << ivShift`.
    @usableFromInline let ivBase: UInt64
    @usableFromInline var stops: LifetimeStops
    @usableFromInline let spi: SPI
    /// Outer IP header and UDP header: 20, 28, 40 or 48.
    @usableFromInline var headerLength: UInt8
    /// ESP header and IV: 8, 16 or 24.
    @usableFromInline let espHeaderLength: UInt8
    @usableFromInline let icvLength: UInt8
    /// Padding alignment minus one: 3 or 15 (RFC 4303 section 2.4).
    @usableFromInline let alignmentMask: UInt8
    @usableFromInline var flags: Flags
    /// The bits of the inner DS and ECN field that go into the outer header.
    @usableFromInline let trafficClassMask: UInt8
    /// The index of the worker that processes the SA.
    public let owner: UInt16
    @usableFromInline let mtuStorage: Atomic<UInt16>
    @usableFromInline let pathMTUStorage: Atomic<UInt16>
    /// The outer DF bit (0x4000) is (inner DF & copy) | set.
    @usableFromInline let dontFragmentCopy: UInt16
    @usableFromInline let dontFragmentSet: UInt16
    @usableFromInline let ivShift: UInt8
    let reserved0: (UInt8, UInt16) = (0, 0)

    // Line 1, written by the owner for each packet.
    /// The last sequence number that was used.
    @usableFromInline let sequence: Atomic<UInt64>
    /// Bytes of inner packets.
    @usableFromInline let bytes: Atomic<UInt64>
    /// Nanoseconds of the dataplane's clock; 0 before the first packet.
    @usableFromInline let lastUsed: Atomic<UInt64>
    @usableFromInline let firstUsed: Atomic<UInt64>
    @usableFromInline let events: Atomic<UInt32>
    let reserved1: UInt32 = 0
    @usableFromInline let drops: DropCounters
    @usableFromInline let initialSequence: UInt64

    // Line 2.
    @usableFromInline var template: OuterHeaderTemplate

    // Line 3, cold.
    let limits: LifetimeLimits

    // Line 4, cold: read when a flow is looked up.
    /// The newest outer headers, which the owner may not have taken over yet.
    @usableFromInline let pendingForm: PendingForm
    /// The version of the headers that the owner has taken over.
    @usableFromInline var takenForm: UInt64 = 0

    /// The bytes that a caller of `ESPOutbound.prepare` has to leave free before the inner packet.
    @inlinable
    public static var maximumHeadroom: Int { 128 }

    /// The bytes that a caller of `ESPOutbound.prepare` has to leave free behind the inner packet: the 16 bytes of a
    /// wide store of padding and the trailer, then the longest ICV.
    @inlinable
    public static var maximumTailroom: Int { 80 }

    /// The largest inner packet in bytes that fits the path.
    @inlinable
    public var mtu: UInt16 { mtuStorage.load(ordering: .relaxed) }

    /// The largest outer packet in bytes.
    @inlinable
    public var pathMTU: UInt16 { pathMTUStorage.load(ordering: .relaxed) }

    /// Whether the SA has refused a packet because of a hard limit or of its last sequence number: it sends nothing any more.
    @inlinable
    public var isSpent: Bool { events.load(ordering: .relaxed) & OutboundRuntime.endingEvents != 0 }

    /// The raw value of `SAEvents.hard`, without the global variable that an array literal is.
    @inlinable
    static var endingEvents: UInt32 { 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 }

    /// The last sequence number that may be used (RFC 4303 section 3.3.3).
    var maximumSequence: UInt64 { flags.contains(.extendedSequence) ? UInt64.max : UInt64(UInt32.max) }

    @frozen
    @usableFromInline
    struct Flags: OptionSet, BitwiseCopyable {
        @usableFromInline let rawValue: UInt8

        @inlinable
        init(rawValue: UInt8) { self.rawValue = rawValue }

        @inlinable static var outerIPv6: Flags { Flags(rawValue: 1) }
        @inlinable static var udp: Flags { Flags(rawValue: 2) }
        @inlinable static var extendedSequence: Flags { Flags(rawValue: 4) }
        /// Both of the first. (An array literal would allocate where the compiler does not see through it.)
        @inlinable static var udpOverIPv6: Flags { Flags(rawValue: 3) }
    }
}

/// Memory of runtime records: on cache lines of its own, and zeroed before it is given back.
enum RuntimeMemory {
    static let alignment = 64

    /// Zeroed memory, a multiple of 64 bytes.
    static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let size = rounded(byteCount)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        return memory
    }

    /// Zeroes even though nobody reads it any more: a stale pointer finds nothing.
    static func deallocate(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        explicit_bzero(memory, rounded(byteCount))
        memory.deallocate()
    }

    static func rounded(_ byteCount: Int) -> Int { (byteCount + alignment - 1) / alignment * alignment }
}
