import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry

/// The way of a batch from a WAN out of its tunnels, functions in the order of the packet:
///
/// 1. `parseInbound`: Ethernet, the outer IP header, UDP, and where the ESP header is.
/// 2. `lookupInbound`: the SA by its SPI (RFC 4303 section 3.4.2). What another worker owns goes there (`Handover`); what comes
///    before its SA waits (`Waiting`).
/// 3. `prepareOpen`: lengths and the first replay check (`ESPInbound.prepare`).
/// 4. `runESPBatch`: the cipher.
/// 5. `finishOpen`, packet by packet, while its inner header is in the cache: authentication, replay commit, trailer
///    (`ESPInbound.unwrap`), selectors and policy (`acceptInner`), ECN and limits (`ESPInbound.complete`), then `forwardInner`
///    (`Routing`).
///
/// Steps 1 to 4 each walk the whole batch before the next one begins.
extension Worker {
    // MARK: The batch

    /// The inbound batch through all its stages; empties it.
    @inline(__always)
    mutating func processInbound() {
        if inbound.count == 0 { return }
        makeRoomForDerived(inbound.count)
        makeRoom(for: inbound.count)
        let slots = inbound.slots
        let parsed = parseInbound(slots, count: inbound.count)
        inbound.count = 0
        let found = lookupInbound(slots, count: parsed)
        let prepared = prepareOpen(slots, count: found)
        if prepared == 0 { return }
        Worker.runESPBatch(scratch.operations, count: prepared)
        finishOpen(slots, count: prepared)
    }

    // MARK: 1. Parse

    /// Finds the ESP header in each slot of the inbound batch: behind the outer IP header, or in UDP on port 4500
    /// (RFC 3948 section 2). What is no ESP is dropped.
    @inline(__always)
    mutating func parseInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            index &+= 1
            let verdict = Worker.parseInbound(slot)
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            tables.pointee.prefetchInbound(spi: slot.pointee.esp.loadUnaligned(as: UInt32.self))
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private static func parseInbound(_ slot: UnsafeMutablePointer<PacketSlot>) -> Verdict {
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
    mutating func lookupInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        findAssociations(slots, count: count)
        return admitInbound(slots, count: count)
    }

