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
/// 3. to 5. `Opening.open`: the first replay check, the cipher, the inner packet, and where that goes.
///
/// Steps 1 to 4 each walk the whole batch before the next one begins.
struct Inbound: ~Copyable {
    private var batch: SlotBatch
    var opening: Opening
    private var early: EarlyPackets

    init(_ configuration: WorkerConfiguration) {
        batch = SlotBatch(capacity: configuration.batchSize)
        opening = Opening(configuration)
        early = EarlyPackets(capacity: configuration.earlyPacketCapacity)
    }

    // MARK: The batch

    /// Packets that wait to be processed.
    var count: Int { batch.count }
    var isFull: Bool { batch.isFull }

    /// Takes a packet into the batch, which is not full.
    @inline(__always)
    mutating func append(_ slot: PacketSlot) { batch.append(slot) }

    mutating func forgetFlows() { opening.forgetFlows() }

    /// The batch through all its stages; empties it. There is room for as many derived packets.
    @inline(__always)
    mutating func process(_ routing: inout Routing, _ context: inout WorkerContext) {
        context.makeRoom(for: batch.count)
        let slots = batch.slots
        let parsed = parse(slots, count: batch.count, &context)
        batch.count = 0
        let found = lookup(slots, count: parsed, &context)
        opening.open(slots, count: found, &routing, &context)
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

    // MARK: Packets that an engine keeps

    /// Batches in flight, and their packets.
    var batchesInFlight: Int { opening.batches.inFlight }
    var packetsInFlight: Int { opening.batches.packets }
    /// Whether so many batches are in flight that no packets are to be received.
    var isBusy: Bool { opening.batches.isBusy }

    /// A batch that is done and may go on, if there is one.
    mutating func nextDone() -> UnsafeMutablePointer<CipherBatch>? { opening.nextDone() }

    mutating func goOn(
        _ batch: UnsafeMutablePointer<CipherBatch>, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        opening.goOn(batch, &routing, &context)
    }

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
            return locate(behind: header, 20, packet, slot)
        case .ipv6:
            guard header.readIPv6(packet, available: length, least: 8),
                header.upperProtocol == IPProtocol.esp || header.upperProtocol == IPProtocol.udp
            else { return readOuterAny(packet, available: length, slot: slot) }
            return locate(behind: header, 40, packet, slot)
        }
    }

    /// Once for each family: then `headerLength` is a constant.
    @inline(__always)
    private static func locate(
        behind header: CommonHeader, _ headerLength: Int, _ packet: UnsafeMutableRawPointer,
        _ slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        slot.pointee.trafficClass = header.trafficClass
        slot.pointee.length = UInt32(truncatingIfNeeded: header.length)
        return locate(
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
        return locate(
            packet + summary.headerLength, protocolNumber: summary.upperProtocol,
            length: summary.totalLength &- summary.headerLength, slot: slot)
    }

    /// `length` bytes from `upper` on belong to the packet. The steering program lets no other port through, but a packet's way may
    /// have been another one.
    /// The header of an SA's protocol behind the outer IP header. Where a kind of SA for another protocol is there, it is asked
    /// here.
    @inline(__always)
    private static func locate(
        _ upper: UnsafeMutableRawPointer, protocolNumber: UInt8, length: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        var header = SecurityHeader(start: upper)
        let verdict = ESPInbound.locate(upper, protocolNumber: protocolNumber, length: length, header: &header)
        if !verdict.isPass { return verdict }
        slot.pointee.esp = header.start
        slot.pointee.espLength = UInt32(truncatingIfNeeded: header.length)
        if header.isEncapsulated { slot.pointee.flags.insert(.encapsulated) }
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
        var lastProtocol = SAProtocol.esp
        var last: UnsafeMutablePointer<InboundRuntime>?
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            let spi = slot.pointee.esp.loadUnaligned(as: UInt32.self)
            if spi != lastSPI || last == nil || slot.pointee.securityProtocol != lastProtocol {
                lastSPI = spi
                lastProtocol = slot.pointee.securityProtocol
                last = tables.pointee.inbound(spi: spi, of: lastProtocol)
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
            let isEncapsulated = slot.pointee.flags.contains(.encapsulated)
            let verdict =
                switch sa.pointee.kind {
                case .espTunnel: ESPInbound.admit(sa, destination: destination, isEncapsulated: isEncapsulated)
                }
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }
}
