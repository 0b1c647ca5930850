import CLinux
import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
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
            inner.summary, spi: sa.pointee.spi.bigEndian, isLocal: hop.pointee.state == .local)
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
