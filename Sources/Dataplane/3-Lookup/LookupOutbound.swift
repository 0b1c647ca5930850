import CLinux
import IPsec
import Packets
import Policy
import Telemetry
import XDP

extension Worker {
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

    /// What is not protected: forwarded in clear where a policy says so, else dropped.
    private mutating func decline(
        _ slot: UnsafeMutablePointer<PacketSlot>, reason: DropReason?, summary: PacketSummary, policyIndex: UInt32
    ) {
        // RFC 4301 section 6: an ICMP error that quotes what came protected leaves protected or not at all.
        let quotesDecrypted = slot.pointee.flags.isSuperset(of: .quotesDecrypted)
        guard let reason else {
            return quotesDecrypted ? drop(slot.pointee, .noPolicy) : forwardPlain(slot.pointee)
        }
        if reason == .noOutboundSA { announceAcquire(summary, policyIndex: policyIndex) }
        if reason == .noPolicy, slot.pointee.flags.contains(.decrypted), !quotesDecrypted {
            refuseInner(slot.pointee, destination: summary.destination)
        } else {
            drop(slot.pointee, reason)
        }
    }

    /// A packet out of a tunnel that leads to no LAN and that no policy wants into another tunnel. Where its route itself
    /// refuses it, that is the reason, and its sender is told.
    private mutating func refuseInner(_ slot: PacketSlot, destination: IPAddress) {
        var refused = slot
        let hop = tables.pointee.route(to: destination)
        refused.nextHop = hop
        switch hop.pointee.state {
        case .resolved, .unresolved, .local, .notAPort: drop(slot, .noPolicy)
        case .failed, .unreachable, .blackhole, .prohibited, .noRoute: sendLater(refused)
        }
    }

    /// Tells the control thread that a policy lacks its SA, and which packet showed it. Told again while packets come, but
    /// not for each of them.
    private mutating func announceAcquire(_ summary: PacketSummary, policyIndex: UInt32) {
        guard let requestID = tables.pointee.acquiredRequestID(policyIndex: policyIndex),
            eventLimiter.isDue(.acquire, number: requestID, now: now)
        else { return }
        var event = WorkerEvent(.acquire, number: requestID, address: summary.destination)
        event.source = summary.source
        event.upperProtocol = summary.upperProtocol
        event.isLaterFragment = summary.isLaterFragment
        if !summary.isLaterFragment {
            event.sourcePort = summary.sourcePort
            event.destinationPort = summary.destinationPort
        }
        guard events.push(event) else { return }
        eventLimiter.told(.acquire, number: requestID, now: now)
    }
}
