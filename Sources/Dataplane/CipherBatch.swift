import Cryptography
import IPsec

/// A run of packets on its way through the cipher, with all that is needed to go on behind it: slots, operations, outer headers.
///
///     free ── begin, add ──► prepared ── run ──► done ── end ──► free
///                                         │        ▲
///                                         └► running ── collect
///
/// An engine that does all at once leaves nothing `running`, and the slots stay where they lie. A batch that an engine keeps takes
/// its slots along, and the place where they lay is free for the next packets. Sequence numbers are taken when a batch is prepared,
/// by the worker that owns the SAs, so the order of packets is that of their batches.
struct CipherBatch: ~Copyable {
    enum State: UInt8, BitwiseCopyable { case free, prepared, running, done }

    // A pointer comes first, see `HandoverEnds`.
    /// The cipher's view of each packet; on cache lines, as the cipher walks them.
    let operations: UnsafeMutablePointer<ESPOperation>
    /// The packet of each with its outer headers (outbound).
    let outers: UnsafeMutablePointer<OuterPacket>
    /// The packets: where the caller has them, or, once the engine keeps the batch, in the batch itself.
    private(set) var slots: UnsafeMutablePointer<PacketSlot>
    private(set) var count = 0
    private(set) var state = State.free
    private(set) var kind = SAKind.espTunnel
    /// The SAs of the packets, a bit for each that stands for others too.
    private(set) var members: UInt64 = 0
    private var ownSlots: SlotBatch

    init(capacity: Int) {
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: capacity * MemoryLayout<ESPOperation>.stride, alignment: 64)
        operations = raw.bindMemory(to: ESPOperation.self, capacity: capacity)
        outers = .allocate(capacity: capacity)
        ownSlots = SlotBatch(capacity: capacity)
        slots = ownSlots.slots
    }

    deinit {
        operations.deallocate()
        outers.deallocate()
    }

    /// The packets are prepared: `count` slots, with as many operations.
    @inline(__always)
    mutating func prepared(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int, kind: SAKind) {
        self.slots = slots
        self.count = count
        self.kind = kind
        state = .prepared
    }

    /// Gives a prepared batch to the engines. False when one of them keeps packets of it.
    @inline(__always)
    mutating func run() -> Bool {
        state = CipherBatch.run(operations, count: count) == 0 ? .done : .running
        return state == .done
    }

    /// The cipher, in either direction: the one place that calls it.
    @inline(never)
    private static func run(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) -> Int {
        ESPBatch.run(operations, count: count)
    }

    /// Takes the slots along, as the batch will not be finished at once.
    mutating func depart() {
        ownSlots.slots.update(from: slots, count: count)
        slots = ownSlots.slots
    }

    /// Asks the engines whether they are done.
    @inline(never)
    mutating func collect() {
        if state == .running, ESPBatch.collect(operations, count: count) == 0 { state = .done }
    }

    /// All packets of the batch have gone on.
    @inline(__always)
    mutating func end() { state = .free }

    /// Finds out which SAs the packets have, for `sharesSA`.
    mutating func findMembers() {
        members = 0
        var index = 0
        while index < count {
            let hash = UInt64(UInt(bitPattern: slots[index].association)) &* 0x9E37_79B9_7F4A_7C15
            members |= 1 &<< (hash &>> 58)
            index &+= 1
        }
    }

    /// Whether packets of both batches are of one SA.
    func sharesSA(with other: UnsafePointer<CipherBatch>) -> Bool {
        if members & other.pointee.members == 0 { return false }
        var index = 0
        while index < count {
            var place = 0
            while place < other.pointee.count {
                if slots[index].association == other.pointee.slots[place].association { return true }
                place &+= 1
            }
            index &+= 1
        }
        return false
    }
}

/// The batches of one direction, allocated once: those that engines keep, in the order in which they were prepared, and free ones.
///
/// Batches go on in their order where they share an SA, and past each other where they do not: a slow engine holds up its own SAs.
struct CipherBatches: ~Copyable {
    // A pointer comes first, see `HandoverEnds`.
    private let batches: UnsafeMutablePointer<CipherBatch>
    /// Numbers of batches: those in flight from the oldest to the newest, then the free ones.
    private let order: UnsafeMutablePointer<Int>
    private let capacity: Int
    /// Batches that engines keep, or that wait behind one.
    private(set) var inFlight = 0
    /// Their packets.
    private(set) var packets = 0

