import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// The way of a batch from a LAN (or this host, or another tunnel) into tunnels, functions in the order of the packet:
///
/// 1. `parse`: Ethernet, the IP header, and the key of the flow.
/// 2. `lookup`: policy, SA and next hop, from the flow cache or from the snapshot (RFC 4301 section 5.1). What needs no
///    protection goes on in `Routing`; what another worker's SA protects goes there (`Handover`).
/// 3. to 5. `protect`: hop limit, size, room to send it, sequence number and headers; the cipher; the next hop (`Sealing`).
///
/// Steps 1 to 4 each walk the whole batch before the next one begins. A packet that has to be split first, or whose SA takes no
/// more, ends a run of steps 3 to 5 and begins the next one, so that none overtakes another.
struct Outbound: ~Copyable {
    private var batch: SlotBatch
    /// What the steps up to the SA pass on beside the slots: the flow of each packet, and its hash.
    private let keys: UnsafeMutablePointer<FlowKey>
    private let hashes: UnsafeMutablePointer<UInt64>
    var flows: FlowCache
    private var sealing: Sealing

    init(_ configuration: WorkerConfiguration) {
        batch = SlotBatch(capacity: configuration.batchSize)
        keys = .allocate(capacity: configuration.batchSize)
        hashes = .allocate(capacity: configuration.batchSize)
        flows = FlowCache(capacity: configuration.flowCacheCapacity)
        sealing = Sealing(configuration)
    }

    deinit {
        keys.deallocate()
        hashes.deallocate()
    }

    // MARK: The batch

    /// Packets that wait to be processed.
    var count: Int { batch.count }
    var isFull: Bool { batch.isFull }

    /// Takes a packet into the batch, which is not full.
    @inline(__always)
    mutating func append(_ slot: PacketSlot) { batch.append(slot) }

    mutating func forgetFlows() { flows.clear() }

    /// The batch through all its stages; empties it. There is room for as many derived packets.
    @inline(__always)
    mutating func process(_ routing: inout Routing, _ context: inout WorkerContext) {
        let count = batch.count
        batch.count = 0
        process(count, &routing, &context)
    }

    /// The first derived packets, as many as a batch holds. No batch is under way, so its place is free.
    mutating func processDerived(_ routing: inout Routing, _ context: inout WorkerContext) {
        process(context.derived.takeFirst(into: batch), &routing, &context)
    }

    /// Packets from the protected side through all stages; they lie at the front of the batch.
    @inline(__always)
    private mutating func process(_ count: Int, _ routing: inout Routing, _ context: inout WorkerContext) {
        context.makeRoom(for: count)
        let slots = batch.slots
        let parsed = parse(slots, count: count, &context)
        let decided = lookup(slots, count: parsed, &routing, &context)
        protect(slots, count: decided, &routing, &context)
    }

    // MARK: Packets that an engine keeps

    /// Batches in flight, and their packets.
    var batchesInFlight: Int { sealing.batches.inFlight }
    var packetsInFlight: Int { sealing.batches.packets }
    /// Whether so many batches are in flight that no packets are to be received.
    var isBusy: Bool { sealing.batches.isBusy }

    /// A batch that is done and may go on, if there is one.
    mutating func nextDone() -> UnsafeMutablePointer<CipherBatch>? { sealing.nextDone() }

    mutating func goOn(
        _ batch: UnsafeMutablePointer<CipherBatch>, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        sealing.goOn(batch, &routing, &context)
    }

    // MARK: 1. Parse

