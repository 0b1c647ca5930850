import IPsec
import Packets
import Telemetry

/// Everything that workers look up, at one point in time. Read-only; valid from `SnapshotReader.acquire` until the
/// reader's next `quiescent`. No lookup allocates, locks or fails.
@frozen
public struct SnapshotTables: @unchecked Sendable {
    /// Grows with every snapshot of a builder, from 1.
    public let generation: UInt64
    @usableFromInline let spaces: UnsafePointer<TupleSpace>
    @usableFromInline let records: UnsafePointer<PolicyRecord>
    /// The policies' records, by index.
    @usableFromInline let outboundLinks: UnsafePointer<OutboundLinks>
    @usableFromInline let spiTable: SPITable
    @usableFromInline let inboundLinks: UnsafePointer<InboundLink>
    @usableFromInline let routesIPv4: LongestPrefixTable
    @usableFromInline let routesIPv6: LongestPrefixTable
    /// The next hops of the routes, and behind them those of the neighbours.
    public let nextHops: UnsafePointer<NextHop>
    @usableFromInline let neighbours: NeighbourTable
    @usableFromInline let neighbourNextHops: UnsafePointer<NextHop>
    @usableFromInline let ownAddresses: UnsafePointer<OwnAddress>
    public let ownAddressCount: Int
    /// Policy indices are below it.
    public let policyCount: Int
    /// The versions that decisions rest on, by place.
    public let flowVersions: UnsafePointer<UInt32>
    /// Versions of another lineage say nothing about those of this one.
    public let flowLineage: UInt64
}

// MARK: - SAs

extension SnapshotTables {
    /// The inbound SA of a protocol with this SPI, given in network order as it lies in the packet; nil when there is none.
    @inlinable
    @inline(__always)
    public func inbound(
        spi: UInt32, of securityProtocol: SAProtocol = .esp
    ) -> UnsafeMutablePointer<InboundRuntime>? {
        var steps = NoSteps()
        return spiTable.find(securityProtocol, spi, steps: &steps).pointee.sa
    }

    /// Brings the cache line near that `inbound` will read. SPI in network order.
    @inlinable
    @inline(__always)
    public func prefetchInbound(spi: UInt32) { spiTable.prefetch(spi) }
}

// MARK: - Forwarding

extension SnapshotTables {
    /// The next hop of a packet to this address. There is always an answer; `NextHop.state` says what it is worth.
    @inlinable
    public func route(to destination: IPAddress) -> UnsafePointer<NextHop> {
        var steps = NoSteps()
        return route(to: destination, steps: &steps)
    }

    @inlinable
    func route<Steps: LookupSteps>(to destination: IPAddress, steps: inout Steps) -> UnsafePointer<NextHop> {
        let value: UInt32
        switch destination.family {
        case .ipv4: value = routesIPv4.find(destination, steps: &steps)
        case .ipv6: value = routesIPv6.find(destination, steps: &steps)
        }
        let nextHop = nextHops + Int(value & ~LongestPrefixTable.onLinkFlag)
        if value & LongestPrefixTable.onLinkFlag == 0 { return nextHop }
        let slot = neighbours.find(destination, interfaceIndex: nextHop.pointee.interfaceIndex, steps: &steps)
        if slot.pointee.nextHop == NeighbourTable.Slot.free { return nextHop }
        return neighbourNextHops + Int(slot.pointee.nextHop)
    }

    /// The gateway's own address towards where a frame came from, as the source of ICMP errors: that of the VLAN, or, where
    /// that has none of the family, another one of the port. nil when the port has none at all. VLAN 0: an untagged frame.
    @inlinable
    public func localAddress(forPort port: UInt16, vlan: UInt16, family: AddressFamily) -> IPAddress? {
        var found: IPAddress?
        var rank = Int.max
        var index = 0
        while index < ownAddressCount, rank > 0 {
            let own = ownAddresses[index]
            index &+= 1
            guard own.port == port, own.address.family == family, own.rank(forVLAN: vlan) < rank else { continue }
            found = own.address
            rank = own.rank(forVLAN: vlan)
        }
        return found
    }

    /// One of the gateway's own addresses; `index` is less than `ownAddressCount`. The global ones come first.
    @inlinable
    public func ownAddress(at index: Int) -> OwnAddress { ownAddresses[index] }
}

extension SnapshotTables {
    /// The first policy of the direction that matches, or `TupleSpace.notFound`. A later fragment is matched without
    /// ports, so that a policy with ports is found too and the caller can see that it might have applied.
    @inlinable
    func findPolicy<Steps: LookupSteps>(_ direction: Int, _ flow: PacketSummary, steps: inout Steps) -> UInt32 {
        let index = TupleSpace.index(direction, flow.family, ignoringPorts: flow.isLaterFragment)
        return spaces[index].find(flow, records: records, steps: &steps)
    }

    /// The decision about a packet from the protected side: an SPD lookup, meant for the first packet of a flow.
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
    /// - `spi`: the SA's, network order, with its protocol. One that this snapshot does not have belongs to an SA that was removed.
    @inlinable
    public func inboundPolicy(
        _ flow: PacketSummary, spi: UInt32, of securityProtocol: SAProtocol = .esp, isLocal: Bool
    ) -> InboundDecision {
        var steps = NoSteps()
        let entry = spiTable.find(securityProtocol, spi, steps: &steps)
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

/// The decision of the security policy database about an outbound packet (RFC 4301 section 5.1).
@frozen
public struct OutboundDecision: BitwiseCopyable, @unchecked Sendable {
    public let action: PolicyAction
    /// The worker that owns the SA; the asking worker when there is no SA.
    public let owner: UInt16
    /// Names the policy (`Snapshot.policy(at:)`); `noPolicy` when none matches.
    public let policyIndex: UInt32
    /// The SA to use. nil with `.protect`: there is none, so one has to be acquired.
    public let sa: UnsafeMutablePointer<OutboundRuntime>?
    /// The SA's outer destination, to be routed to; the packet's destination when there is no SA.
    public let destination: IPAddress

    @inlinable
    init(
        action: PolicyAction, owner: UInt16, policyIndex: UInt32, sa: UnsafeMutablePointer<OutboundRuntime>?,
        destination: IPAddress
    ) {
        self.action = action
        self.owner = owner
        self.policyIndex = policyIndex
        self.sa = sa
        self.destination = destination
    }

    /// The policy index when no policy matches.
    @inlinable
    public static var noPolicy: UInt32 { .max }

    /// A pass when the packet goes on, protected or bypassed; else why it is dropped.
    @inlinable
    public var verdict: Verdict {
        switch action {
        case .protect: sa == nil ? .drop(.noOutboundSA) : .pass
        case .bypass: .pass
        case .discard: .drop(.notEncryptedByPolicy)
        case .none: .drop(.noPolicy)
        case .needsReassembly: .drop(.fragmentNeedsReassembly)
        }
    }
}

/// Whether a decrypted packet may go on (RFC 4301 section 5.2).
@frozen
public struct InboundDecision: BitwiseCopyable, Sendable {
    public let verdict: Verdict
    /// Names the policy (`Snapshot.policy(at:)`); `OutboundDecision.noPolicy` when none matches.
    public let policyIndex: UInt32

    @inlinable
    init(_ verdict: Verdict, policyIndex: UInt32) {
        self.verdict = verdict
        self.policyIndex = policyIndex
    }
}