    /// Batches in a direction. While more than half of them are in flight, nothing is received.
    static var capacity: Int { 8 }

    init(_ configuration: WorkerConfiguration) {
        capacity = CipherBatches.capacity
        batches = .allocate(capacity: capacity)
        order = .allocate(capacity: capacity)
        for number in 0..<capacity {
            (batches + number).initialize(to: CipherBatch(capacity: configuration.batchSize))
            (order + number).initialize(to: number)
        }
    }

    deinit {
        batches.deinitialize(count: capacity)
        batches.deallocate()
        order.deallocate()
    }

    /// Whether packets have to wait outside: what is left is for packets that are here already.
    var isBusy: Bool { inFlight > capacity / 2 }

    /// The batch for the next run; nil when all are in flight.
    @inline(__always)
    var next: UnsafeMutablePointer<CipherBatch>? {
        inFlight < capacity ? batches + order[inFlight] : nil
    }

    /// Runs `next`, which is prepared. True when it is done and may go on at once; otherwise it is in flight, and is heard of by
    /// `nextDone`.
    @inline(__always)
    mutating func run(_ batch: UnsafeMutablePointer<CipherBatch>) -> Bool {
        let isDone = batch.pointee.run()
        if isDone, inFlight == 0 { return true }
        return depart(batch, isDone: isDone)
    }

    @inline(never)
    private mutating func depart(_ batch: UnsafeMutablePointer<CipherBatch>, isDone: Bool) -> Bool {
        batch.pointee.findMembers()
        if isDone, !isHeldUp(batch, before: inFlight) { return true }
        batch.pointee.depart()
        inFlight &+= 1
        packets &+= batch.pointee.count
        return false
    }

    /// Whether a batch has to wait for one of the first batches in flight.
    private mutating func isHeldUp(_ batch: UnsafeMutablePointer<CipherBatch>, before position: Int) -> Bool {
        var index = 0
        while index < position {
            if batch.pointee.sharesSA(with: batches + order[index]) { return true }
            index &+= 1
        }
        return false
    }

    /// Takes the oldest batch out that is done and may go on: it is the caller's until its `end`, before which no other is
    /// prepared. nil when there is none.
    @inline(never)
    mutating func nextDone() -> UnsafeMutablePointer<CipherBatch>? {
        var position = 0
        while position < inFlight {
            let batch = batches + order[position]
            batch.pointee.collect()
            if batch.pointee.state == .done, !isHeldUp(batch, before: position) {
                remove(at: position)
                return batch
            }
            position &+= 1
        }
        return nil
    }

    /// The batch becomes the last one: with all others free, it is prepared again last.
    private mutating func remove(at position: Int) {
        let number = order[position]
        inFlight &-= 1
        packets &-= batches[number].count
        var index = position
        while index &+ 1 < capacity {
            order[index] = order[index &+ 1]
            index &+= 1
        }
        order[index] = number
    }
}

/// Packets at the front of others whose SAs are of one kind. The SA of each is known.
struct SARun {
    let kind: SAKind
    let count: Int

    @inline(__always)
    init(inbound slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        self.init(slots, count: count) { $0.assumingMemoryBound(to: InboundRuntime.self).pointee.kind }
    }

    @inline(__always)
    init(outbound slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        self.init(slots, count: count) { $0.assumingMemoryBound(to: OutboundRuntime.self).pointee.kind }
    }

    @inline(__always)
    private init(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ kindOf: (UnsafeMutableRawPointer) -> SAKind
    ) {
        var kind = SAKind.espTunnel
        var same = 0
        while same < count {
            // The look-up keeps no packet without one.
            let next = kindOf(slots[same].association.unsafelyUnwrapped)
            if same == 0 { kind = next } else if next != kind { break }
            same &+= 1
        }
        self.kind = kind
        self.count = same
    }
}