    /// The SPI of the packet before is remembered: packets of one peer come in trains.
    @inline(__always)
    private func findAssociations(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
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
    private mutating func admitInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let sa = slot.pointee.association?.assumingMemoryBound(to: InboundRuntime.self) else {
                keepEarly(slot.pointee)
                continue
            }
            guard Int(sa.pointee.owner) == self.index else {
                // Parsed again by the owner: the whole frame goes.
                handOver(slot.pointee, to: Int(sa.pointee.owner), kind: .inbound)
                continue
            }
            let family = AddressFamily(ofPacketAt: slot.pointee.packet)
            let destination = IPAddress(loading: slot.pointee.packet + (family == .ipv4 ? 16 : 24), family: family)
            let verdict = ESPInbound.admit(
                sa, destination: destination, isEncapsulated: slot.pointee.flags.contains(.encapsulated))
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
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
    private mutating func prepareOpen(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let verdict = ESPInbound.prepare(
                raw.assumingMemoryBound(to: InboundRuntime.self), header: slot.pointee.esp,
                length: Int(slot.pointee.espLength), operation: scratch.operations + kept)
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            ESPBatch.prepare(scratch.operations + kept)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    // MARK: 5. Behind the cipher

    /// Everything after the cipher: replay commit, trailer, selectors, inbound policy, ECN, and on to the destination.
    @inline(__always)
    private mutating func finishOpen(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        var payload = ESPInbound.Payload(start: slots.pointee.packet)
        var opened: UInt64 = 0
        var index = 0
        while index < count {
            let slot = slots + index
            let operation = UnsafePointer(scratch.operations + index)
            // Inner header and trailer, which the cipher has left behind by now.
            let ahead = slot + SlotBatch.lookAhead
            sluice_prefetch_write(ahead.pointee.esp + 32)
            sluice_prefetch(ahead.pointee.esp + Int(ahead.pointee.espLength) - 18)
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: InboundRuntime.self)
            let outerTrafficClass = slot.pointee.trafficClass
            if let reason = ESPInbound.unwrap(sa, operation: operation, now: now, payload: &payload).reason {
                drop(slot.pointee, reason)
                continue
            }
            if slot.pointee.flags.contains(.encapsulated),
                ESPInbound.isFromElsewhere(
                    sa, packet: slot.pointee.packet, esp: slot.pointee.esp, sequence: operation.pointee.iv)
            {
                announceMapping(slot.pointee, sa: sa)
            }
            guard acceptInner(slot, payload: payload, association: raw) else { continue }
            let verdict = ESPInbound.complete(
                sa, packet: payload.start, length: Int(slot.pointee.length), family: payload.family,
                trafficClass: &slot.pointee.trafficClass, outerTrafficClass: outerTrafficClass, now: now)
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            opened &+= 1
            forwardInner(slot)
        }
        self.count(.opened, opened)
    }

    @inline(never)
    private mutating func announceMapping(_ slot: PacketSlot, sa: UnsafeMutablePointer<InboundRuntime>) {
        let source = ESPInbound.source(slot.packet, esp: slot.esp)
        events.mappingChanged(spi: sa.pointee.spi, to: source.address, port: source.port, now: now)
    }

    /// Whether selectors and policies accept a decrypted packet from its SA (RFC 4301 section 5.2 step 4), and where it
    /// goes. A flow that was accepted once from the same SA under the same snapshot is not asked about again.
    /// False when the packet was dropped.
    @inline(__always)
    mutating func acceptInner(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: ESPInbound.Payload, association: UnsafeMutableRawPointer
    ) -> Bool {
        let key = scratch.keys
        slot.pointee.packet = payload.start
        slot.pointee.flags = .decrypted
        let isCommon = CommonPacket.read(
            payload.start, available: payload.available, family: payload.family, slot: slot, key: key)
        guard isCommon else { return decideInner(slot, payload: payload, association: association, hash: nil) }
        if let entry = lastInner, entry.pointee.association == association, entry.pointee.generation == generation,
            key.pointee.isSame(as: FlowCache.key(of: entry))
        {
            slot.pointee.nextHop = entry.pointee.nextHop
            return true
        }
        let hash = key.pointee.hash(seed: innerFlows.seed)
        if let entry = innerFlows.find(key, hash: hash, generation: generation),
            entry.pointee.association == association
        {
            lastInner = entry
            slot.pointee.nextHop = entry.pointee.nextHop
            return true
        }
        return decideInner(slot, payload: payload, association: association, hash: hash)
    }

    /// Asks the SA's selectors and the snapshot; remembers the answer for common packets, whose key is in the scratch.
    @inline(never)
    private mutating func decideInner(
        _ slot: UnsafeMutablePointer<PacketSlot>, payload: ESPInbound.Payload, association: UnsafeMutableRawPointer,
        hash: UInt64?
    ) -> Bool {
        count(.flowMisses)
        let sa = association.assumingMemoryBound(to: InboundRuntime.self)
        var inner = InnerPacket(start: payload.start)
        if let reason = ESPInbound.accept(sa, payload: payload, inner: &inner).reason {
            drop(slot.pointee, reason)
            return false
        }
        let hop = tables.pointee.route(to: inner.summary.destination)
        let decision = tables.pointee.inboundPolicy(
            inner.summary, spi: sa.pointee.spi.networkOrder, isLocal: hop.pointee.state == .local)
        if let reason = decision.verdict.reason {
            tables.pointee.count(
                policyIndex: decision.policyIndex, worker: index, packets: 1,
                bytes: UInt64(truncatingIfNeeded: inner.length))
            drop(slot.pointee, reason)
            return false
        }
        slot.pointee.nextHop = hop
        slot.pointee.length = UInt32(truncatingIfNeeded: inner.length)
        slot.pointee.trafficClass = inner.summary.trafficClass
        if inner.summary.dontFragment { slot.pointee.flags.insert(.dontFragment) }
        if let hash {
            innerFlows.insert(
                FlowCache.Entry(
                    key: scratch.keys.pointee, association: association, nextHop: hop, generation: generation,
                    owner: UInt16(truncatingIfNeeded: index)),
                hash: hash)
        }
        return true
    }
}
