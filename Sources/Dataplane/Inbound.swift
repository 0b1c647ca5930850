import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry

/// The way of a batch from a WAN out of its tunnels, functions in the order of the packet:
///
/// 1. `parse`: Ethernet, the outer IP header, UDP, and where the ESP header is.
/// 2. `lookup`: the SA by its SPI (RFC 4303 section 3.4.2). What another worker owns goes there (`Handover`); what comes
///    before its SA waits (`Waiting`).
/// 3. `prepare`: lengths and the first replay check (`ESPInbound.prepare`).
/// 4. `ESPCipherStage.run`: the cipher.
/// 5. `finish`, packet by packet, while its inner header is in the cache: authentication, replay commit, trailer
///    (`ESPInbound.unwrap`), selectors and policy (`accept`), ECN and limits (`ESPInbound.complete`), then
///    `Routing.forwardInner`.
///
/// Steps 1 to 4 each walk the whole batch before the next one begins.
struct Inbound: ~Copyable {
    private var batch: SlotBatch
    /// The cipher's view of each packet of the batch.
    private let operations: UnsafeMutablePointer<ESPOperation>
    /// The flow of the decrypted packet that is looked at.
    private let key: UnsafeMutablePointer<FlowKey>
    var flows: FlowCache
    /// The entry that the last decrypted packet matched.
    var last: UnsafeMutablePointer<FlowCache.Entry>?
    private var early: EarlyPackets

    init(_ configuration: WorkerConfiguration) {
        batch = SlotBatch(capacity: configuration.batchSize)
        operations = ESPCipherStage.allocate(capacity: configuration.batchSize)
        key = .allocate(capacity: 1)
        flows = FlowCache(capacity: configuration.flowCacheCapacity)
        early = EarlyPackets(capacity: configuration.earlyPacketCapacity)
    }

    deinit {
        operations.deallocate()
        key.deallocate()
    }

    // MARK: The batch

    /// Packets that wait to be processed.
    var count: Int { batch.count }
    var isFull: Bool { batch.isFull }

    /// Takes a packet into the batch, which is not full.
    @inline(__always)
    mutating func append(_ slot: PacketSlot) { batch.append(slot) }

    mutating func forgetFlows() {
        flows.clear()
        last = nil
    }

    /// The batch through all its stages; empties it. There is room for as many derived packets.
    @inline(__always)
    mutating func process(_ routing: inout Routing, _ context: inout WorkerContext) {
        context.makeRoom(for: batch.count)
        let slots = batch.slots
        let parsed = parse(slots, count: batch.count, &context)
        batch.count = 0
        let found = lookup(slots, count: parsed, &context)
        let prepared = prepare(slots, count: found, &context)
        if prepared == 0 { return }
        ESPCipherStage.run(operations, count: prepared)
        finish(slots, count: prepared, &routing, &context)
    }

    // MARK: Before their SA

    /// Packets that wait for their SA.
    var earlyCount: Int { early.count }

    mutating func beginOpeningEarly() -> EarlyPackets.Walk { early.beginOpening() }

    /// Takes packets that have their SA now into the batch (`EarlyPackets.open`).
    mutating func openEarly(_ walk: inout EarlyPackets.Walk, _ context: inout WorkerContext) {
        early.open(&walk, into: &batch, &context)
    }

    mutating func expireEarly(_ context: inout WorkerContext) { early.expire(&context) }

    // MARK: 1. Parse

