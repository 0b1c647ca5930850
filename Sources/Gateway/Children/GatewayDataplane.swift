import Cryptography
import Dataplane
import IKEv2
import IPsec
import Logging
import Packets
import Policy

/// CHILD_SAs in the SAD and SPD of the running gateway, beside what was configured by hand. Belongs to the control thread.
///
/// Everything goes through snapshots: calls change the builder, and `settle` publishes what has come together, so that
/// what workers look up changes as a whole and many handshakes share one publication.
final class GatewayDataplane: ChildDataplane {
    weak var host: (any ChildPublishing)?
    let builder: SnapshotBuilder
    private let engine: any ESPEngine
    private let logger: Logger
    /// Packets; of children that name none.
    private let replayWindow: Int
    var children: [SPI: DataplaneChild] = [:]
    private(set) var covers = InstalledCovers()
    /// Called when another list of traffic is covered than before, after workers have it.
    var coveredChanged: () -> Void = {}
    private var book: PolicyBook
    private var owners: ChildOwners
    /// The work of the next `settle`.
    private var pending: Pending?
    /// The host's addresses; nil: not known.
    var ownAddresses: Set<IPAddress>?
    /// Inbound SPIs that are given out, installed or not.
    private(set) var spis: Set<SPI> = []

    private var watch = ChildWatch()

    private struct Pending {
        /// The SPIs of new inbound SAs, which the peer may use as soon as it hears of them.
        var installed: [SPI] = []
        var policies = PolicyChange()
        /// An outbound SA that replaces no other one came, or one went without a successor: the host's routes follow.
        var isOutboundChanged = false
        var isCoverChanged = false
    }

    /// - Parameters:
    ///   - builder: holds SAs and policies of the configuration already.
    ///   - configured: those policies.
    ///   - replayWindow: in packets, of children that name none.
    init(
        builder: SnapshotBuilder, configured: [SecurityPolicy], engine: any ESPEngine, replayWindow: Int = 1024,
        logger: Logger
    ) {
        self.builder = builder
        self.engine = engine
        self.logger = logger
        self.replayWindow = replayWindow
        book = PolicyBook(configured)
        owners = ChildOwners(workers: builder.workers)
    }

    /// All policies, those of the configuration first.
    var policies: [SecurityPolicy] { book.all }

    /// Whether packets of this request id are for CHILD_SAs.
    func isOurs(requestID: UInt32) -> Bool { requestID != 0 && !book.configuredRequestIDs.contains(requestID) }

    /// The traffic that leaves through SAs or not at all, and what was configured by hand.
    var covered: CoveredList { covers.list(beside: book.byHand) }

    /// Whether nothing is left of any CHILD_SA or loaded child.
    var isEmpty: Bool {
        children.isEmpty && covers.isEmpty && spis.isEmpty && owners.isEmpty && book.isEmptyOfChildren
    }

    var reservedRequestIDs: Set<UInt32> { book.configuredRequestIDs }

    // MARK: SPIs

    func allocateSPI() throws(InstallationError) -> SPI {
        // Of more than four thousand million, so many in a row are taken only if something is very wrong.
        for _ in 0..<64 {
            let spi = SPI(.random(in: 256 ... .max))
            guard !spis.contains(spi), !builder.hasInbound(spi: spi) else { continue }
            spis.insert(spi)
            host?.expectedSPIs.insert(spi)
            return spi
        }
        throw InstallationError("no free SPI was found; there are \(spis.count) in use")
    }

    func hasRoom(for selectors: [TrafficSelector]) -> Bool { host?.canSteer(selectors) ?? true }

    func releaseSPI(_ spi: SPI) {
        guard children[spi]?.inbound == nil else { return }
        spis.remove(spi)
        host?.expectedSPIs.remove(spi)
    }

    // MARK: SAs

