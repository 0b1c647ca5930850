import CLinux
import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
    /// Whether the policies accept a decrypted packet from its SA (RFC 4301 section 5.2 step 4), and where it goes: from
    /// the cache of inner flows, else from the snapshot. False when the packet was dropped.
    @inline(__always)
    mutating func acceptInner(
        _ slot: UnsafeMutablePointer<PacketSlot>, inner: InnerPacket, association: UnsafeMutableRawPointer
    ) -> Bool {
        var key = FlowKey(inner.summary, header: inner.start)
        let hash = key.hash(seed: innerFlows.seed)
        if let entry = innerFlows.find(&key, hash: hash, generation: generation),
            entry.pointee.association == association
        {
            slot.pointee.nextHop = entry.pointee.nextHop
            return true
        }
        return decideInner(slot, inner: inner, association: association, key: key, hash: hash)
    }

    @inline(never)
    private mutating func decideInner(
        _ slot: UnsafeMutablePointer<PacketSlot>, inner: InnerPacket, association: UnsafeMutableRawPointer,
        key: FlowKey, hash: UInt64
    ) -> Bool {
        count(.flowMisses)
        let hop = tables.pointee.route(to: inner.summary.destination)
        let sa = association.assumingMemoryBound(to: InboundSA.self)
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
        innerFlows.insert(
            FlowCache.Entry(
                key: key, association: association, nextHop: hop, generation: generation,
                owner: UInt16(truncatingIfNeeded: index)),
            hash: hash)
        return true
    }
}
