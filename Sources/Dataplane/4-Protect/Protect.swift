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
        let count = outbound.count
        if count == 0 { return }
        makeRoomForDerived(count)
        outbound.count = 0
        processOutbound(outbound.slots, count: count)
    }

    /// Packets from the protected side through all stages. They lie at the front of a `SlotBatch`.
    @inline(__always)
    mutating func processOutbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        makeRoom(for: count)
        let parsed = parseOutbound(slots, count: count)
        let decided = lookupOutbound(slots, count: parsed)
        protect(slots, count: decided)
    }

    /// Seals packets whose SA is known, and sends them (RFC 4301 section 5.1.2, RFC 4303 section 3.3).
    @inline(__always)
    mutating func protect(_ slots: UnsafeMutablePointer<PacketSlot>, count decided: Int) {
        var done = 0
        while done < decided { done &+= protectRun(slots + done, count: decided &- done) }
    }

    /// Seals and sends packets up to one that has to be split first or to change its SA, and then that one, so that none
    /// overtakes another. Returns how many it got through.
    @inline(__always)
    private mutating func protectRun(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        hasRoom(for: count) ? sealRun(slots, count: count, isTight: false) : protectTightRun(slots, count: count)
    }

    /// Some port may not have room for all: each packet is promised its place.
    @inline(never)
    private mutating func protectTightRun(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        sealRun(slots, count: count, isTight: true)
    }

    @inline(__always)
    private mutating func sealRun(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, isTight: Bool
    ) -> Int {
        let run = prepareSeal(slots, count: count, isTight: isTight)
        if isTight { endPromises() }
        if run.prepared != 0 {
            Worker.runESPBatch(scratch.operations, count: run.prepared)
            finishSeal(slots, count: run.prepared)
            self.count(.protected, UInt64(truncatingIfNeeded: run.prepared))
        }
        if run.last == .sealed { return run.taken }
        let last = slots + (run.taken &- 1)
        switch run.last {
        case .sealed: break
        case .toBeSplit: protectInFragments(last.pointee)
        case .outgrowsPath: return run.taken &- 1 &+ protectTightRun(last, count: 1)
        case .refused:
            // Once more by its new SA, if that is this worker's.
            if leaveSpent(last, run.reason) { return run.taken &- 1 }
        }
        return run.taken
    }

    /// The cipher of a batch, in either direction: the one place that calls it.
    @inline(never)
    static func runESPBatch(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) {
        ESPBatch.run(operations, count: count)
    }

    /// Packets that go through the cipher side by side.
    private struct SealRun {
        /// Ready for the cipher.
        var prepared = 0
        /// Slots that were looked at.
        var taken = 0
        /// Of those, what became of the last one.
        var last = Last.sealed
        /// Why its SA has refused it.
        var reason = DropReason.saRetired

        enum Last: UInt8, BitwiseCopyable {
            /// As of the others: prepared, or its way has ended.
            case sealed
            /// It has to be split, and is not prepared.
            case toBeSplit
            /// It needs room for several, and is not prepared.
            case outgrowsPath
            /// Its SA takes no packet any more.
            case refused
        }
    }

    /// Everything before the cipher: hop limit, size, room to send it, sequence number, headers.
    @inline(__always)
    private mutating func prepareSeal(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, isTight: Bool
    ) -> SealRun {
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
            let sa = raw.assumingMemoryBound(to: OutboundRuntime.self)
            if !admit(slot, sa: sa, isTight: isTight) {
                if slot.pointee.flags.isDisjoint(with: .ofRunEnds) { continue }
                let isSplit = slot.pointee.flags.contains(.exceedsTunnel)
                return SealRun(prepared: kept, taken: index, last: isSplit ? .toBeSplit : .outgrowsPath)
            }
            if isTight, !promiseRoom(slot, sa: sa) {
                drop(slot.pointee, .outputOverload)
                continue
            }
            let verdict = ESPOutbound.prepare(
                sa, inner: slot.pointee.packet, innerLength: Int(slot.pointee.length),
                trafficClass: slot.pointee.trafficClass, nextHeader: slot.pointee.nextHeader,
                dontFragment: slot.pointee.flags.contains(.dontFragment), now: now,
                operation: scratch.operations + kept, outer: &scratch.outer[kept])
            if let reason = verdict.reason {
                return SealRun(prepared: kept, taken: index, last: .refused, reason: reason)
            }
            ESPBatch.prepare(scratch.operations + kept)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return SealRun(prepared: kept, taken: index)
    }

    /// Hop limit and size. False when the packet's way ended here, when it has to be split first, or when it needs more than one
    /// place in a ring and nobody is promised his (`isTight`).
    @inline(__always)
    private mutating func admit(
        _ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>, isTight: Bool
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
            && length &+ OutboundRuntime.maximumTailroom <= roomBehind(slot.pointee.packet)
            && roomBefore(slot.pointee.packet) >= OutboundRuntime.maximumHeadroom
        if fits { return true }
        if mayOutgrowPath(slot) {
            slot.pointee.flags.insert(.outgrowsPath)
            return isTight
        }
        handleTooBig(slot, sa: sa)
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
            let sa = raw.assumingMemoryBound(to: OutboundRuntime.self)
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
