import IPsec
import Packets

/// One immutable state of everything that workers look up. Made by `SnapshotBuilder`, handed to workers by
/// `SnapshotPublisher`.
///
/// It keeps every association alive that its tables point to, so that workers can use bare pointers.
public final class Snapshot: @unchecked Sendable {
    // Everything is written by `init` only.

    /// What workers read. Valid as long as the snapshot.
    public let tables: UnsafePointer<SnapshotTables>
    /// From the oldest to the newest.
    public let outboundAssociations: [OutboundAssociation]
    public let inboundAssociations: [InboundAssociation]
    private let parts: Parts

    /// The tables' memory; each part is shared with other snapshots as long as what it is made from stays the same.
    struct Parts {
        var policies: PolicyIndex
        var outbound: OutboundTables
        var inbound: InboundTables
        var routes: RouteTables
        var routeNextHops: HotArray<NextHop>
        var neighbours: NeighbourTables
        var portAddresses: HotArray<IPAddress>
    }

    init(
        generation: UInt64, parts: Parts, outboundAssociations: [OutboundAssociation],
        inboundAssociations: [InboundAssociation]
    ) {
        self.parts = parts
        self.outboundAssociations = outboundAssociations
        self.inboundAssociations = inboundAssociations
        let memory = UnsafeMutablePointer<SnapshotTables>.allocate(capacity: 1)
        memory.initialize(
            to: SnapshotTables(
                generation: generation, spaces: UnsafePointer(parts.policies.spaces.base),
                records: UnsafePointer(parts.policies.records.base), outboundTable: parts.outbound.table,
                spiTable: parts.inbound.table, inboundLinks: UnsafePointer(parts.inbound.links.base),
                routesIPv4: parts.routes.ipv4.table, routesIPv6: parts.routes.ipv6.table,
                routeNextHops: UnsafePointer(parts.routeNextHops.base), neighbours: parts.neighbours.table,
                neighbourNextHops: UnsafePointer(parts.neighbours.nextHops.base),
                portAddresses: UnsafePointer(parts.portAddresses.base), portCount: parts.portAddresses.count / 2,
                policyCount: parts.policies.ordered.count))
        tables = UnsafePointer(memory)
    }

    deinit { tables.deallocate() }

    public var generation: UInt64 { tables.pointee.generation }

    /// A policy and what it has decided about so far.
    public struct PolicyStatus: Hashable, Sendable {
        public let policy: SecurityPolicy
        public let packets: UInt64
        public let bytes: UInt64
    }

    /// All policies in order of precedence: the place of a policy is the index that decisions give.
    public var policies: [PolicyStatus] {
        parts.policies.ordered.map { PolicyStatus(policy: $0.policy, packets: $0.packets, bytes: $0.bytes) }
    }

    /// How many hash tables a policy lookup asks at most.
    func tupleCount(_ direction: SecurityPolicy.Direction, _ family: AddressFamily) -> Int {
        parts.policies.tupleCount(direction, family)
    }
}
