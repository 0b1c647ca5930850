import IPsec
import Packets

/// One immutable state of everything that workers look up. Made by `SnapshotBuilder`, handed to workers by
/// `SnapshotPublisher`.
///
/// It keeps every association alive that its tables point to, so that workers can use bare pointers.
public final class Snapshot: @unchecked Sendable {
    // Everything is written by `init` only, and what it refers to does not change while the snapshot is there.

    /// The tables that workers read. Valid as long as the snapshot.
    public let tables: UnsafePointer<SnapshotTables>
    private let forwarding: Forwarding
    private let tableSet: TableSet
    private let versions: HotArray<UInt32>

    /// The memory of what packets are forwarded by, shared with other snapshots as long as it stays the same.
    struct Forwarding {
        var routes: RouteTables
        /// Those of the routes, then those of the neighbours.
        var nextHops: HotArray<NextHop>
        var neighbours: NeighbourTables
        var ownAddresses: HotArray<OwnAddress>
    }

    init(
        generation: UInt64, tables tableSet: TableSet, forwarding: Forwarding, versions: HotArray<UInt32>,
        lineage: UInt64
    ) {
        self.forwarding = forwarding
        self.versions = versions
        self.tableSet = tableSet
        let memory = UnsafeMutablePointer<SnapshotTables>.allocate(capacity: 1)
        memory.initialize(
            to: SnapshotTables(
                generation: generation, spaces: UnsafePointer(tableSet.policies.spaces.base),
                records: UnsafePointer(tableSet.policies.records.base),
                outboundLinks: UnsafePointer(tableSet.outbound.views.base),
                spiTable: tableSet.inbound.spis.table, inboundLinks: UnsafePointer(tableSet.inbound.links.base),
                routesIPv4: forwarding.routes.ipv4.table, routesIPv6: forwarding.routes.ipv6.table,
                nextHops: UnsafePointer(forwarding.nextHops.base), neighbours: forwarding.neighbours.table,
                neighbourNextHops: UnsafePointer(forwarding.nextHops.base + forwarding.routes.targets.count),
                ownAddresses: UnsafePointer(forwarding.ownAddresses.base),
                ownAddressCount: forwarding.ownAddresses.count, policyCount: tableSet.policies.records.count,
                flowVersions: UnsafePointer(versions.base), flowLineage: lineage))
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

    /// All policies in order of precedence.
    public var policies: [PolicyStatus] { tableSet.policies.ordered.map(Self.status) }

    /// The policy with the index that a decision gives.
    public func policy(at index: UInt32) -> PolicyStatus? {
        guard Int(index) < tableSet.policies.policies.count else { return nil }
        return tableSet.policies.policies[Int(index)].map(Self.status)
    }

    private static func status(_ stored: StoredPolicy) -> PolicyStatus {
        PolicyStatus(policy: stored.policy, packets: stored.counters.packets, bytes: stored.counters.bytes)
    }

    /// The SAs from the oldest to the newest.
    public var outboundAssociations: [OutboundSA] {
        tableSet.outbound.associations.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The SAs from the oldest to the newest.
    public var inboundAssociations: [InboundSA] {
        tableSet.inbound.members.compactMap(\.self).sorted { $0.number < $1.number }.map(\.association)
    }

    /// The number of SAs and policies.
    public var counts: (outbound: Int, inbound: Int, policies: Int) {
        (
            tableSet.outbound.associations.count, tableSet.inbound.spis.count,
            tableSet.policies.policies.count { $0 != nil }
        )
    }

    /// The most hash tables that a policy lookup asks.
    func tupleCount(_ direction: SecurityPolicy.Direction, _ family: AddressFamily) -> Int {
        tableSet.policies.tupleCount(direction, family)
    }
}
