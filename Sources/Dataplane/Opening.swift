import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry

/// The steps of inbound packets behind the look-up of their SA, in their order:
///
/// 3. `prepare`: lengths and the first replay check (`InboundKind.prepare`).
/// 4. `CipherBatches.run`: the cipher. What an engine does not do at once goes on later (`goOn`).
/// 5. `finish`, packet by packet, while its inner header is in the cache: authentication, replay commit, trailer
///    (`InboundKind.unwrap`), selectors and policy (`accept`), ECN and limits (`InboundKind.complete`), then
///    `Routing.forwardInner`.
///
/// Each run of packets whose SAs are of one kind goes through all steps by the steps of that kind.
struct Opening: ~Copyable {
    private(set) var batches: CipherBatches
    /// The flow of the decrypted packet that is looked at.
    private let key: UnsafeMutablePointer<FlowKey>
    var flows: FlowCache
    /// The entry that the last decrypted packet matched.
    var last: UnsafeMutablePointer<FlowCache.Entry>?

    init(_ configuration: WorkerConfiguration) {
        batches = CipherBatches(configuration)
        key = .allocate(capacity: 1)
        flows = FlowCache(capacity: configuration.flowCacheCapacity)
    }

    deinit { key.deallocate() }

    mutating func forgetFlows() {
        flows.clear()
        last = nil
    }

    /// Opens packets whose SA is known, and sends what is in them on its way.
    @inline(__always)
    mutating func open(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        var done = 0
        while done < count {
            let run = SARun(inbound: slots + done, count: count &- done)
            switch run.kind {
            case .espTunnel: open(slots + done, count: run.count, by: ESPInbound.self, &routing, &context)
            }
            done &+= run.count
        }
    }

