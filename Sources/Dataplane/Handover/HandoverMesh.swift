import Synchronization
import XDP

/// A frame that changes its owner: to another worker, to the host, or back.
@frozen
public struct HandoverEntry: BitwiseCopyable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// A packet from a LAN port, to be protected by the worker that owns the SA.
        case outbound
        /// A packet from a WAN port, to be opened by the worker that owns the SA.
        case inbound
        /// An IP packet that the host itself sends into a tunnel.
        case fromHost
        /// A decrypted IP packet for the host itself.
        case toHost
        /// A free frame, paid back for one that was handed over.
        case freeFrame
    }

    /// UMEM address of the first byte: the Ethernet header, or any byte of a free frame.
    public var address: UInt64
    /// Bytes from `address` on.
    public var length: UInt32
    /// The port of arrival, `UInt16.max` for none.
    public var port: UInt16
    public var kind: Kind
    /// What is known of the packet and does not lie in it: raw `PacketSlot.Flags`.
    var flags: UInt8 = 0

    public init(address: UInt64, length: UInt32, port: UInt16, kind: Kind) {
        self.address = address
        self.length = length
        self.port = port
        self.kind = kind
    }
}

/// The rings over which workers, and the host's slow path as the last participant, hand frames to each other.
///
/// One single-producer single-consumer ring for each ordered pair, so nobody locks. All frames lie in one UMEM:
/// nothing is copied but the entry. Whoever receives a frame pays back a free one, so no pool runs dry.
public final class HandoverMesh: Sendable {
    /// Workers 0 ..< workers, then the host.
    public let participants: Int
    /// The participant number of the host's slow path.
    public var host: Int { participants - 1 }
    private let rings: [SPSCRing<HandoverEntry>]
    let sleepers: [WakeUp]

    /// `capacity` entries per ring, rounded up to a power of two.
    public init(workers: Int, capacity: Int = 2048) {
        precondition(workers > 0, "a gateway has at least one worker")
        participants = workers + 1
        rings = (0..<participants * participants).map { _ in SPSCRing(capacity: capacity) }
        sleepers = (0..<participants).map { _ in WakeUp() }
    }

    /// The writing end from one participant to another. To be taken once.
    public func producer(from source: Int, to target: Int) -> ProducerRing<HandoverEntry> {
        rings[source * participants + target].producer()
    }

    /// The reading end. To be taken once.
    public func consumer(from source: Int, to target: Int) -> ConsumerRing<HandoverEntry> {
        rings[source * participants + target].consumer()
    }

    /// How to wake a participant that sleeps.
    public func wakeUp(of participant: Int) -> WakeUp { sleepers[participant] }
}
