import CLinux
import IPsec
import Packets
import Platform
import Policy
import Telemetry
import XDP

/// One core's share of the gateway: it takes packets from its queues in batches, brings each batch through the stages of its
/// direction, and sends it. Nothing that it changes is seen by another thread, except rings and counters.
///
///     LAN   receive → parse → policy, SA → protect (ESPOutbound, cipher) → next hop → transmit   WAN     Outbound.swift
///     WAN   receive → parse → SPI → open (ESPInbound, cipher) → inner packet → forward → transmit   LAN  Inbound.swift
///
/// Up to the cipher every stage walks its packets, a batch or a run of one, before the next stage starts; behind the cipher, each
/// packet goes all the rest of its way before the next one does.
///
/// Where to read on:
/// - `Ports`: queues, receiving and sending, and what is dropped before it is encrypted as there is no room to send it.
/// - `Flows`: how packets of a flow that was decided about are recognised.
/// - `Outbound`, `Inbound`: the two directions, each from its first to its last step.
/// - `Routing`: out of a tunnel to a LAN, this host or another tunnel; unprotected; too big.
/// - `ICMPReplies`: errors to the senders of packets that cannot go on.
/// - `Waiting`: packets whose neighbour is not resolved, or that came before their SA.
/// - `Handover`: packets whose SA another worker owns, and those from and to this host.
/// - `Events`: what the control thread is told.
///
/// `poll` does one round. It neither allocates nor locks, and makes a system call per batch and port at most.
public struct Worker: ~Copyable {
    // What it is. A pointer comes first, see `HandoverEnds`.
    let base: UnsafeMutableRawPointer
    let umem: UMEM
    let configuration: WorkerConfiguration
    let index: Int
    let frameMask: UInt64
    let frameSize: Int
    let statistics: WorkerStatistics
    let counters: CounterBlock
    let drops: DropCounters

    // Where packets come from and go to.
    var ports: Ports
    /// For `poll`: the sockets, then the event descriptor that others wake this worker with.
    let descriptors: PollSet
    var pool: FramePool
    var handover: HandoverEnds
    /// The number of free frames below which they are lent with care.
    let lendingReserve: Int
    var events: ControlEvents

    // What the control side published.
    var reader: SnapshotReader
    var tables: UnsafePointer<SnapshotTables>
    /// The generation of `tables`; the largest number stands for none seen yet.
    var snapshotGeneration = UInt64.max
    /// The number of snapshots that the worker has seen, from 1 on again behind the largest number: what entries of
    /// flows carry.
    var generation: UInt32 = 0
    var now: UInt64 = 0

    // What the worker remembers.
    var flows: FlowCache
    var innerFlows: FlowCache
    /// The entry that the last decrypted packet matched.
    var lastInner: UnsafeMutablePointer<FlowCache.Entry>?
    var waiting: NeighbourQueue
    /// Packets that came before their SA, by SPI in network order.
    var early: WaitingPackets<UInt32>
    var icmpLimiter: RateLimiter
    /// The identification of the last packet that was sent in fragments.
    var nextFragmentIdentification = UInt32.random(in: 0 ... .max)

    // Room for one batch in each direction, for the packets that a batch leads to and a batch of those, and for the fragments
    // of one packet.
    var outbound: SlotBatch
    var inbound: SlotBatch
    var derived: SlotBatch
    let derivedBatch: SlotBatch
    var pieces: SlotBatch
    var scratch: BatchScratch

