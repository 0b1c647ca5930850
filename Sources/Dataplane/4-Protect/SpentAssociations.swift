import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
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
