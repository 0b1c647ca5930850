import IPsec
import Packets

/// The control side's view of policies, SAs, routes, neighbours and interfaces, from which snapshots are made.
///
/// Belongs to one thread. Change what has changed, then `build` and publish. Policies and SAs cost what changes, however
/// many there are; parts that did not change are shared between snapshots.
public final class SnapshotBuilder {
    public let workers: Int
    private var generation: UInt64 = 0
    private var policies: PolicyRegister
    private var outbound = OutboundRegister()
    private var inbound = InboundRegister()
    /// Outbound policies whose SAs have changed, by slot.
    private var relinked: Set<Int> = []
    private var pool: TablePool
    private var interfaces: [PortInterface] = []
    private var neighbours: [NeighbourEntry] = []
    private var routeTables: RouteTables
    /// The forwarding part of snapshots; nil: it is to be made again.
    private var forwarding: Snapshot.Forwarding?
    private var neighbourTables: NeighbourTables?
    private var neighbourNumbers = NeighbourNumbers()
    private var versions = FlowVersionRegister()

    public init(workers: Int) {
        precondition(workers > 0, "a gateway has at least one worker")
        self.workers = workers
        policies = PolicyRegister(workers: workers)
        pool = TablePool(workers: workers)
        routeTables = RouteTables([])
    }

    /// A snapshot of the state now.
    public func build() -> Snapshot {
        generation += 1
        pool.append(takeChanges())
        return Snapshot(
            generation: generation, tables: pool.current(), forwarding: currentForwarding(),
            versions: versions.current(),
            lineage: versions.lineage)
    }

    /// Lets go of SAs that no snapshot has any more; `build` does it too. To be called after snapshots were released.
    public func catchUp() { pool.catchUp() }

    private func currentForwarding() -> Snapshot.Forwarding {
        if let forwarding { return forwarding }
        let byIndex = Dictionary(interfaces.map { ($0.interfaceIndex, $0) }) { _, later in later }
        let neighbourTables =
            self.neighbourTables ?? NeighbourTables(neighbours, interfaces: byIndex, numbers: neighbourNumbers)
        self.neighbourTables = neighbourTables
        let made = Snapshot.Forwarding(
            routes: routeTables,
            nextHops: HotArray(
                routeTables.nextHops(interfaces: byIndex, neighbours: neighbourTables) + neighbourTables.nextHops),
            neighbours: neighbourTables, ownAddresses: .ownAddresses(interfaces))
        forwarding = made
        return made
    }

    /// The changes that the tables have to follow.
    private func takeChanges() -> [TableChange] {
        for requestID in policies.takeRenamed() { inbound.renamed(requestID: requestID) }
        let slots = policies.takeChanged()
        relinked.formUnion(slots)
        var changes = slots.map { TableChange.policy(slot: $0, policies.stored[$0]) }
        changes += relinked.map { .links(slot: $0, links(ofPolicy: $0)) }
        let relinkedNow = relinked
        relinked = []
        changes += outbound.takeChanged().map { .outbound(number: $0.number, $0.association) }
        // An SPI may have gone from one slot to another.
        let members = inbound.takeChanged()
        countVersions(policies: relinkedNow, members: members)
        changes += members.map { .clearInbound(slot: $0) }
        changes += members.compactMap { slot in
            inbound.members[slot].map { .inbound(slot: slot, $0, link(of: $0.association.parameters)) }
        }
        return changes
    }

    /// The versions of all decisions that may be other ones than before grow.
    private func countVersions(policies slots: Set<Int>, members: [Int]) {
        for slot in slots { versions.changed(outboundPolicy: slot) }
        for slot in members { versions.changed(inboundSlot: slot) }
        let touches = policies.takeTouches()
        if let later = policies.slots(behind: touches) {
            for slot in later { versions.changed(outboundPolicy: slot) }
        } else {
            versions.changedAllOutbound()
        }
        if let concerned = inbound.slots(concernedBy: touches) {
            for slot in concerned { versions.changed(inboundSlot: slot) }
        } else {
            versions.changedAllInbound()
        }
    }

    private func links(ofPolicy slot: Int) -> PolicyLinks? {
        guard let policy = policies.stored[slot]?.policy, let protection = policy.protection else { return nil }
        return PolicyLinks(policy, preferredFirst: protection.requestIDs.map(outbound.newestFirst))
    }

