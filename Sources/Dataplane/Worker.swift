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
/// The types that it ties together, each with its own state:
/// - `Ports`: queues, receiving and sending, and what is dropped before it is encrypted as there is no room to send it.
/// - `FlowCache`: how packets of a flow that was decided about are recognised.
/// - `Outbound`, `Inbound`: the two directions, each from its first to its last step.
/// - `Routing`: out of a tunnel to a LAN, this host or another tunnel; unprotected; to the next hop, once its neighbour is known.
/// - `ICMPReplies`: errors to the senders of packets that cannot go on.
/// - `Fragmentation`: packets that are too big.
/// - `WaitingPackets`: packets whose neighbour is not resolved, or that came before their SA.
/// - `HandoverEnds`: packets whose SA another worker owns, and those from and to this host.
/// - `ControlEvents`: what the control thread is told.
/// - `WorkerContext`: what all of them use. No one of them reaches into another one's state.
///
/// `poll` does one round. It neither allocates nor locks, and makes a system call per batch and port at most.
public struct Worker: ~Copyable {
    // A pointer comes first, see `HandoverEnds`.
    /// For `poll`: the sockets, then the event descriptor that others wake this worker with.
    let descriptors: PollSet
    var context: WorkerContext
    private var routing: Routing
    var outbound: Outbound
    var inbound: Inbound
    /// The generation of the tables; the largest number stands for none seen yet.
    private var snapshotGeneration = UInt64.max
    /// The lineage of the versions that entries of flows carry; 0: none yet.
    var flowLineage: UInt64 = 0
    private let statistics: WorkerStatistics

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
        self.statistics = statistics
        context = WorkerContext(
            configuration: configuration, queues: queues, umem: umem, pool: pool, reader: reader, mesh: mesh,
            events: events, statistics: statistics)
        routing = Routing(configuration)
        outbound = Outbound(configuration)
        inbound = Inbound(configuration)
        var sources: [Int32] = []
        for number in 0..<context.ports.count {
            sources.append(context.ports.queue(number).pointee.rings.fileDescriptor)
        }
        descriptors = PollSet(sources + [context.handover.wakeUp.fileDescriptor])
    }

    // MARK: A round

    /// One round: everything that waits in the queues, a batch from each. Returns how many packets it moved;
    /// 0 means that the worker may sleep. `now` is the dataplane's clock in nanoseconds.
    public mutating func poll(now: UInt64) -> Int {
        let started = sluice_cycles()
        context.now = now
        var work = 0
        if isInFlight { work &+= goOn() }
        // Packets in flight hold pointers out of the tables that they were looked up in: those stay until all are through.
        if !isInFlight {
            // What was published up to here does not have to wait for the packets of this round.
            context.reader.quiescent()
            context.tables = context.reader.acquire()
            noticeSnapshot()
        }

        var port = 0
        while port < context.ports.count {
            // Frames must go in faster than packets come out, or a burst would leave a debt.
            context.ports.reclaimAndRefill(
                port, pool: &context.pool, upTo: 2 &* context.configuration.batchSize)
            work &+= receive(port)
            processOutbound()
            processInbound()
            port &+= 1
        }
        work &+= receiveHandedOver()
        processOutbound()
        processInbound()
        if context.derived.count != 0 { processDerived() }
        if routing.waitingCount != 0 { routing.expireWaiting(&context) }
        if context.derived.count != 0 { processDerived() }
        if inbound.earlyCount != 0 { inbound.expireEarly(&context) }
        context.ports.transmitStaged()
        context.handover.payBack(from: &context.pool, isIdle: work == 0)
        context.handover.wakeTouched()
        account(work: work, started: started)
        if isInFlight { return max(work, 1) }
        context.reader.quiescent()
        return work
    }

    @inline(__always)
    private func account(work: Int, started: UInt64) {
        context.count(.rounds)
        if work == 0 { return }
        context.count(.busyRounds)
        context.count(.busyCycles, sluice_cycles() &- started)
        let free = UInt64(truncatingIfNeeded: context.pool.count)
        context.counters[WorkerCounter.freeFrames.rawValue].set(free)
        let waiting = UInt64(truncatingIfNeeded: routing.waitingCount &+ inbound.earlyCount)
        context.counters[WorkerCounter.waiting.rawValue].set(waiting)
    }

    /// Frames in the pool, in fill rings (given to the kernel and not used yet), waiting for neighbours and for SAs, and kept by
    /// engines.
    package var heldFrames: Int {
        var count = context.pool.count + routing.waitingCount + inbound.earlyCount
        count += outbound.packetsInFlight + inbound.packetsInFlight
        for port in 0..<context.ports.count { count += context.ports.queue(port).pointee.rings.fill.pending }
        return count
    }

    // MARK: Packets that an engine keeps

    /// Whether an engine has packets that it was given in an earlier round.
    @inline(__always)
    var isInFlight: Bool { outbound.batchesInFlight | inbound.batchesInFlight != 0 }

    /// Sends packets on their way that engines are done with; returns how many.
    @inline(never)
    mutating func goOn() -> Int {
        let most = context.configuration.batchSize
        var packets = 0
        while true {
            // Room first: it may take a batch of its own.
            makeRoomForDerived(most)
            context.makeRoom(for: most)
            if let batch = outbound.nextDone() {
                packets &+= batch.pointee.count
                outbound.goOn(batch, &routing, &context)
            } else if let batch = inbound.nextDone() {
                packets &+= batch.pointee.count
                inbound.goOn(batch, &routing, &context)
            } else {
                return packets
            }
        }
    }

    /// Whether packets of a direction stay where they are: engines have too many, or those in flight have to be through before
    /// a new snapshot can be taken.
    @inline(__always)
    private mutating func isHoldingBack(outbound isOutbound: Bool, inbound isInbound: Bool) -> Bool {
        if !isInFlight { return false }
        return isOutbound && outbound.isBusy || isInbound && inbound.isBusy || context.reader.isAwaited
    }

    // MARK: A new snapshot

    /// Decisions are remembered beyond a snapshot, if their versions can be compared; neighbours and SAs may be known now.
    @inline(__always)
    private mutating func noticeSnapshot() {
        let current = context.tables.pointee.generation
        if current == snapshotGeneration { return }
        snapshotGeneration = current
        if context.tables.pointee.flowLineage != flowLineage { forgetFlows() }
        if routing.waitingCount != 0 { routing.resendWaiting(&context) }
        if inbound.earlyCount != 0 { openEarly() }
    }

    /// Versions of another lineage: an entry of before would look like one of today, and its SA may be gone.
    @inline(never)
    private mutating func forgetFlows() {
        // Nothing is remembered before the first lineage: memory that was never touched stays unused.
        if flowLineage != 0 {
            outbound.forgetFlows()
            inbound.forgetFlows()
        }
        flowLineage = context.tables.pointee.flowLineage
    }

    /// Sends packets that have their SA now on their way, as if they had just come.
    @inline(never)
    private mutating func openEarly() {
        var walk = inbound.beginOpeningEarly()
        while !walk.isFinished {
            inbound.openEarly(&walk, &context)
            processInbound()
        }
    }

    // MARK: Packets by direction

    /// Takes up to a batch from a port and sorts it by direction. Returns how many.
    @inline(__always)
    private mutating func receive(_ port: Int) -> Int {
        let queue = context.ports.queue(port)
        let roles = queue.pointee.roles
        if isHoldingBack(outbound: roles != .wan, inbound: roles != .lan) { return 0 }
        let (first, count) = queue.pointee.rings.receive.peek(upTo: context.configuration.batchSize)
        if count == 0 { return 0 }
        let number = queue.pointee.portIndex
        var offset = 0
        while offset < count {
            let descriptor = queue.pointee.rings.receive.read(at: first &+ UInt32(truncatingIfNeeded: offset))
            let start = context.base + Int(truncatingIfNeeded: descriptor.address)
            let slot = PacketSlot(start: start, length: descriptor.length, port: number)
            if roles == .lan {
                outbound.append(slot)
            } else if roles == .wan
                || Worker.looksProtected(start, length: descriptor.length, tables: context.tables)
            {
                inbound.append(slot)
            } else {
                outbound.append(slot)
            }
            offset &+= 1
        }
        queue.pointee.rings.receive.release(count)
        context.count(.batches)
        context.count(.received, UInt64(truncatingIfNeeded: count))
        return count
    }

    /// On a port that is LAN and WAN at once: whether the packet is ESP, AH or UDP-encapsulated ESP for the gateway
    /// itself, as the steering program judges it. What a LAN host sends to others through the tunnel may be ESP too.
    ///
    /// Takes neither the slot nor the worker. A slot that a call may look at has to lie in memory as a whole, and copying it
    /// from there waits until its fields are stored, 12 cycles a packet on every port; of the worker the compiler makes a copy.
    @inline(never)
    private static func looksProtected(
        _ start: UnsafeMutableRawPointer, length: UInt32, tables: UnsafePointer<SnapshotTables>
    ) -> Bool {
        var link = LinkLayer()
        guard link.parse(start, available: Int(length)) else { return false }
        let header = start + link.headerLength
        let available = Int(length) &- link.headerLength
        var packet = PacketSummary()
        // What is wrong is named by the one way as by the other.
        guard PacketSummary.parse(header, available: available, into: &packet) == .none,
            tables.pointee.route(to: packet.destination).pointee.state == .local
        else { return false }
        switch packet.upperProtocol {
        case IPProtocol.esp, IPProtocol.ah: return true
        case IPProtocol.udp:
            return packet.destinationPort == IPsecPort.encapsulation && available >= packet.headerLength &+ 12
        default: return false
        }
    }

    /// Takes what the other participants handed over, up to a batch from each. Returns how many packets.
    private mutating func receiveHandedOver() -> Int {
        var taken = 0
        var other = 0
        while other < context.handover.participants {
            taken &+= receiveHandedOver(from: other)
            other &+= 1
        }
        return taken
    }

    private mutating func receiveHandedOver(from other: Int) -> Int {
        if isHoldingBack(outbound: true, inbound: true) { return 0 }
        let (first, ready) = context.handover.inboxes[other].peek(upTo: context.configuration.batchSize)
        if ready == 0 { return 0 }
        var packets = 0
        var offset = 0
        while offset < ready {
            if outbound.isFull { processOutbound() }
            if inbound.isFull { processInbound() }
            let entry = context.handover.inboxes[other].read(at: first &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
            if entry.kind == .freeFrame {
                context.pool.push(entry.address)
                context.handover.wasPaidBack(by: other)
                continue
            }
            packets &+= 1
            context.handover.owed[other] &+= 1
            let start = context.base + Int(truncatingIfNeeded: entry.address)
            var slot = PacketSlot(
                start: start, length: entry.length, port: entry.port,
                flags: PacketSlot.Flags(rawValue: UInt16(entry.flags)))
            if entry.kind == .inbound {
                if entry.port == PacketSlot.noPort { context.count(.reassembled) }
                inbound.append(slot)
                continue
            }
            if entry.kind == .fromHost {
                context.count(.fromHost)
                slot.port = PacketSlot.noPort
                slot.flags = .local
            }
            outbound.append(slot)
        }
        context.handover.inboxes[other].release(ready)
        context.count(.takenOver, UInt64(truncatingIfNeeded: packets))
        return ready
    }

    /// The outbound batch through all its stages; empties it.
    @inline(__always)
    private mutating func processOutbound() {
        if outbound.count == 0 { return }
        makeRoomForDerived(outbound.count)
        outbound.process(&routing, &context)
    }

    /// The inbound batch through all its stages; empties it.
    @inline(__always)
    private mutating func processInbound() {
        if inbound.count == 0 { return }
        makeRoomForDerived(inbound.count)
        inbound.process(&routing, &context)
    }

    /// Makes room for the packets that a batch of so many leads to; called before it.
    @inline(__always)
    private mutating func makeRoomForDerived(_ count: Int) {
        if !context.hasRoomForDerived(count) { processDerived() }
    }

    /// All derived packets, and what they lead to in turn. Not to be called within a batch.
    @inline(never)
    private mutating func processDerived() {
        while context.derived.count > 0 { outbound.processDerived(&routing, &context) }
    }
}