    /// A worker over its queues. Traps on a configuration that no gateway can have; nothing here runs per packet.
    ///
    /// - `queues`: what it receives from and sends to; queues of one port may be several.
    /// - `pool`: its share of the frames.
    /// - `events`: what it tells the control thread; when the ring is full, events are lost and asked for again.
    public init(
        configuration: WorkerConfiguration, queues: [WorkerQueue], umem: UMEM, pool: consuming FramePool,
        reader: consuming SnapshotReader, mesh: HandoverMesh, events: consuming ProducerRing<WorkerEvent>,
        statistics: WorkerStatistics
    ) {
        precondition((1...256).contains(configuration.batchSize), "a batch holds 1 to 256 packets")
        self.configuration = configuration
        index = configuration.index
        self.umem = umem
        base = umem.base
        frameSize = umem.frameSize
        frameMask = ~UInt64(umem.frameSize - 1)
        self.statistics = statistics
        counters = statistics.counters
        drops = statistics.drops

        ports = Ports(queues, counters: statistics.counters)
        self.pool = pool
        lendingReserve = self.pool.count / 8
        handover = HandoverEnds(mesh: mesh, index: configuration.index)
        self.events = ControlEvents(events, interval: configuration.repetitionInNanoseconds)
        var sources: [Int32] = []
        for number in 0..<ports.count { sources.append(ports.queue(number).pointee.rings.fileDescriptor) }
        descriptors = PollSet(sources + [handover.wakeUp.fileDescriptor])
        self.reader = reader
        tables = self.reader.acquire()
        flows = FlowCache(capacity: configuration.flowCacheCapacity)
        innerFlows = FlowCache(capacity: configuration.flowCacheCapacity)
        waiting = NeighbourQueue(capacity: configuration.neighbourQueueCapacity)
        early = WaitingPackets(capacity: configuration.earlyPacketCapacity)
        icmpLimiter = RateLimiter(
            perSecond: configuration.icmpErrorsPerSecond, burst: configuration.icmpErrorsPerSecond)
        outbound = SlotBatch(capacity: configuration.batchSize)
        inbound = SlotBatch(capacity: configuration.batchSize)
        derived = SlotBatch(capacity: Worker.derivedCapacity(configuration))
        derivedBatch = SlotBatch(capacity: configuration.batchSize)
        pieces = SlotBatch(capacity: configuration.batchSize)
        scratch = BatchScratch(capacity: configuration.batchSize)
    }

    /// Packets that may lead to others at a time: those of a batch, or all that wait.
    private static func derivedCapacity(_ configuration: WorkerConfiguration) -> Int {
        max(256, configuration.batchSize, configuration.neighbourQueueCapacity)
    }

    /// One round: everything that waits in the queues, a batch from each. Returns how many packets it moved;
    /// 0 means that the worker may sleep. `now` is the dataplane's clock in nanoseconds.
    public mutating func poll(now: UInt64) -> Int {
        let started = sluice_cycles()
        self.now = now
        tables = reader.acquire()
        noticeSnapshot()

        var work = 0
        var port = 0
        while port < ports.count {
            // Frames must go in faster than packets come out, or a burst would leave a debt.
            ports.reclaimAndRefill(port, pool: &pool, upTo: 2 &* configuration.batchSize)
            work &+= receive(port)
            processOutbound()
            processInbound()
            port &+= 1
        }
        work &+= receiveHandedOver()
        processOutbound()
        processInbound()
        if derived.count != 0 { processDerived() }
        if waiting.count != 0 { expireWaiting() }
        if derived.count != 0 { processDerived() }
        if early.count != 0 { expireEarly() }
        ports.transmitStaged()
        handover.payBack(from: &pool, isIdle: work == 0)
        handover.wakeTouched()
        reader.quiescent()
        account(work: work, started: started)
        return work
    }

    @inline(__always)
    private func account(work: Int, started: UInt64) {
        count(.rounds)
        if work == 0 { return }
        count(.busyRounds)
        count(.busyCycles, sluice_cycles() &- started)
        counters[WorkerCounter.freeFrames.rawValue].set(UInt64(truncatingIfNeeded: pool.count))
        counters[WorkerCounter.waiting.rawValue].set(UInt64(truncatingIfNeeded: waiting.count &+ early.count))
    }

    @inline(__always)
    func count(_ counter: WorkerCounter, _ amount: UInt64 = 1) { counters[counter.rawValue].add(amount) }

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

    /// The destination of a packet whose IP header was checked.
    @inline(__always)
    static func destination(of packet: UnsafeRawPointer) -> IPAddress {
        AddressFamily(ofPacketAt: packet) == .ipv4
            ? IPAddress(loading: packet + 16, family: .ipv4) : IPAddress(loading: packet + 24, family: .ipv6)
    }

    /// The source of a packet whose IP header was checked.
    static func source(of packet: UnsafeRawPointer) -> IPAddress {
        AddressFamily(ofPacketAt: packet) == .ipv4
            ? IPAddress(loading: packet + 12, family: .ipv4) : IPAddress(loading: packet + 8, family: .ipv6)
    }

    /// Frames in the pool, in fill rings (given to the kernel and not used yet), waiting for neighbours and for SAs.
    package var heldFrames: Int {
        var count = pool.count + waiting.count + early.count
        for port in 0..<ports.count { count += ports.queue(port).pointee.rings.fill.pending }
        return count
    }
}