    @inline(__always)
    private mutating func open<Kind: InboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) {
        guard let batch = batches.next else { return refuse(slots, count: count, &context) }
        let prepared = prepare(slots, count: count, in: batch, by: kind, &context)
        if prepared == 0 { return }
        batch.pointee.prepared(slots, count: prepared, kind: kind.kind)
        if batches.run(batch) { finish(batch, by: kind, &routing, &context) }
    }

    /// All batches are in flight.
    @inline(never)
    private mutating func refuse(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) {
        var index = 0
        while index < count {
            context.drop(slots[index], .cipherOverload)
            index &+= 1
        }
    }

    /// Goes on with a batch that was in flight and is done (`CipherBatches.nextDone`).
    @inline(never)
    mutating func goOn(
        _ batch: UnsafeMutablePointer<CipherBatch>, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        switch batch.pointee.kind {
        case .espTunnel: finish(batch, by: ESPInbound.self, &routing, &context)
        }
    }

    /// A batch that is done and may go on.
    mutating func nextDone() -> UnsafeMutablePointer<CipherBatch>? { batches.nextDone() }

    // MARK: 3. Before the cipher

    /// Lengths and the first replay check (RFC 4303 section 3.4.3): what needs no key comes before the cipher.
    @inline(__always)
    private mutating func prepare<Kind: InboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, in batch: UnsafeMutablePointer<CipherBatch>,
        by kind: Kind.Type, _ context: inout WorkerContext
    ) -> Int {
        let operations = batch.pointee.operations
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let verdict = Kind.prepare(
                raw.assumingMemoryBound(to: InboundRuntime.self), header: slot.pointee.esp,
                length: Int(slot.pointee.espLength), operation: operations + kept)
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            ESPBatch.prepare(operations + kept)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    // MARK: 5. Behind the cipher

    /// Everything after the cipher: replay commit, trailer, selectors, inbound policy, ECN, and on to the destination.
    @inline(__always)
    private mutating func finish<Kind: InboundKind>(
        _ batch: UnsafeMutablePointer<CipherBatch>, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) {
        let slots = batch.pointee.slots
        let count = batch.pointee.count
        let operations = batch.pointee.operations
        defer { batch.pointee.end() }
        var payload = OpenedPayload(start: slots.pointee.packet)
        var opened: UInt64 = 0
        var index = 0
        while index < count {
            let slot = slots + index
            let operation = UnsafePointer(operations + index)
            // Inner header and trailer, which the cipher has left behind by now.
            let ahead = slot + SlotBatch.lookAhead
            sluice_prefetch_write(ahead.pointee.esp + 32)
            sluice_prefetch(ahead.pointee.esp + Int(ahead.pointee.espLength) - 18)
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: InboundRuntime.self)
            let outerTrafficClass = slot.pointee.trafficClass
            if let reason = Kind.unwrap(sa, operation: operation, now: context.now, payload: &payload).reason {
                context.drop(slot.pointee, reason)
                continue
            }
            if slot.pointee.flags.contains(.encapsulated),
                ESPInbound.isFromElsewhere(
                    sa, packet: slot.pointee.packet, esp: slot.pointee.esp, sequence: operation.pointee.iv)
            {
                Opening.announceMapping(slot.pointee, sa: sa, &context)
            }
            guard accept(slot, payload: payload, association: raw, &context) else { continue }
            let verdict = Kind.complete(
                sa, packet: payload.start, length: Int(slot.pointee.length), family: payload.family,
                trafficClass: &slot.pointee.trafficClass, outerTrafficClass: outerTrafficClass, now: context.now)
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            opened &+= 1
            routing.forwardInner(slot, &context)
        }
        context.count(.opened, opened)
    }

    @inline(never)
    private static func announceMapping(
        _ slot: PacketSlot, sa: UnsafeMutablePointer<InboundRuntime>, _ context: inout WorkerContext
    ) {
        let source = ESPInbound.source(slot.packet, esp: slot.esp)
        context.events.mappingChanged(spi: sa.pointee.spi, to: source.address, port: source.port, now: context.now)
    }

    /// Whether selectors and policies accept a decrypted packet from its SA (RFC 4301 section 5.2 step 4), and where it
    /// goes. A flow that was accepted once from the same SA is not asked about again as long as nothing that speaks about it changes.
    /// False when the packet was dropped.
    @inline(__always)
    private mutating func accept(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: OpenedPayload, association: UnsafeMutableRawPointer,
        _ context: inout WorkerContext
    ) -> Bool {
        slot.pointee.packet = payload.start
        slot.pointee.flags = .decrypted
        let isCommon = CommonPacket.read(
            payload.start, available: payload.available, family: payload.family, slot: slot, key: key)
        guard isCommon else { return decide(slot, payload: payload, association: association, hash: nil, &context) }
        let versions = context.tables.pointee.flowVersions
        let nextHops = context.tables.pointee.nextHops
        if let entry = last, entry.pointee.association == association, FlowCache.holds(entry, versions),
            key.pointee.isSame(as: FlowCache.key(of: entry))
        {
            slot.pointee.nextHop = nextHops + Int(entry.pointee.nextHop)
            return true
        }
        let hash = key.pointee.hash(seed: flows.seed)
        if let entry = flows.find(key, hash: hash, versions: versions),
            entry.pointee.association == association
        {
            last = entry
            slot.pointee.nextHop = nextHops + Int(entry.pointee.nextHop)
            return true
        }
        return decide(slot, payload: payload, association: association, hash: hash, &context)
    }

    /// Asks the SA's selectors and the snapshot; remembers the answer for common packets, whose key is in the scratch.
    @inline(never)
    private mutating func decide(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: OpenedPayload, association: UnsafeMutableRawPointer,
        hash: UInt64?, _ context: inout WorkerContext
    ) -> Bool {
        context.count(.flowMisses)
        let sa = association.assumingMemoryBound(to: InboundRuntime.self)
        var inner = InnerPacket(start: payload.start)
        if let reason = ESPInbound.accept(sa, payload: payload, inner: &inner).reason {
            context.drop(slot.pointee, reason)
            return false
        }
        let hop = context.tables.pointee.route(to: inner.summary.destination)
        let decision = context.tables.pointee.inboundPolicy(
            inner.summary, spi: sa.pointee.spi.networkOrder, of: sa.pointee.kind.securityProtocol,
            isLocal: hop.pointee.state == .local)
        if let reason = decision.verdict.reason {
            context.tables.pointee.count(
                policyIndex: decision.policyIndex, worker: context.index, packets: 1,
                bytes: UInt64(truncatingIfNeeded: inner.length))
            context.drop(slot.pointee, reason)
            return false
        }
        slot.pointee.nextHop = hop
        slot.pointee.length = UInt32(truncatingIfNeeded: inner.length)
        slot.pointee.trafficClass = inner.summary.trafficClass
        if inner.summary.dontFragment { slot.pointee.flags.insert(.dontFragment) }
        if let hash, hop.pointee.mayBeRemembered {
            let tables = context.tables
            let versions = tables.pointee.flowVersions
            let place = tables.pointee.versionPlace(
                inboundSPI: sa.pointee.spi.networkOrder, of: sa.pointee.kind.securityProtocol)
            flows.insert(
                FlowCache.Entry(
                    key: key.pointee, association: association, nextHop: tables.pointee.index(of: hop),
                    version: versions[Int(place)], versionPlace: place,
                    owner: UInt16(truncatingIfNeeded: context.index)),
                hash: hash, versions: versions)
        }
        return true
    }
}