    func installInbound(_ sa: ChildSA) throws(InstallationError) {
        try check(sa)
        guard children[sa.inboundSPI]?.inbound == nil else {
            throw InstallationError("the inbound SA \(sa.inboundSPI) is installed already")
        }
        var child = entry(sa)
        do {
            let parameters = ChildParameters.inbound(
                sa, requestID: covers.cover(of: sa)?.cover.requestID ?? sa.requestID, replayWindow: replayWindow,
                owner: child.owner)
            let association = try InboundSA(parameters, engine: engine, now: now.nanoseconds)
            try builder.addInbound(association)
            child.inbound = association
        } catch {
            forgetLane(child)
            throw InstallationError("inbound SA \(sa.inboundSPI): \(error)")
        }
        child.inboundClaims = ChildPolicies.inbound(sa, cover: covers.cover(of: sa))
        children[sa.inboundSPI] = child
        spis.insert(sa.inboundSPI)
        change(adding: child.inboundClaims, installed: sa.inboundSPI)
    }

    func installOutbound(_ sa: ChildSA) throws(InstallationError) {
        try check(sa)
        guard children[sa.inboundSPI]?.outbound == nil else {
            throw InstallationError("the outbound SA \(sa.outboundSPI) is installed already")
        }
        var child = entry(sa)
        do {
            let parameters = ChildParameters.outbound(sa, owner: child.owner)
            let association = try OutboundSA(
                parameters, engine: engine, pathMTU: pathMTU(towards: parameters.destination), now: now.nanoseconds)
            child.isSuspended = isLost(parameters.source)
            if !child.isSuspended { try builder.addOutbound(association) }
            child.outbound = association
        } catch {
            forgetLane(child)
            throw InstallationError("outbound SA \(sa.outboundSPI): \(error)")
        }
        child.outboundClaims = ChildPolicies.outbound(sa, cover: covers.cover(of: sa))
        children[sa.inboundSPI] = child
        if let (selector, owner) = covers.overshadowed(sa) {
            logger.warning(
                "a peer has narrowed its CHILD_SA to packets that the configuration gives to another child",
                metadata: ["child": "\(child.name)", "packets": "\(selector)", "whose": "\(owner)"])
        }
        change(adding: child.outboundClaims, isOutbound: owners.count(child.lane) == 1)
    }

    func removeInbound(_ sa: ChildSA) {
        guard var child = children[sa.inboundSPI], let inbound = child.inbound else { return }
        builder.removeInbound(spi: inbound.parameters.spi)
        let claims = child.inboundClaims
        child.inbound = nil
        child.inboundClaims = []
        spis.remove(sa.inboundSPI)
        keep(child, spi: sa.inboundSPI)
        change(removing: claims)
    }

    func removeOutbound(_ sa: ChildSA) {
        guard var child = children[sa.inboundSPI], let outbound = child.outbound else { return }
        builder.removeOutbound(outbound)
        let claims = child.outboundClaims
        child.outbound = nil
        child.outboundClaims = []
        let isLast = owners.count(child.lane) == 1
        keep(child, spi: sa.inboundSPI)
        change(removing: claims, isOutbound: isLast)
    }

    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {
        guard var child = children[sa.inboundSPI] else { return }
        do {
            if let old = child.inbound {
                let moved = try InboundSA(
                    moving: old, source: path.remote.address, destination: path.local.address,
                    encapsulation: ChildParameters.inboundEncapsulation(path, isEncapsulated))
                builder.replaceInbound(old, with: moved)
                child.inbound = moved
            }
            if let old = child.outbound {
                let moved = try OutboundSA(
                    moving: old, source: path.local.address, destination: path.remote.address,
                    encapsulation: ChildParameters.outboundEncapsulation(path, isEncapsulated),
                    pathMTU: pathMTU(towards: path.remote.address))
                if !child.isSuspended { builder.replaceOutbound(old, with: moved) }
                child.outbound = moved
                child = suspendedAsNeeded(child)
            }
        } catch {
            logger.error(
                "CHILD_SA not moved", metadata: ["child": "\(child.name)", "to": "\(path)", "error": "\(error)"])
        }
        children[sa.inboundSPI] = child
        change()
    }

    // MARK: What is covered