    /// Finds the ESP header in each slot of the inbound batch: behind the outer IP header, or in UDP on port 4500
    /// (RFC 3948 section 2). What is no ESP is dropped.
    @inline(__always)
    private mutating func parse(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            index &+= 1
            let verdict = Inbound.parse(slot)
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            context.tables.pointee.prefetchInbound(spi: slot.pointee.esp.loadUnaligned(as: UInt32.self))
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private static func parse(_ slot: UnsafeMutablePointer<PacketSlot>) -> Verdict {
        var link = LinkLayer()
        let available = Int(slot.pointee.length)
        guard link.parse(slot.pointee.start, available: available) else {
            return .drop(available < 14 ? .malformedEthernet : .unsupportedEthertype)
        }
        let packet = slot.pointee.start + link.headerLength
        slot.pointee.packet = packet
        let length = available &- link.headerLength
        var header = CommonHeader()
        switch link.family {
        case .ipv4:
            guard header.readIPv4(packet, available: length, least: 8) else {
                return readOuterAny(packet, available: length, slot: slot)
            }
            return locateESP(behind: header, 20, packet, slot)
        case .ipv6:
            guard header.readIPv6(packet, available: length, least: 8),
                header.upperProtocol == IPProtocol.esp || header.upperProtocol == IPProtocol.udp
            else { return readOuterAny(packet, available: length, slot: slot) }
            return locateESP(behind: header, 40, packet, slot)
        }
    }

    /// Once for each family: then `headerLength` is a constant.
    @inline(__always)
    private static func locateESP(
        behind header: CommonHeader, _ headerLength: Int, _ packet: UnsafeMutableRawPointer,
        _ slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        slot.pointee.trafficClass = header.trafficClass
        slot.pointee.length = UInt32(truncatingIfNeeded: header.length)
        return locateESP(
            packet + headerLength, protocolNumber: header.upperProtocol, length: header.length &- headerLength,
            slot: slot)
    }

    /// Options, extension headers, fragments, and whatever is wrong.
    @inline(never)
    private static func readOuterAny(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        var summary = PacketSummary()
        let failure = PacketSummary.parse(packet, available: available, into: &summary)
        guard failure == .none else { return .drop(DropReason(failure, packet: packet, available: available)) }
        // The host reassembles; a piece that comes here came past the steering program.
        guard !summary.isFragment else { return .drop(.outerFragment) }
        slot.pointee.trafficClass = summary.trafficClass
        slot.pointee.length = UInt32(truncatingIfNeeded: summary.totalLength)
        return locateESP(
            packet + summary.headerLength, protocolNumber: summary.upperProtocol,
            length: summary.totalLength &- summary.headerLength, slot: slot)
    }

    /// `length` bytes from `upper` on belong to the packet. The steering program lets no other port through, but a packet's way may
    /// have been another one.
    @inline(__always)
    private static func locateESP(
        _ upper: UnsafeMutableRawPointer, protocolNumber: UInt8, length: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        if protocolNumber == IPProtocol.esp {
            guard length >= 8 else { return .drop(.malformedESP) }
            slot.pointee.esp = upper
            slot.pointee.espLength = UInt32(truncatingIfNeeded: length)
            return .pass
        }
        guard protocolNumber == IPProtocol.udp else {
            return .drop(protocolNumber == IPProtocol.ah ? .unsupportedAH : .unexpectedPacket)
        }
        guard length >= 8 else { return .drop(.malformedUDPEncapsulation) }
        let ports = upper.loadUnaligned(as: UInt64.self)
        guard UInt16(truncatingIfNeeded: ports &>> 16) == IPsecPort.encapsulation.bigEndian else {
            return .drop(.unexpectedPacket)
        }
        let datagram = Int(UInt16(truncatingIfNeeded: ports &>> 32).byteSwapped)
        guard datagram >= 8, datagram <= length else { return .drop(.malformedUDPEncapsulation) }
        if datagram == 9, upper.load(fromByteOffset: 8, as: UInt8.self) == 0xFF { return .drop(.natKeepalive) }
        guard datagram >= 16 else { return .drop(.malformedUDPEncapsulation) }
        guard upper.loadUnaligned(fromByteOffset: 8, as: UInt32.self) != 0 else { return .drop(.nonESPMarker) }
        slot.pointee.esp = upper + 8
        slot.pointee.espLength = UInt32(truncatingIfNeeded: datagram &- 8)
        slot.pointee.flags.insert(.encapsulated)
        return .pass
    }

    // MARK: 2. SA

    /// Finds the SA of each ESP packet by its SPI (RFC 4303 section 3.4.2), in two steps, so that the SAs of a batch are
    /// fetched side by side: find them all, then look into them.
    @inline(__always)
    private mutating func lookup(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Int {
        Inbound.find(slots, count: count, tables: context.tables)
        return admit(slots, count: count, &context)
    }

    /// The SPI of the packet before is remembered: packets of one peer come in trains.
    @inline(__always)
    private static func find(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, tables: UnsafePointer<SnapshotTables>
    ) {
        var lastSPI: UInt32 = 0
        var last: UnsafeMutablePointer<InboundRuntime>?
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            let spi = slot.pointee.esp.loadUnaligned(as: UInt32.self)
            if spi != lastSPI || last == nil {
                lastSPI = spi
                last = tables.pointee.inbound(spi: spi)
                if let sa = last { ESPInbound.prefetch(sa) }
            }
            slot.pointee.association = UnsafeMutableRawPointer(last)
        }
    }

    /// Keeps the packets that are for SAs of this worker and look it.
    @inline(__always)
    private mutating func admit(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let sa = slot.pointee.association?.assumingMemoryBound(to: InboundRuntime.self) else {
                early.keep(slot.pointee, &context)
                continue
            }
            guard Int(sa.pointee.owner) == context.index else {
                // Parsed again by the owner: the whole frame goes.
                context.handOver(slot.pointee, to: Int(sa.pointee.owner), kind: .inbound)
                continue
            }
            let family = AddressFamily(ofPacketAt: slot.pointee.packet)
            let destination = IPAddress(loading: slot.pointee.packet + (family == .ipv4 ? 16 : 24), family: family)
            let verdict = ESPInbound.admit(
                sa, destination: destination, isEncapsulated: slot.pointee.flags.contains(.encapsulated))
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    // MARK: 3. Before the cipher

    /// Lengths and the first replay check (RFC 4303 section 3.4.3): what needs no key comes before the cipher.
    @inline(__always)
    private mutating func prepare(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let verdict = ESPInbound.prepare(
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
    private mutating func finish(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        var payload = ESPInbound.Payload(start: slots.pointee.packet)
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
            if let reason = ESPInbound.unwrap(sa, operation: operation, now: context.now, payload: &payload).reason {
                context.drop(slot.pointee, reason)
                continue
            }
            if slot.pointee.flags.contains(.encapsulated),
                ESPInbound.isFromElsewhere(
                    sa, packet: slot.pointee.packet, esp: slot.pointee.esp, sequence: operation.pointee.iv)
            {
                Inbound.announceMapping(slot.pointee, sa: sa, &context)
            }
            guard accept(slot, payload: payload, association: raw, &context) else { continue }
            let verdict = ESPInbound.complete(
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
    /// goes. A flow that was accepted once from the same SA under the same snapshot is not asked about again.
    /// False when the packet was dropped.
    @inline(__always)
    private mutating func accept(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: ESPInbound.Payload, association: UnsafeMutableRawPointer,
        _ context: inout WorkerContext
    ) -> Bool {
        slot.pointee.packet = payload.start
        slot.pointee.flags = .decrypted
        let isCommon = CommonPacket.read(
            payload.start, available: payload.available, family: payload.family, slot: slot, key: key)
        guard isCommon else { return decide(slot, payload: payload, association: association, hash: nil, &context) }
        if let entry = last, entry.pointee.association == association, entry.pointee.generation == context.generation,
            key.pointee.isSame(as: FlowCache.key(of: entry))
        {
            slot.pointee.nextHop = entry.pointee.nextHop
            return true
        }
        let hash = key.pointee.hash(seed: flows.seed)
        if let entry = flows.find(key, hash: hash, generation: context.generation),
            entry.pointee.association == association
        {
            last = entry
            slot.pointee.nextHop = entry.pointee.nextHop
            return true
        }
        return decide(slot, payload: payload, association: association, hash: hash, &context)
    }

    /// Asks the SA's selectors and the snapshot; remembers the answer for common packets, whose key is in the scratch.
    @inline(never)
    private mutating func decide(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: ESPInbound.Payload, association: UnsafeMutableRawPointer,
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
            inner.summary, spi: sa.pointee.spi.networkOrder, isLocal: hop.pointee.state == .local)
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
        if let hash {
            flows.insert(
                FlowCache.Entry(
                    key: key.pointee, association: association, nextHop: hop, generation: context.generation,
                    owner: UInt16(truncatingIfNeeded: context.index)),
                hash: hash)
        }
        return true
    }
}
