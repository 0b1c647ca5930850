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
    /// The context of the SA's `ESPCipher`.
    @usableFromInline let context: UnsafeMutableRawPointer
    @usableFromInline var stops: LifetimeStops
    /// The outer destination, ours (RFC 4301 section 4.1), halves as in `IPAddress`. Changes when the SA moves.
    @usableFromInline let destinationHigh: Atomic<UInt64>
    @usableFromInline let destinationLow: Atomic<UInt64>
    /// The SPI in host order.
    public let spi: UInt32
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
    /// Where those are to come from (`SourceMark`); 0: anywhere. Changes when the SA moves.
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