    func cover(_ cover: ChildCover) throws(InstallationError) {
        try check(requestID: cover.requestID)
        guard let (new, old) = covers.set(cover) else { return }
        // In one snapshot, so that no packet finds a gap.
        change(adding: new.claims, removing: old?.claims ?? [], isOutbound: true, isCover: true)
    }

    func uncover(connection: String, child: String) {
        guard let old = covers.remove(connection: connection, child: child) else { return }
        change(removing: old.claims, isOutbound: true, isCover: true)
    }

    // MARK: Usage

    func usage(of sa: ChildSA) -> ChildUsage? { children[sa.inboundSPI]?.usage }
}

// MARK: - What the calls have in common

extension GatewayDataplane {
    var now: Instant { host?.now ?? 0 }

    private func pathMTU(towards peer: IPAddress) -> Int { host?.pathMTU(towards: peer) ?? 1500 }

    private func check(_ sa: ChildSA) throws(InstallationError) {
        guard sa.mode == .tunnel else {
            throw InstallationError("\(sa.mode.rawValue) mode is not served", remedy: "set `mode = tunnel`")
        }
        guard !sa.selectors.isEmpty else { throw InstallationError("CHILD_SA without traffic selectors") }
        guard children[sa.inboundSPI] != nil || hasRoom(for: sa.selectors) else {
            throw InstallationError("the steering program has no room for the networks of this CHILD_SA")
        }
        try check(requestID: sa.requestID)
    }

    /// SAs of one request id stand in for each other, so that IKE's and those that were keyed by hand must not meet.
    private func check(requestID: UInt32) throws(InstallationError) {
        guard requestID != 0 else {
            throw InstallationError("request id 0 stands for every SA", remedy: "use another one")
        }
        guard !book.configuredRequestIDs.contains(requestID) else {
            throw InstallationError("request id \(requestID) belongs to a policy that was configured by hand")
        }
    }

    /// The CHILD_SA as far as it is there, or its beginning, with a worker of its own.
    private func entry(_ sa: ChildSA) -> DataplaneChild {
        if let child = children[sa.inboundSPI] { return child }
        let lane = ChildOwners.Lane(
            requestID: sa.requestID, connection: sa.connectionName, child: sa.child.name, selectors: sa.selectors)
        return DataplaneChild(lane: lane, owner: owners.add(lane))
    }

    /// After an installation that failed.
    private func forgetLane(_ child: DataplaneChild) {
        if child.isEmpty { owners.remove(child.lane) }
    }

    /// Keeps what is left of a CHILD_SA.
    private func keep(_ child: DataplaneChild, spi: SPI) {
        if child.isEmpty {
            children[spi] = nil
            watch.forget(spi: spi)
            owners.remove(child.lane)
        } else {
            children[spi] = child
        }
    }

    /// Notes what the builder was told, and claims on policies.
    private func change(
        adding new: [PolicyBook.Claim] = [], removing old: [PolicyBook.Claim] = [], installed spi: SPI? = nil,
        isOutbound: Bool = false, isCover: Bool = false
    ) {
        var work = pending ?? Pending()
        let isFirst = pending == nil
        if let spi { work.installed.append(spi) }
        let policies = book.change(adding: new, removing: old, in: builder)
        work.policies.added += policies.added
        work.policies.removed += policies.removed
        work.isOutboundChanged = work.isOutboundChanged || isOutbound
        work.isCoverChanged = work.isCoverChanged || isCover
        pending = work
        if isFirst { host?.settleSoon() }
    }

    /// Outbound SAs came or went without a policy that did.
    func outboundChanged() { change(isOutbound: true) }

    /// Makes everything so far live. Workers that do not have the inbound SAs yet keep packets of them until they do: their peers
    /// may be told.
    func settle() {
        guard let work = pending else { return }
        pending = nil
        for spi in work.installed { host?.expectedSPIs.insert(spi) }
        let installed = work.installed
        // Nothing to be told when a worker is late: until then it keeps packets of these SAs.
        let forget: () -> Void = { [weak self] in
            for spi in installed { self?.host?.expectedSPIs.remove(spi) }
        }
        host?.publish(builder, whenSeen: installed.isEmpty ? nil : forget)
        if !work.policies.isEmpty || work.isOutboundChanged { host?.policiesChanged(work.policies) }
        if work.isCoverChanged { coveredChanged() }
    }
}

