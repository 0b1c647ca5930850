import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// The way of a batch from a LAN (or this host, or another tunnel) into tunnels, functions in the order of the packet:
///
/// 1. `parseOutbound`: Ethernet, the IP header, and the key of the flow.
/// 2. `lookupOutbound`: policy, SA and next hop, from the flow cache or from the snapshot (RFC 4301 section 5.1). What needs no
///    protection goes on in `Routing`; what another worker's SA protects goes there (`Handover`).
/// 3. `prepareSeal`: hop limit, size, room to send it, sequence number and headers (`ESPOutbound.prepare`).
/// 4. `runESPBatch`: the cipher.
/// 5. `finishSeal`, packet by packet: status, then `send` (`Ports`).
///
/// Steps 1 to 4 each walk the whole batch before the next one begins. A packet that has to be split first, or whose SA takes no
/// more, ends a run of steps 3 to 5 and begins the next one, so that none overtakes another.
extension Worker {
    // MARK: The batch

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

    // MARK: 1. Parse

    /// Finds the IP packet in each slot of the outbound batch and writes its flow key; what is no IP packet is dropped.
    ///
    /// 1. Ethernet, one VLAN tag. 2. IPv4 without options and not a fragment, or IPv6 without extension headers: read
    /// in place. 3. Everything else: `PacketSummary`.
    @inline(__always)
    mutating func parseOutbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            let key = scratch.keys + kept
            let verdict = parseOutbound(slot, key: key)
            index &+= 1
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            // Packets come in trains: the second of a flow and those behind it need no hash.
            if kept > 0, key.pointee.isSame(as: key - 1) {
                slot.pointee.flags.insert(.repeatsFlow)
                scratch.hashes[kept] = scratch.hashes[kept &- 1]
            } else {
                let hash = key.pointee.hash(seed: flows.seed)
                scratch.hashes[kept] = hash
                flows.prefetch(hash: hash)
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private func parseOutbound(
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
        return Worker.readAny(packet, available: length, slot: slot, key: key)
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
    mutating func lookupOutbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var last: UnsafeMutablePointer<FlowCache.Entry>?
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            let key = UnsafePointer(scratch.keys + index)
            let hash = scratch.hashes[index]
            index &+= 1
            if last == nil || !slot.pointee.flags.contains(.repeatsFlow) {
                last = flows.find(key, hash: hash, generation: generation)
            }
            if let entry = last {
                slot.pointee.nextHop = entry.pointee.nextHop
                slot.pointee.association = entry.pointee.association
                if Int(entry.pointee.owner) != self.index {
                    handOver(slot.pointee, to: Int(entry.pointee.owner), kind: .outbound)
                    continue
                }
            } else if !decideOutbound(slot, key: key, hash: hash) {
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
    private mutating func decideOutbound(
        _ slot: UnsafeMutablePointer<PacketSlot>, key: UnsafePointer<FlowKey>, hash: UInt64
    ) -> Bool {
        count(.flowMisses)
        var summary = PacketSummary()
        let length = Int(slot.pointee.length)
        let failure = PacketSummary.parse(slot.pointee.packet, available: length, into: &summary)
        guard failure == .none else {
            drop(slot.pointee, DropReason(failure, packet: slot.pointee.packet, available: length))
            return false
        }
        let decision = tables.pointee.outbound(summary, worker: index)
        if decision.action == .protect, let sa = decision.sa {
            slot.pointee.association = UnsafeMutableRawPointer(sa)
            slot.pointee.nextHop = tables.pointee.route(to: decision.destination)
            flows.insert(
                FlowCache.Entry(
                    key: key.pointee, association: UnsafeMutableRawPointer(sa), nextHop: slot.pointee.nextHop,
                    generation: generation, owner: decision.owner),
                hash: hash)
            if Int(decision.owner) == index {
                ESPOutbound.follow(sa)
                return true
            }
            handOver(slot.pointee, to: Int(decision.owner), kind: .outbound)
            return false
        }
        // Protected traffic is counted at its SAs.
        tables.pointee.count(
            policyIndex: decision.policyIndex, worker: index, packets: 1, bytes: UInt64(truncatingIfNeeded: length))
        decline(slot, reason: decision.verdict.reason, summary: summary, policyIndex: decision.policyIndex)
        return false
    }

    // MARK: 3 to 5. Protect

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
        ports.hasRoom(for: count) ? sealRun(slots, count: count, isTight: false) : protectTightRun(slots, count: count)
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
        if isTight { ports.endPromises() }
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

    /// Packets that go through the cipher side by side.
    private struct SealRun {
        /// Ready for the cipher.
        var prepared = 0
        /// Slots that were looked at.
        var taken = 0
        /// The outcome for the last of those.
        var last = Last.sealed
        /// Why its SA has refused it.
        var reason = DropReason.saRetired

        enum Last: UInt8, BitwiseCopyable {
            /// The packet is like the others: prepared, or its way has ended.
            case sealed
            /// The packet has to be split, and is not prepared.
            case toBeSplit
            /// The packet needs room for several, and is not prepared.
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

    /// The cipher of a batch, in either direction: the one place that calls it.
    @inline(never)
    static func runESPBatch(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) {
        ESPBatch.run(operations, count: count)
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

    // MARK: An SA that is spent

    /// An SA takes no packet any more: a hard limit or the end of its sequence numbers is reached. The packet, and its flow, go
    /// on by another SA of the policy if one lives. True when that is this worker's; otherwise the packet's way here has ended.
    @inline(never)
    mutating func leaveSpent(_ slot: UnsafeMutablePointer<PacketSlot>, _ reason: DropReason) -> Bool {
        var summary = PacketSummary()
        let packet = slot.pointee.packet
        guard PacketSummary.parse(packet, available: Int(slot.pointee.length), into: &summary) == .none else {
            drop(slot.pointee, reason)
            return false
        }
        let decision = tables.pointee.outbound(summary, worker: index)
        // Only one that is not known to be spent: whatever refuses the packet next is known then, so this comes to an end.
        guard decision.action == .protect, let sa = decision.sa, !sa.pointee.isSpent else {
            drop(slot.pointee, reason)
            return false
        }
        slot.pointee.association = UnsafeMutableRawPointer(sa)
        slot.pointee.nextHop = tables.pointee.route(to: decision.destination)
        remember(slot, key: FlowKey(summary, header: packet), owner: decision.owner)
        if Int(decision.owner) != index {
            handOver(slot.pointee, to: Int(decision.owner), kind: .outbound)
            return false
        }
        ESPOutbound.follow(sa)
        return true
    }

    /// Puts the packet's SA in the place of the one that its flow had.
    private mutating func remember(_ slot: UnsafeMutablePointer<PacketSlot>, key: FlowKey, owner: UInt16) {
        var key = key
        let hash = key.hash(seed: flows.seed)
        let entry = FlowCache.Entry(
            key: key, association: slot.pointee.association, nextHop: slot.pointee.nextHop, generation: generation,
            owner: owner)
        if let known = flows.find(&key, hash: hash, generation: generation) {
            known.pointee = entry
        } else {
            flows.insert(entry, hash: hash)
        }
    }
}
