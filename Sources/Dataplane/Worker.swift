import CLinux
import Glibc
import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// One core's share of the gateway: it takes packets from its queues in batches, walks each batch through the stages,
/// and sends it. Nothing that it changes is seen by another thread, except rings and counters.
///
/// The way of a packet, a folder per stage; every stage walks the whole batch before the next one starts:
///
///     LAN   1 receive → 2 parse → 3 look up policy, SA → 4 protect (ESPOutbound, cipher) → 5 next hop → 6 transmit   WAN
///     WAN   1 receive → 2 parse → 3 look up SPI        → 4 open (ESPInbound, cipher)     → 5 forward  → 6 transmit   LAN
///
/// Beside it: a packet whose SA another worker owns goes to that worker (`Handover`); one whose neighbour is not resolved
/// waits (`NeighbourQueue`), and so does one that came before its SA (`EarlyPackets`); one that is too big is answered
/// with an ICMP error or fragmented before encryption; one out of a tunnel that may go into another one is looked at again
/// after its batch (`DerivedPackets`); one that the port has no room for is dropped before it is encrypted (`TransmitRoom`).
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
    let ports: UnsafeMutablePointer<WorkerPort>
    let portCount: Int
    /// Which of `ports` sends for a port index of the snapshot; -1 for none.
    let portOfIndex: UnsafeMutablePointer<Int32>
    let portIndexLimit: Int
    /// For `poll`: the sockets, then the event descriptor that others wake this worker with.
    let descriptors: UnsafeMutablePointer<pollfd>
    var pool: FramePool
    var handover: HandoverEnds
    /// With fewer free frames than this, they are lent with care.
    let lendingReserve: Int
    var events: ProducerRing<WorkerEvent>

    // What the control side published.
    var reader: SnapshotReader
    var tables: UnsafePointer<SnapshotTables>
    /// Of `tables`; the largest number stands for none seen yet.
    var snapshotGeneration = UInt64.max
    /// How many snapshots the worker has seen, from 1 on again behind the largest number: what entries of flows carry.
    var generation: UInt32 = 0
    var now: UInt64 = 0

    // What the worker remembers.
    var flows: FlowCache
    var innerFlows: FlowCache
    /// The entry that the last decrypted packet matched.
    var lastInner: UnsafeMutablePointer<FlowCache.Entry>?
    var waiting: NeighbourQueue
    var early: EarlyPackets
    var icmpLimiter: RateLimiter
    /// Of the last packet that was sent in fragments.
    var nextFragmentIdentification = UInt32.random(in: 0 ... .max)
    var eventLimiter: EventLimiter
    var neighbourLimiter: NeighbourLimiter

    // Room for one batch in each direction, for the packets that a batch leads to and a batch of those, and for the fragments
    // of one packet.
    var outbound: SlotBatch
    var inbound: SlotBatch
    var derived: SlotBatch
    let derivedBatch: SlotBatch
    var pieces: SlotBatch
    var scratch: BatchScratch

    deinit {
        ports.deinitialize(count: portCount)
        ports.deallocate()
        portOfIndex.deallocate()
        descriptors.deallocate()
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
        while port < portCount {
            reclaimAndRefill(port)
            work &+= receive(port)
            processOutbound()
            processInbound()
            port &+= 1
        }
        work &+= receiveHandedOver()
        processOutbound()
        processInbound()
        if derived.count != 0 { processDerived() }
        retryWaiting()
        if derived.count != 0 { processDerived() }
        expireEarly()
        transmitStaged()
        handover.payBack(from: &pool, isIdle: work == 0)
        handover.wakeTouched()
        reader.quiescent()
        account(work: work, started: started)
        return work
    }

    @inline(__always)
    func account(work: Int, started: UInt64) {
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
}
