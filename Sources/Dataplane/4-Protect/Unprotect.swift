import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
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

    /// Tells the control thread that the peer's packets come from elsewhere (RFC 7296 section 2.23).
    @inline(never)
    private mutating func announceMapping(_ slot: PacketSlot, sa: UnsafeMutablePointer<InboundRuntime>) {
        let source = ESPInbound.source(slot.packet, esp: slot.esp)
        // Each new place is told of at once, however soon after another one.
        let place = UInt32(truncatingIfNeeded: source.address.low) ^ UInt32(source.port) &<< 16
        let subject = sa.pointee.spi ^ place
        guard eventLimiter.isDue(.mappingChanged, number: subject, now: now) else { return }
        var event = WorkerEvent(.mappingChanged, number: sa.pointee.spi, address: source.address)
        event.sourcePort = source.port
        guard events.push(event) else { return }
        eventLimiter.told(.mappingChanged, number: subject, now: now)
    }
}