// MARK: - What the manager has to hear of

extension GatewayDataplane {
    /// Limits that SAs have reached since the last call. To be called a few times a second.
    func takeLimitEvents() -> [DataplaneEvent] { watch.limits(of: children, now: now) }

    /// SAs whose packets have not been answered for a while. To be called a few times a second.
    func takeSilences() -> [DataplaneEvent] { watch.silences(of: children, now: now) }

    /// The connection whose CHILD_SA has an inbound SPI; nil when there is none.
    func connection(inboundSPI spi: SPI) -> String? { children[spi]?.lane.connection }

    /// The meaning of a worker's event to the manager; nil when it is about something else.
    func translate(_ event: WorkerEvent) -> DataplaneEvent? {
        switch event.kind {
        case .neighbourWanted: return nil
        case .acquire:
            guard isOurs(requestID: event.number) else { return nil }
            return .acquire(requestID: event.number, packet: event.selector)
        case .mappingChanged:
            guard children[SPI(event.number)]?.inbound != nil else { return nil }
            return .mappingChanged(
                inboundSPI: SPI(event.number), remote: Endpoint(event.address, port: event.sourcePort))
        case .unknownSPI: return .unknownSPI(SPI(event.number), from: event.address)
        }
    }
}

/// The packet that wants an SA, as a worker tells of it.
extension WorkerEvent {
    /// The packet itself, as a selector. ICMP type and code have no direction and count as source port.
    var selector: TrafficSelector? {
        guard source.family == address.family else { return nil }
        let hasPorts = !isLaterFragment && Self.portProtocols.contains(upperProtocol)
        let hasType = upperProtocol == IPProtocol.icmp || upperProtocol == IPProtocol.icmpv6
        return TrafficSelector(
            source: AddressRange(source), destination: AddressRange(address),
            protocol: upperProtocol,
            sourcePorts: hasPorts || hasType && !isLaterFragment
                ? sourcePort...sourcePort : TrafficSelector.anyPort,
            destinationPorts: hasPorts ? destinationPort...destinationPort : TrafficSelector.anyPort)
    }

    /// TCP, UDP, DCCP, SCTP, UDP-Lite.
    private static let portProtocols: Set<UInt8> = [6, 17, 33, 132, 136]
}

// MARK: - Lost addresses

/// Outbound SAs whose source is no longer an address of this host. Workers do not get them: nothing leaves with an address
/// that may be somebody else's by now, and what they would have carried is dropped.
extension GatewayDataplane {
    /// The host has these addresses now.
    func follow(ownAddresses addresses: Set<IPAddress>) {
        guard addresses != ownAddresses else { return }
        ownAddresses = addresses
        var isChanged = false
        for (spi, child) in children where child.outbound != nil {
            let next = suspendedAsNeeded(child)
            guard next.isSuspended != child.isSuspended else { continue }
            children[spi] = next
            isChanged = true
        }
        if isChanged { outboundChanged() }
    }

    /// Outbound SAs that workers do not have.
    var suspended: [OutboundSA] { children.values.filter(\.isSuspended).compactMap(\.outbound) }

    func isLost(_ source: IPAddress) -> Bool { ownAddresses.map { !$0.contains(source) } ?? false }

    /// The child with its outbound SA given to workers or taken from them, as the host's addresses are.
    func suspendedAsNeeded(_ child: DataplaneChild) -> DataplaneChild {
        guard let outbound = child.outbound else { return child }
        var child = child
        let isLost = isLost(outbound.parameters.source)
        if isLost, !child.isSuspended {
            builder.removeOutbound(outbound)
            child.isSuspended = true
        } else if !isLost, child.isSuspended, (try? builder.addOutbound(outbound)) != nil {
            child.isSuspended = false
        }
        return child
    }
}
