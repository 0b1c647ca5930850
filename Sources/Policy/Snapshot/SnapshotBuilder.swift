import IPsec
import Packets

/// The control side's view of policies, SAs, routes, neighbours and interfaces, from which snapshots are made.
///
/// Belongs to one thread. Change what has changed, then `build` and publish; parts that did not change are shared
/// between snapshots, so that a neighbour's change costs little even with thousands of policies.
public final class SnapshotBuilder {
    public let workers: Int
    private var generation: UInt64 = 0
    private var outbound: [OutboundAssociation] = []
    private var inbound: [InboundAssociation] = []
    /// Of the inbound SAs, host order.
    private var spis: Set<UInt32> = []
    private var interfaces: [PortInterface] = []
    private var neighbours: [NeighbourEntry] = []

    private var policyIndex: PolicyIndex
    private var routeTables: RouteTables
    /// nil, as the next two: to be built again.
    private var outboundTables: OutboundTables?
    private var inboundTables: InboundTables?
    private var neighbourTables: NeighbourTables?

    public init(workers: Int) {
        precondition(workers > 0, "a gateway has at least one worker")
        self.workers = workers
        policyIndex = PolicyIndex([], workers: workers, keeping: nil)
        routeTables = RouteTables([])
    }

    /// A snapshot of the state now.
    public func build() -> Snapshot {
        generation += 1
        let byIndex = Dictionary(interfaces.map { ($0.interfaceIndex, $0) }) { _, later in later }
        let outboundTables = self.outboundTables ?? OutboundTables(outbound, policies: policyIndex.ordered)
        let inboundTables = self.inboundTables ?? InboundTables(inbound, policies: policyIndex.ordered)
        let neighbourTables = self.neighbourTables ?? NeighbourTables(neighbours, interfaces: byIndex)
        self.outboundTables = outboundTables
        self.inboundTables = inboundTables
        self.neighbourTables = neighbourTables
        let parts = Snapshot.Parts(
            policies: policyIndex, outbound: outboundTables, inbound: inboundTables, routes: routeTables,
            routeNextHops: routeTables.nextHops(interfaces: byIndex, neighbours: neighbourTables),
            neighbours: neighbourTables, portAddresses: .portAddresses(interfaces))
        return Snapshot(
            generation: generation, parts: parts, outboundAssociations: outbound, inboundAssociations: inbound)
    }
}

// MARK: - Policies and SAs

extension SnapshotBuilder {
    /// Replaces all policies. Those that were there before keep their counters.
    public func setPolicies(_ policies: [SecurityPolicy]) throws(PolicyError) {
        for policy in policies {
            if let source = policy.protection?.source, let destination = policy.protection?.destination,
                source.family != destination.family
            {
                throw .mixedFamilies(policy: policy.description)
            }
        }
        policyIndex = PolicyIndex(policies, workers: workers, keeping: policyIndex)
        outboundTables = nil
        inboundTables = nil
    }

    /// Adds an outbound SA, which is from now on the newest. One that replaces another should have the same owner.
    public func addOutbound(_ association: OutboundAssociation) throws(PolicyError) {
        try checkOwner(association.parameters)
        outbound.append(association)
        outboundTables = nil
    }

    /// Removes an outbound SA; true if it was there.
    @discardableResult
    public func removeOutbound(_ association: OutboundAssociation) -> Bool {
        guard let index = outbound.firstIndex(where: { $0 === association }) else { return false }
        outbound.remove(at: index)
        outboundTables = nil
        return true
    }

    /// Adds an inbound SA. Its SPI has to be unique, because packets are told apart by nothing else.
    public func addInbound(_ association: InboundAssociation) throws(PolicyError) {
        try checkOwner(association.parameters)
        guard spis.insert(association.parameters.spi).inserted else {
            throw .duplicateSPI(association.parameters.spi)
        }
        inbound.append(association)
        inboundTables = nil
    }

    /// Removes the inbound SA with this SPI (host order); true if it was there.
    @discardableResult
    public func removeInbound(spi: UInt32) -> Bool {
        guard spis.remove(spi) != nil else { return false }
        inbound.removeAll { $0.parameters.spi == spi }
        inboundTables = nil
        return true
    }

    /// Whether there is an inbound SA with this SPI (host order).
    public func hasInbound(spi: UInt32) -> Bool { spis.contains(spi) }

    /// Puts an SA that has moved in the place of what it was before; nothing happens when that is gone.
    public func replaceOutbound(_ old: OutboundAssociation, with new: OutboundAssociation) {
        guard let index = outbound.firstIndex(where: { $0 === old }) else { return }
        outbound[index] = new
        outboundTables = nil
    }

    /// The same for an inbound SA, whose SPI stays.
    public func replaceInbound(_ old: InboundAssociation, with new: InboundAssociation) {
        guard let index = inbound.firstIndex(where: { $0 === old }) else { return }
        inbound[index] = new
        inboundTables = nil
    }

    private func checkOwner(_ parameters: SAParameters) throws(PolicyError) {
        guard parameters.owner >= 0, parameters.owner < workers else {
            throw .ownerOutOfRange(spi: parameters.spi, owner: parameters.owner, workers: workers)
        }
    }
}

// MARK: - Forwarding

extension SnapshotBuilder {
    /// Replaces all routes.
    public func setRoutes(_ routes: [RouteEntry]) { routeTables = RouteTables(routes) }

    /// Replaces all neighbours.
    public func setNeighbours(_ neighbours: [NeighbourEntry]) {
        self.neighbours = neighbours
        neighbourTables = nil
    }

    /// Replaces all interfaces. Of two with one interface index the later one counts.
    public func setInterfaces(_ interfaces: [PortInterface]) {
        self.interfaces = interfaces
        neighbourTables = nil
    }
}
