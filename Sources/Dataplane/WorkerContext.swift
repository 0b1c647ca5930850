import CLinux
import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// The state of one worker that every step of a packet's way uses: its share of the frames, its ports, the published tables, the
/// clock, and its ways to others. `Worker` owns it and lends it to `Outbound`, `Inbound`, `Routing` and `ICMPReplies`, each of
/// which has the rest of its state for itself.
///
/// One object and not a part for each type: nearly every step may end a packet's way, and that takes a counter and the pool.
struct WorkerContext: ~Copyable {
    // What the worker is. A pointer comes first, see `HandoverEnds`.
    let base: UnsafeMutableRawPointer
    let umem: UMEM
    let configuration: WorkerConfiguration
    let index: Int
    let frameMask: UInt64
    let frameSize: Int
    let counters: CounterBlock
    let drops: DropCounters

    // Where packets come from and go to.
    var ports: Ports
    var pool: FramePool
    var handover: HandoverEnds
    /// The number of free frames below which they are lent with care.
    let lendingReserve: Int
    var events: ControlEvents

    // What the control side published.
    var reader: SnapshotReader
    var tables: UnsafePointer<SnapshotTables>
    var now: UInt64 = 0

    /// Packets that a batch has led to, see `processLater`.
    var derived: SlotBatch

    init(
        configuration: WorkerConfiguration, queues: [WorkerQueue], umem: UMEM, pool: consuming FramePool,
        reader: consuming SnapshotReader, mesh: HandoverMesh, events: consuming ProducerRing<WorkerEvent>,
        statistics: WorkerStatistics
    ) {
        self.configuration = configuration
        index = configuration.index
        self.umem = umem
        base = umem.base
        frameSize = umem.frameSize
        frameMask = ~UInt64(umem.frameSize - 1)
        counters = statistics.counters
        drops = statistics.drops
        ports = Ports(queues, counters: statistics.counters)
        self.pool = pool
        lendingReserve = self.pool.count / 8
        handover = HandoverEnds(mesh: mesh, index: configuration.index)
        self.events = ControlEvents(events, interval: configuration.repetitionInNanoseconds)
        self.reader = reader
        tables = self.reader.acquire()
        // Packets that may lead to others at a time: those of a batch, or all that wait.
        derived = SlotBatch(capacity: max(256, configuration.batchSize, configuration.neighbourQueueCapacity))
    }

    @inline(__always)
    func count(_ counter: WorkerCounter, _ amount: UInt64 = 1) { counters[counter.rawValue].add(amount) }

    // MARK: Frames

    /// Ends a packet's way: counts why, and gives its frame back.
    mutating func drop(_ slot: PacketSlot, _ reason: DropReason) {
        drops.count(reason)
        release(slot)
    }

    /// Gives a packet's frame back without counting a drop.
    @inline(__always)
    mutating func release(_ slot: PacketSlot) { pool.push(address(of: slot.start)) }

    /// The UMEM address of a pointer into the UMEM.
    @inline(__always)
    func address(of pointer: UnsafeMutableRawPointer) -> UInt64 {
        UInt64(UInt(bitPattern: pointer) &- UInt(bitPattern: base))
    }

    /// Bytes that may be touched from `pointer` to the end of its frame.
    @inline(__always)
    func roomBehind(_ pointer: UnsafeMutableRawPointer) -> Int {
        frameSize &- Int(truncatingIfNeeded: address(of: pointer) & ~frameMask)
    }

    /// Bytes that may be touched before `pointer`, to the start of its frame.
    @inline(__always)
    func roomBefore(_ pointer: UnsafeMutableRawPointer) -> Int {
        Int(truncatingIfNeeded: address(of: pointer) & ~frameMask)
    }

    // MARK: Ports

    /// Before a batch of so many packets.
    @inline(__always)
    mutating func makeRoom(for count: Int) { ports.makeRoom(for: count, pool: &pool) }

    /// Writes a finished frame into a queue's transmit ring (`Ports.stage`).
    @inline(__always)
    mutating func stage(_ start: UnsafeMutableRawPointer, length: Int, port: Int) -> Verdict {
        ports.stage(
            XDPDescriptor(address: address(of: start), length: UInt32(truncatingIfNeeded: length)), number: port)
    }

    /// Whether a next hop is on a port that is LAN and nothing else: then no outbound policy can want the packet.
    @inline(__always)
    func leavesByLAN(_ hop: UnsafePointer<NextHop>) -> Bool {
        let port = ports.number(of: hop)
        return port >= 0 && ports.queue(port).pointee.roles == .lan
    }

    /// Whether there is room for the fragments of a packet in the ring of the port that it leaves by.
    ///
    /// `mutating`, like all methods here that are not inlined: for a call of another one the compiler copies the whole.
    mutating func hasRoomForFragments(_ count: Int, of slot: PacketSlot) -> Bool {
        guard let hop = slot.nextHop, hop.pointee.isResolved else { return true }
        return ports.hasRoom(for: count, towards: hop)
    }

    /// The place of one packet that is to be sealed, in the ring of the port that it leaves by. False when there is none. What
    /// waits for a neighbour, or ends there, needs none.
    @inline(never)
    mutating func promiseRoom(
        _ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>
    ) -> Bool {
        guard let hop = slot.pointee.nextHop, hop.pointee.isResolved else { return true }
        let needed = slot.pointee.flags.contains(.outgrowsPath) ? Fragmentation.outerFragments(sa) : 1
        return ports.promise(needed, towards: hop)
    }

    // MARK: Derived packets

    // Packets that the packets of a batch lead to and that the outbound policies are asked about: out of one tunnel and perhaps
    // into another, and ICMP errors about such packets. They go through the stages after the batch, in their order.
    //
    // Each packet leads to one at most, and an ICMP error to none. So room for as many as a batch has is enough if it is there
    // when the batch begins.

    /// Puts a packet aside as it would have come from a LAN: it starts at an Ethernet header.
    @inline(__always)
    mutating func processLater(_ slot: PacketSlot) {
        if derived.isFull { return drop(slot, .roundOverflow) }
        derived.append(slot)
    }

    /// Whether there is room for the packets that a batch of so many leads to.
    @inline(__always)
    func hasRoomForDerived(_ count: Int) -> Bool { derived.count &+ count <= derived.capacity }

    // MARK: Other workers and the host

    /// Gives a packet to another participant of the mesh; its frame is paid back later.
    mutating func handOver(_ slot: PacketSlot, to target: Int, kind: HandoverEntry.Kind) {
        let isPlain = kind == .toHost
        let start = isPlain ? slot.packet : slot.start
        // Outbound and inbound packets start at their Ethernet header, and are parsed again where they arrive.
        let skipped = slot.packet - slot.start
        let length = isPlain ? Int(slot.length) : Int(slot.length) &+ skipped
        var entry = HandoverEntry(
            address: address(of: start), length: UInt32(truncatingIfNeeded: length), port: slot.port, kind: kind)
        entry.flags = UInt8(truncatingIfNeeded: slot.flags.intersection(.ofTheJourney).rawValue)
        if handover.send(entry, to: target, most: lendable) {
            count(kind == .toHost ? .toHost : .handedOver)
        } else {
            drop(slot, .handoverRingFull)
        }
    }

    /// The number of frames that one participant may have and not have paid back. While frames are plenty, any number.
    /// When they run short, no more than are left: whoever cannot keep up, and so pays back late, does not take the
    /// frames that the worker's own packets need, and those for others.
    @inline(__always)
    private var lendable: Int {
        pool.count >= lendingReserve ? .max : max(pool.count, 2 &* configuration.batchSize)
    }
}