    /// Finds the IP packet in each slot of the outbound batch and writes its flow key; what is no IP packet is dropped.
    ///
    /// 1. Ethernet, one VLAN tag. 2. IPv4 without options and not a fragment, or IPv6 without extension headers: read
    /// in place. 3. Everything else: `PacketSummary`.
    @inline(__always)
    private mutating func parse(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            let key = keys + kept
            let verdict = Outbound.parse(slot, key: key)
            index &+= 1
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            // Packets come in trains: the second of a flow and those behind it need no hash.
            if kept > 0, key.pointee.isSame(as: key - 1) {
                slot.pointee.flags.insert(.repeatsFlow)
                hashes[kept] = hashes[kept &- 1]
            } else {
                let hash = key.pointee.hash(seed: flows.seed)
                hashes[kept] = hash
                flows.prefetch(hash: hash)
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private static func parse(
        _ slot: UnsafeMutablePointer<PacketSlot>, key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        var link = LinkLayer()
        let available = Int(slot.pointee.length)
        guard link.parse(slot.pointee.start, available: available) else {
            return .drop(available < 14 ? .malformedEthernet : .unsupportedEthertype)
        }
        let packet = slot.pointee.start + link.headerLength
        slot.pointee.packet = packet
        let length = available &- link.headerLength
        if CommonPacket.read(packet, available: length, family: link.family, slot: slot, key: key) { return .pass }
        return readAny(packet, available: length, slot: slot, key: key)
    }

    /// Options, fragments, extension headers, other protocols, and whatever is wrong.
    @inline(never)
    private static func readAny(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        var summary = PacketSummary()
        let failure = PacketSummary.parse(packet, available: available, into: &summary)
        guard failure == .none else { return .drop(DropReason(failure, packet: packet, available: available)) }
        key.pointee = FlowKey(summary, header: packet)
        slot.pointee.length = UInt32(truncatingIfNeeded: summary.totalLength)
        slot.pointee.trafficClass = summary.trafficClass
        slot.pointee.nextHeader = summary.family == .ipv4 ? IPProtocol.ipv4 : IPProtocol.ipv6
        if summary.dontFragment { slot.pointee.flags.insert(.dontFragment) }
        return .pass
    }

    // MARK: 2. Policy and SA

    /// Finds the policy and the SA of each parsed packet (RFC 4301 section 5.1): from the flow cache, else from the SPD.
    /// Packets that go on are moved to the front; returns how many. The others were forwarded, handed over or dropped.
    @inline(__always)
    private mutating func lookup(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ routing: inout Routing, _ context: inout WorkerContext
    ) -> Int {
        let versions = context.tables.pointee.flowVersions
        let nextHops = context.tables.pointee.nextHops
        var last: UnsafeMutablePointer<FlowCache.Entry>?
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            let key = UnsafePointer(keys + index)
            let hash = hashes[index]
            index &+= 1
            if last == nil || !slot.pointee.flags.contains(.repeatsFlow) {
                last = flows.find(key, hash: hash, versions: versions)
            }
            if let entry = last {
                slot.pointee.nextHop = nextHops + Int(entry.pointee.nextHop)
                slot.pointee.association = entry.pointee.association
                if Int(entry.pointee.owner) != context.index {
                    context.handOver(slot.pointee, to: Int(entry.pointee.owner), kind: .outbound)
                    continue
                }
            } else if !decide(slot, key: key, hash: hash, &routing, &context) {
                continue
            }
            if let association = slot.pointee.association, !slot.pointee.flags.contains(.repeatsFlow) {
                sluice_prefetch(association)
                sluice_prefetch_write(association + 64)
                sluice_prefetch(association + 128)
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    /// A flow that is not known, or not protected: asks the snapshot. True when the packet goes on to its SA here.
    @inline(never)
    private mutating func decide(
        _ slot: UnsafeMutablePointer<PacketSlot>, key: UnsafePointer<FlowKey>, hash: UInt64,
        _ routing: inout Routing, _ context: inout WorkerContext
    ) -> Bool {
        context.count(.flowMisses)
        var summary = PacketSummary()
        let length = Int(slot.pointee.length)
        let failure = PacketSummary.parse(slot.pointee.packet, available: length, into: &summary)
        guard failure == .none else {
            context.drop(slot.pointee, DropReason(failure, packet: slot.pointee.packet, available: length))
            return false
        }
        let decision = context.tables.pointee.outbound(summary, worker: context.index)
        if decision.action == .protect, let sa = decision.sa {
            slot.pointee.association = UnsafeMutableRawPointer(sa)
            let hop = context.tables.pointee.route(to: decision.destination)
            slot.pointee.nextHop = hop
            remember(key, hash: hash, decision, hop, context.tables)
            if Int(decision.owner) == context.index {
                ESPOutbound.follow(sa)
                return true
            }
            context.handOver(slot.pointee, to: Int(decision.owner), kind: .outbound)
            return false
        }
        // Protected traffic is counted at its SAs.
        context.tables.pointee.count(
            policyIndex: decision.policyIndex, worker: context.index, packets: 1,
            bytes: UInt64(truncatingIfNeeded: length))
        routing.decline(
            slot, reason: decision.verdict.reason, summary: summary, policyIndex: decision.policyIndex, &context)
        return false
    }

    // MARK: 3 to 5. Protect

    /// Seals packets whose SA is known, and sends them (RFC 4301 section 5.1.2, RFC 4303 section 3.3), run by run: up to one that
    /// has to be split first or to change its SA, and then that one, so that none overtakes another.
    @inline(__always)
    private mutating func protect(
        _ slots: UnsafeMutablePointer<PacketSlot>, count decided: Int, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) {
        var done = 0
        while done < decided {
            let run = sealing.seal(slots + done, count: decided &- done, &routing, &context)
            done &+= run.taken
            if run.last == .sealed { continue }
            if !end(run, slots + (done &- 1), &routing, &context) { done &-= 1 }
        }
    }

    /// The last packet of a run, which is not like the others. False when it is the first one of the next run.
    @inline(never)
    private mutating func end(
        _ run: Sealing.Run, _ last: UnsafeMutablePointer<PacketSlot>, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) -> Bool {
        switch run.last {
        case .sealed, .outgrowsPath: return true
        case .toBeSplit:
            protectInFragments(last.pointee, &routing, &context)
            return true
        case .refused:
            // Once more by its new SA, if that is this worker's.
            return !leaveSpent(last, run.reason, &context)
        }
    }

    /// Splits an IPv4 packet whose SA is known into frames of its own, which are sealed and sent in its place. A packet of which
    /// one fragment is missing is of no use: it is split only if there are frames and room for all.
    private mutating func protectInFragments(
        _ slot: PacketSlot, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        guard let sa = slot.association?.assumingMemoryBound(to: OutboundRuntime.self),
            var fragmenter = IPv4Fragmenter(
                slot.packet, available: Int(slot.length), mtu: Fragmentation.innerLimit(sa, context))
        else { return context.drop(slot, .tooBig) }
        let needed = fragmenter.fragmentCount
        context.makeRoom(for: needed)
        guard context.hasRoomForFragments(needed, of: slot) else { return context.drop(slot, .outputOverload) }
        guard context.pool.count >= needed else { return context.drop(slot, .framePoolEmpty) }
        var isFinished = false
        while !isFinished {
            let count = routing.fragmentation.fill(&fragmenter, of: slot, &context)
            isFinished = count < routing.fragmentation.capacity
            context.count(.fragments, UInt64(truncatingIfNeeded: count))
            protectPieces(routing.fragmentation.slots, count: count, &routing, &context)
        }
        context.count(.fragmented)
        context.release(slot)
    }

    /// The same as `protect`, for fragments, which are never split again.
    private mutating func protectPieces(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        var done = 0
        while done < count {
            let run = sealing.seal(slots + done, count: count &- done, &routing, &context)
            done &+= run.taken
            if run.last == .refused, leaveSpent(slots + (done &- 1), run.reason, &context) { done &-= 1 }
        }
    }

    // MARK: An SA that is spent

    /// An SA takes no packet any more: a hard limit or the end of its sequence numbers is reached. The packet, and its flow, go
    /// on by another SA of the policy if one lives. True when that is this worker's; otherwise the packet's way here has ended.
    @inline(never)
    private mutating func leaveSpent(
        _ slot: UnsafeMutablePointer<PacketSlot>, _ reason: DropReason, _ context: inout WorkerContext
    ) -> Bool {
        var summary = PacketSummary()
        let packet = slot.pointee.packet
        guard PacketSummary.parse(packet, available: Int(slot.pointee.length), into: &summary) == .none else {
            context.drop(slot.pointee, reason)
            return false
        }
        let decision = context.tables.pointee.outbound(summary, worker: context.index)
        // Only one that is not known to be spent: whatever refuses the packet next is known then, so this comes to an end.
        guard decision.action == .protect, let sa = decision.sa, !sa.pointee.isSpent else {
            context.drop(slot.pointee, reason)
            return false
        }
        slot.pointee.association = UnsafeMutableRawPointer(sa)
        let hop = context.tables.pointee.route(to: decision.destination)
        slot.pointee.nextHop = hop
        var key = FlowKey(summary, header: packet)
        remember(&key, hash: key.hash(seed: flows.seed), decision, hop, context.tables)
        if Int(decision.owner) != context.index {
            context.handOver(slot.pointee, to: Int(decision.owner), kind: .outbound)
            return false
        }
        ESPOutbound.follow(sa)
        return true
    }

    /// Keeps the decision about a flow, in the place of one that there was.
    private mutating func remember(
        _ key: UnsafePointer<FlowKey>, hash: UInt64, _ decision: OutboundDecision, _ hop: UnsafePointer<NextHop>,
        _ tables: UnsafePointer<SnapshotTables>
    ) {
        guard hop.pointee.mayBeRemembered, let sa = decision.sa else { return }
        let versions = tables.pointee.flowVersions
        let entry = FlowCache.Entry(
            key: key.pointee, association: UnsafeMutableRawPointer(sa), nextHop: tables.pointee.index(of: hop),
            version: versions[Int(decision.versionPlace)], versionPlace: decision.versionPlace, owner: decision.owner)
        flows.insert(entry, hash: hash, versions: versions)
    }
}
