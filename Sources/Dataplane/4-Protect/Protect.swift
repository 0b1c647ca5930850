import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry
import XDP

extension Worker {
    /// The outbound batch through all its stages; empties it.
    @inline(__always)
    mutating func processOutbound() {
        if outbound.count == 0 { return }
        let slots = outbound.slots
        let parsed = parseOutbound(slots, count: outbound.count)
        outbound.count = 0
        let decided = lookupOutbound(slots, count: parsed)
        protect(slots, count: decided)
    }

    /// Seals packets whose SA is known, and sends them (RFC 4301 section 5.1.2, RFC 4303 section 3.3).
    @inline(__always)
    mutating func protect(_ slots: UnsafeMutablePointer<PacketSlot>, count decided: Int) {
        let prepared = prepareSeal(slots, count: decided)
        if prepared == 0 { return }
        ESPBatch.run(scratch.operations, count: prepared)
        finishSeal(slots, count: prepared)
        count(.protected, UInt64(truncatingIfNeeded: prepared))
    }

    /// Everything before the cipher: hop limit, size, sequence number, headers.
    @inline(__always)
    private mutating func prepareSeal(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            // Header, where the outer headers go, where the trailer goes.
            let ahead = slot + SlotBatch.lookAhead
            sluice_prefetch_write(ahead.pointee.packet)
            sluice_prefetch_write(ahead.pointee.packet - 64)
            sluice_prefetch_write(ahead.pointee.packet + Int(ahead.pointee.length))
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: OutboundSA.self)
            if !admit(slot, sa: sa) { continue }
            let verdict = ESPOutbound.prepare(
                sa, inner: slot.pointee.packet, innerLength: Int(slot.pointee.length),
                trafficClass: slot.pointee.trafficClass, nextHeader: slot.pointee.nextHeader,
                dontFragment: slot.pointee.flags.contains(.dontFragment), now: now,
                operation: scratch.operations + kept, outer: &scratch.outer[kept])
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

    /// Hop limit and size. False when the packet's way ended here.
    @inline(__always)
    private mutating func admit(
        _ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundSA>
    ) -> Bool {
        if slot.pointee.flags.isDisjoint(with: .notToBeRouted) {
            guard HopLimit.decrement(slot.pointee.packet) else {
                answer(slot.pointee, with: .timeExceeded, reason: .hopLimitExpired)
                return false
            }
            slot.pointee.flags.insert(.forwarded)
        }
        let length = Int(slot.pointee.length)
        let fits =
            length <= Int(sa.pointee.mtu)
            && length &+ OutboundSA.maximumTailroom <= roomBehind(slot.pointee.packet)
            && roomBefore(slot.pointee.packet) >= OutboundSA.maximumHeadroom
        if fits { return true }
        if mayOutgrowPath(slot) {
            slot.pointee.flags.insert(.outgrowsPath)
            return true
        }
        handleTooBig(slot.pointee, sa: sa)
        return false
    }

    /// Everything after the cipher: status, link header, transmit ring.
    @inline(__always)
    private mutating func finishSeal(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        var index = 0
        while index < count {
            let slot = slots + index
            let outer = scratch.outer + index
            let operation = scratch.operations + index
            sluice_prefetch_write(slot[SlotBatch.lookAhead].packet - 64)
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: OutboundSA.self)
            let verdict = ESPOutbound.finish(sa, operation: operation, outer: outer.pointee)
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            slot.pointee.flags.insert(.sealed)
            slot.pointee.packet = outer.pointee.start
            slot.pointee.length = UInt32(truncatingIfNeeded: outer.pointee.length)
            if slot.pointee.flags.contains(.outgrowsPath) {
                sendFragments(slot.pointee, sa: sa)
            } else {
                send(slot)
            }
        }
    }
}
