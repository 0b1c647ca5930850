import IPsec
import Packets
import Telemetry

extension SnapshotTables {
    /// The first policy of the direction that matches, or `TupleSpace.notFound`. A later fragment is matched without
    /// ports, so that a policy with ports is found too and the caller can see that it might have applied.
    @inlinable
    func findPolicy<Steps: LookupSteps>(_ direction: Int, _ flow: PacketSummary, steps: inout Steps) -> UInt32 {
        let index = TupleSpace.index(direction, flow.family, ignoringPorts: flow.isLaterFragment)
        return spaces[index].find(flow, records: records, steps: &steps)
    }

    /// What to do with a packet from the protected side: an SPD lookup, meant for the first packet of a flow.
    ///
    /// A later fragment whose first candidate is a policy with ports is answered with `.needsReassembly`, and never
    /// passed on to a lower policy, which may want less protection (RFC 4301 section 7).
    @inlinable
    public func outbound(_ flow: PacketSummary, worker: Int) -> OutboundDecision {
        var steps = NoSteps()
        let policy = findPolicy(TupleSpace.out, flow, steps: &steps)
        if policy == TupleSpace.notFound { return withoutSA(.none, policy, flow, worker) }
        let record = records + Int(policy)
        if flow.isLaterFragment, !record.pointee.selector.isAnyPort {
            return withoutSA(.needsReassembly, policy, flow, worker)
        }
        guard record.pointee.action == .protect,
            let link = outboundLinks[Int(policy)].select(flow: flow, worker: worker)
        else { return withoutSA(record.pointee.action, policy, flow, worker) }
        return OutboundDecision(
            action: .protect, owner: link.pointee.owner, policyIndex: policy, sa: link.pointee.sa,
            destination: link.pointee.destination)
    }

    @inlinable
    func withoutSA(_ action: PolicyAction, _ policy: UInt32, _ flow: PacketSummary, _ worker: Int) -> OutboundDecision {
        OutboundDecision(
            action: action, owner: UInt16(truncatingIfNeeded: worker), policyIndex: policy, sa: nil,
            destination: flow.destination)
    }

    /// Whether a decrypted packet, which already matched the selectors of its SA, is what the policies want.
    ///
    /// `isLocal`: it is for this host, so `in` policies decide, else `fwd` policies, as in Linux. The rules, in order:
    ///
    /// 1. The first policy of the direction that matches the packet decides. It passes only if it asks for protection
    ///    and its request id and endpoints are those of the SA; `discard` refuses the packet, and so does `bypass`, since
    ///    a policy that wants no protection does not authorise a tunnel.
    /// 2. A later fragment whose first candidate is a policy with ports is dropped (RFC 4301 section 7).
    /// 3. When no policy matches, the packet passes only if the SA has selectors and no `in` or `fwd` policy names the
    ///    SA: then the selectors are all that was configured. An SA with neither carries nothing.
    ///
    /// - Parameter spi: the SA's, network order. One that this snapshot does not have belongs to an SA that was removed.
    @inlinable
    public func inboundPolicy(_ flow: PacketSummary, spi: UInt32, isLocal: Bool) -> InboundDecision {
        var steps = NoSteps()
        let entry = spiTable.find(spi, steps: &steps)
        if entry.pointee.sa == nil { return InboundDecision(.drop(.saRetired), policyIndex: TupleSpace.notFound) }
        let link = inboundLinks + Int(entry.pointee.link)
        let policy = findPolicy(isLocal ? TupleSpace.in : TupleSpace.forward, flow, steps: &steps)
        if policy == TupleSpace.notFound {
            let verdict: Verdict = link.pointee.selectorsSuffice ? .pass : .drop(.noInboundPolicy)
            return InboundDecision(verdict, policyIndex: policy)
        }
        let record = records + Int(policy)
        if flow.isLaterFragment, !record.pointee.selector.isAnyPort {
            return InboundDecision(.drop(.fragmentNeedsReassembly), policyIndex: policy)
        }
        if record.pointee.action == .discard {
            return InboundDecision(.drop(.noInboundPolicy), policyIndex: policy)
        }
        let verdict: Verdict = record.pointee.accepts(link.pointee) ? .pass : .drop(.inboundProtectionMismatch)
        return InboundDecision(verdict, policyIndex: policy)
    }

    /// The request id by which a protecting policy asks for an SA; nil when it does not ask, and when there is no such
    /// policy.
    @inlinable
    public func acquiredRequestID(policyIndex: UInt32) -> UInt32? {
        if Int(policyIndex) >= policyCount || !records[Int(policyIndex)].acquires { return nil }
        return records[Int(policyIndex)].requestID
    }

    /// Counts packets that a policy decided about; an index that is none counts nothing. Each worker has counters of its
    /// own, so `worker` has to be the caller's.
    @inlinable
    public func count(policyIndex: UInt32, worker: Int, packets: UInt64, bytes: UInt64) {
        if Int(policyIndex) >= policyCount { return }
        let counters = records[Int(policyIndex)].counters
        let index = worker &* PolicyRecord.countersPerWorker
        if index < 0 || index &+ 1 >= counters.count { return }
        counters[index].add(packets)
        counters[index &+ 1].add(bytes)
    }
}