    private func link(of parameters: SAParameters) -> InboundLink {
        InboundLink(
            requestID: parameters.requestID,
            selectorsSuffice: !parameters.selectors.isEmpty && !policies.names(parameters),
            source: parameters.source, destination: parameters.destination)
    }
}

// MARK: - Policies and SAs

extension SnapshotBuilder {
    /// Names a policy until it is removed.
    public struct PolicyToken: Hashable, Sendable {
        let slot: Int
    }

    /// Replaces all policies. Those that were there before keep their counters; tokens are valid no longer.
    public func setPolicies(_ policies: [SecurityPolicy]) throws(PolicyError) {
        try self.policies.replaceAll(with: policies)
    }

    /// Adds a policy, behind those of its priority and prefix lengths.
    public func addPolicy(_ policy: SecurityPolicy) throws(PolicyError) -> PolicyToken {
        PolicyToken(slot: try policies.add(policy))
    }

    /// Pretends that so many policies had come that the next one has to number all again.
    func exhaustPolicyNumbers() { policies.nextNumber = Precedence.numbers }

    /// Pretends that so many changes had come that the next one begins another lineage of versions.
    func exhaustFlowVersions() { versions.exhaust() }

    /// Puts a policy in the place of another one that differs in its request ids and its name only.
    public func replacePolicy(_ token: PolicyToken, with policy: SecurityPolicy) {
        policies.replace(slot: token.slot, with: policy)
    }

    public func removePolicy(_ token: PolicyToken) { policies.remove(slot: token.slot) }

    /// Adds an outbound SA, which is from now on the newest. One that replaces another should have the same owner.
    public func addOutbound(_ association: OutboundSA) throws(PolicyError) {
        try checkOwner(association.parameters)
        outbound.add(association)
        relinked.formUnion(policies.slots(servedBy: association.parameters))
    }

    /// Removes an outbound SA; true if it was there.
    @discardableResult
    public func removeOutbound(_ association: OutboundSA) -> Bool {
        guard outbound.replace(association, with: nil) else { return false }
        relinked.formUnion(policies.slots(servedBy: association.parameters))
        return true
    }

    /// Adds an inbound SA. Its SPI has to be unique among those of its protocol: packets are told apart by nothing else.
    public func addInbound(_ association: InboundSA) throws(PolicyError) {
        try checkOwner(association.parameters)
        let key = association.parameters.saKey
        guard !inbound.has(key) else { throw .duplicateSPI(key.spi) }
        inbound.add(association, as: key)
    }

    /// Removes the inbound SA with this SPI; true if it was there.
    @discardableResult
    public func removeInbound(spi: SPI, of securityProtocol: SAProtocol = .esp) -> Bool {
        inbound.remove(SAKey(securityProtocol, spi: spi))
    }

    /// Whether there is an inbound SA with this SPI (host order).
    public func hasInbound(spi: SPI, of securityProtocol: SAProtocol = .esp) -> Bool {
        inbound.has(SAKey(securityProtocol, spi: spi))
    }

    /// Puts an SA that has moved in the place of what it was before; nothing happens when that is gone.
    public func replaceOutbound(_ old: OutboundSA, with new: OutboundSA) {
        guard outbound.replace(old, with: new) else { return }
        relinked.formUnion(policies.slots(servedBy: old.parameters))
        relinked.formUnion(policies.slots(servedBy: new.parameters))
    }

    /// The same for an inbound SA, whose SPI stays.
    public func replaceInbound(_ old: InboundSA, with new: InboundSA) {
        inbound.replace(old, with: new)
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
    public func setRoutes(_ routes: [RouteEntry]) {
        routeTables = RouteTables(routes)
        forwarding = nil
        versions.changedRoutes()
    }

    /// Replaces all neighbours.
    public func setNeighbours(_ neighbours: [NeighbourEntry]) {
        self.neighbours = neighbours
        if neighbourNumbers.follow(neighbours) { versions.changedRoutes() }
        neighbourTables = nil
        forwarding = nil
    }

    /// Replaces all interfaces. Of two with one interface index the later one counts.
    public func setInterfaces(_ interfaces: [PortInterface]) {
        self.interfaces = interfaces
        neighbourTables = nil
        forwarding = nil
        versions.changedRoutes()
    }
}
