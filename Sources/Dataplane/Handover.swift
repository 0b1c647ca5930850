import Synchronization
import Telemetry
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
    /// The facts about the packet that do not lie in it: raw `PacketSlot.Flags`.
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

    /// The means to wake a participant that sleeps.
    public func wakeUp(of participant: Int) -> WakeUp { sleepers[participant] }
}

/// One worker's ends of all rings of the mesh, and what it owes to whom.
struct HandoverEnds: ~Copyable {
    // A pointer comes first: for ThreadSanitizer the compiler of Swift 6.3 takes the first field for the address of what is
    // changed through a pointer here, and breaks off at a number.
    let inboxes: UnsafeMutablePointer<ConsumerRing<HandoverEntry>>
    let outboxes: UnsafeMutablePointer<ProducerRing<HandoverEntry>>
    /// Frames received from each participant and not yet paid back.
    let owed: UnsafeMutablePointer<Int>
    /// Frames handed over to each participant that it has not paid back yet.
    private let lent: UnsafeMutablePointer<Int>
    /// Whether something was put into an outbox in this round.
    let touched: UnsafeMutablePointer<Bool>
    /// Keeps the rings and the descriptors behind `sleepers` open.
    private let mesh: HandoverMesh
    let participants: Int
    /// The participant that is paid first in the next round.
    private var firstCreditor = 0
    /// The means to wake each participant: references without counting.
    private let sleepers: UnsafeMutablePointer<Unmanaged<WakeUp>>
    /// Wakes this participant.
    let wakeUp: WakeUp

    init(mesh: HandoverMesh, index: Int) {
        self.mesh = mesh
        wakeUp = mesh.wakeUp(of: index)
        participants = mesh.participants
        inboxes = .allocate(capacity: participants)
        outboxes = .allocate(capacity: participants)
        owed = .allocate(capacity: participants)
        lent = .allocate(capacity: participants)
        touched = .allocate(capacity: participants)
        lent.initialize(repeating: 0, count: participants)
        owed.initialize(repeating: 0, count: participants)
        touched.initialize(repeating: false, count: participants)
        sleepers = .allocate(capacity: participants)
        for other in 0..<participants {
            (inboxes + other).initialize(to: mesh.consumer(from: other, to: index))
            (outboxes + other).initialize(to: mesh.producer(from: index, to: other))
            (sleepers + other).initialize(to: .passUnretained(mesh.sleepers[other]))
        }
    }

    deinit {
        inboxes.deinitialize(count: participants)
        outboxes.deinitialize(count: participants)
        inboxes.deallocate()
        outboxes.deallocate()
        owed.deallocate()
        lent.deallocate()
        touched.deallocate()
        sleepers.deallocate()
    }

    var host: Int { participants &- 1 }

    /// Whether something waits in an inbox.
    mutating func hasWork() -> Bool {
        for other in 0..<participants where !inboxes[other].isEmpty() { return true }
        return false
    }

    /// Hands a packet over; false when the ring is full, or when the target has `most` frames already and has not paid them
    /// back. `target` comes from a snapshot, so it is checked.
    mutating func send(_ entry: HandoverEntry, to target: Int, most: Int = .max) -> Bool {
        guard target >= 0, target < participants, lent[target] < most else { return false }
        guard outboxes[target].push(entry) else { return false }
        lent[target] &+= 1
        touched[target] = true
        return true
    }

    /// A frame came back for one that was handed over.
    @inline(__always)
    mutating func wasPaidBack(by other: Int) {
        lent[other] &-= 1
    }

    /// Pays back what is owed, from the pool but never more than half of it to one creditor. Small debts wait for a round
    /// without work; creditors take turns in being the first, so that a small pool serves them all.
    mutating func payBack(from pool: inout FramePool, isIdle: Bool) {
        let least = isIdle ? 1 : HandoverEnds.lump
        var turn = 0
        while turn < participants {
            var other = firstCreditor &+ turn
            if other >= participants { other &-= participants }
            if owed[other] >= least { payBack(other, from: &pool) }
            turn &+= 1
        }
        firstCreditor &+= 1
        if firstCreditor >= participants { firstCreditor = 0 }
    }

    /// A creditor that sleeps is woken: its queues may have run out of frames, and then nothing else would wake it.
    private mutating func payBack(_ other: Int, from pool: inout FramePool) {
        let due = min(owed[other], pool.count / 2)
        var paid = 0
        while paid < due {
            let frame = pool.pop()
            if frame == FramePool.empty { break }
            let entry = HandoverEntry(address: frame, length: 0, port: .max, kind: .freeFrame)
            if !outboxes[other].push(entry) {
                pool.push(frame)
                break
            }
            paid &+= 1
        }
        if paid == 0 { return }
        owed[other] &-= paid
        touched[other] = true
    }

    /// While there is other work, debts smaller than this wait.
    static var lump: Int { 16 }

    /// Wakes those who got something and sleep. Once per round.
    mutating func wakeTouched() {
        var other = 0
        while other < participants {
            if touched[other] {
                touched[other] = false
                sleepers[other]._withUnsafeGuaranteedRef { $0.signal() }
            }
            other &+= 1
        }
    }
}
