import Configuration
import Dataplane
import IKEv2
import IPsec
import Logging
import NIOCore
import Netlink
import Packets
import Policy
import XDP

/// The control side of a running gateway. Everything here happens on one event loop, so nothing is locked.
///
/// Every few milliseconds it looks for a new network configuration and for what workers tell; once a second it looks after
/// SAs and neighbours. What comes of it is a new snapshot for the workers.
final class ControlLoop {
    let parts: ControlParts
    let eventLoop: any EventLoop
    let logger: Logger
    let startedAt = Worker.clock()
    private(set) var network: NetworkState
    private(set) var view: ForwardingView
    /// CHILD_SAs, beside what was configured by hand.
    let children: GatewayDataplane
    /// Where the dataplane's events for IKE go.
    var handleDataplaneEvent: (DataplaneEvent) -> Void = { _ in }
    /// The host's addresses, all of which are given, or its routes have changed: called once a second at most.
    var networkChanged: (Set<IPAddress>) -> Void = { _ in }
    private var isNetworkNews = false
    /// When it may be called again, nanoseconds.
    private var networkNewsDue: UInt64 = 0
    /// Where IKE goes whether or not there is an SA: no route of ours may catch it.
    var peersOfIKE: () -> Set<IPAddress> = { [] }
    let builder: SnapshotBuilder
    var watch = AssociationWatch()
    var hostRoutes: HostRouteKeeper
    private(set) var boundary: BoundaryKeeper
    var routesAreStale = false
    /// When routes are planned again at the earliest, in nanoseconds.
    var routesDue: UInt64 = 0
    var steeringView: SteeringView?
    var portReturns: PortReturns
    var steeringHasFailed = false
    var hasSaidWhatIsCut = false
    private var queueCheck = QueueCheck()
    private var ownAddresses = OwnAddresses()
    private(set) var hasManualAssociations = false
    var suspended = SuspendedSAs()
    /// Lines of the `ip xfrm` file that are not served.
    let manualErrors: [ConfigurationError]
    private var neighbours: NeighbourKeeper
    /// The neighbours that lead to the peers, as of the last full second.
    private var peerNeighbours: [Neighbour.Key] = []
    private var inboxes: [EventInbox]
    private var ticks = 0
    private var monitorHasFailed = false

    static let tickInMilliseconds: Int64 = 10
    private static let ticksPerSecond = Int(1000 / tickInMilliseconds)
    /// How often the limits of CHILD_SAs are looked at.
    private static let ticksPerLimitCheck = ticksPerSecond / 10
    /// How often it is looked whether what is sent is answered.
    private static let ticksPerSilenceCheck = ticksPerSecond / 5

    /// Sets up policies and SAs, and publishes the first snapshot. Throws what the configuration does not allow.
    init(
        _ parts: ControlParts, configuration: ManualConfiguration, network: NetworkState, on eventLoop: any EventLoop,
        logger: Logger
    ) throws {
        self.parts = parts
        self.eventLoop = eventLoop
        self.network = network
        self.logger = logger
        manualErrors = configuration.errors
        builder = SnapshotBuilder(workers: parts.plan.workers)
        neighbours = NeighbourKeeper(session: parts.session, logger: logger)
        boundary = parts.boundary
        hostRoutes = HostRouteKeeper(session: parts.session, device: parts.hostTunnel, logger: logger)
        children = GatewayDataplane(
            builder: builder, configured: configuration.policies, engine: parts.engine,
            replayWindow: parts.options.replayWindow, logger: logger)
        let returns = PortReturns(parts, logger: logger)
        portReturns = returns
        inboxes = parts.events.map { EventInbox($0.consumer()) }
        view = ForwardingView(network, ports: returns.served)
        children.host = self
        children.coveredChanged = { [weak self] in self?.closeCovered() }
        steerByNetwork()
        try install(configuration)
        try enterOwnAddresses()
        apply(view, before: nil)
    }

    /// Takes back what the loop has changed on the host.
    func stop() {
        hostRoutes.removeAll()
        boundary.stop(opening: parts.options.openOnExit)
    }

    var snapshot: Snapshot { parts.publisher.current }

    /// What leaves through SAs or not at all, whatever SAs there are, and what was configured by hand.
    var covered: CoveredList { children.covered }

    /// The kernel's half of the boundary follows what is covered, once workers have it.
    private func closeCovered() { boundary.update(covered) }

    // MARK: The configuration

    private func install(_ configuration: ManualConfiguration) throws {
        let associations = try AssociationSet(
            configuration, localAddresses: view.localAddresses, workers: parts.plan.workers, engine: parts.engine,
            pathMTU: parts.options.mtu ?? 1500, now: startedAt)
        do {
            try builder.setPolicies(configuration.policies)
            for association in associations.inbound { try builder.addInbound(association) }
            for association in associations.outbound { try builder.addOutbound(association) }
        } catch {
            throw GatewayError(.configuration, "\(parts.options.xfrmBatch ?? ""): \(error)", remedy: "")
        }
        suspendManual(serving: associations.outbound)
        for state in associations.foreign {
            logger.warning(
                "SA is neither to nor from this host, and no policy names it",
                metadata: [
                    "spi": "\(state.spi.spiText)", "source": "\(state.source)", "destination": "\(state.destination)",
                ])
        }
        hasManualAssociations = !associations.inbound.isEmpty || !associations.outbound.isEmpty
        try steer(PolicyChange(added: configuration.policies))
        guard let file = parts.options.xfrmBatch else { return }
        logger.info(
            "configuration loaded",
            metadata: [
                "file": "\(file)", "policies": "\(configuration.policies.count)",
                "inbound": "\(associations.inbound.count)", "outbound": "\(associations.outbound.count)",
            ])
    }

    /// What is published next has the SAs that the host has the addresses for.
    private func suspendManual(serving: [OutboundSA]) {
        suspended.follow(view.localAddresses, serving: serving, in: builder, logger)
    }

    // MARK: Events

    /// To be called every `tickInMilliseconds`.
    func tick() {
        let news = parts.mailbox.take()
        if let state = news.state { follow(state, change: news.change) }
        if let failure = news.failure {
            logger.error(
                "netlink monitor failed; another one is started within a second", metadata: ["error": "\(failure)"])
            monitorHasFailed = true
        }
        tellNetworkNews()
        let wanted = takeEvents()
        children.followWorkers()
        updateHostRoutesIfDue()
        ticks += 1
        if ticks % Self.ticksPerLimitCheck == 0 { children.takeLimitEvents().forEach(handleDataplaneEvent) }
        if ticks % Self.ticksPerSilenceCheck == 0 { children.takeSilences().forEach(handleDataplaneEvent) }
        let isFullSecond = ticks % Self.ticksPerSecond == 0
        if isFullSecond { secondPassed() }
        if isFullSecond { neighbours.verify(peerNeighbours, view: view, in: network, now: now) }
        if wanted || isFullSecond { neighbours.ask(in: network, now: now) }
    }

    private func tellNetworkNews() {
        guard isNetworkNews, now >= networkNewsDue else { return }
        isNetworkNews = false
        networkNewsDue = now &+ 1_000_000_000
        networkChanged(view.localAddresses)
    }

    private func follow(_ state: NetworkState, change: NetworkChange) {
        network = state
        // Neighbours that came to nothing change nothing, however many they are.
        guard change != .neighbourStates else { return }
        portReturns.follow(state)
        lookAgain()
    }

    /// Workers follow the network, and ports that are served anew.
    private func lookAgain() {
        let before = view
        view = ForwardingView(network, ports: portReturns.served, before: before, peers: Set(peerNeighbours))
        steerByNetwork()
        guard view != before else { return }
        followOwnAddresses()
        children.follow(ownAddresses: view.localAddresses)
        suspendManual(serving: snapshot.outboundAssociations)
        apply(view, before: before)
        PortChanges.log(parts.plan.ports, before: before, after: view, logger)
        if view.routes != before.routes || view.localAddresses != before.localAddresses { isNetworkNews = true }
    }

    /// Returns whether a neighbour is wanted.
    private func takeEvents() -> Bool {
        var isNeighbourWanted = false
        for index in inboxes.indices {
            while let event = inboxes[index].ring.pop() {
                if event.kind == .neighbourWanted {
                    neighbours.want(event, connection: children.connection(inboundSPI: event.requester), now: now)
                    isNeighbourWanted = true
                } else if let news = children.translate(event) {
                    handleDataplaneEvent(news)
                } else if event.kind == .acquire {
                    logger.debug(
                        "no SA for a packet that a policy protects",
                        metadata: ["destination": "\(event.address)", "reqid": "\(event.number)"])
                }
            }
        }
        return isNeighbourWanted
    }

    private func secondPassed() {
        parts.publisher.reclaim()
        builder.catchUp()
        if portReturns.secondPassed(network) { lookAgain() }
        steerAgain()
        boundary.secondPassed()
        queueCheck.look(parts.ports, logger)
        if ownAddresses.areStale { followOwnAddresses() }
        if monitorHasFailed {
            do {
                try parts.monitor.restart()
                monitorHasFailed = false
            } catch {
                logger.error("netlink monitor not restarted", metadata: ["error": "\(error)"])
            }
        }
        lookAfterAssociations()
        peerNeighbours = peerHops()
    }

    private func peerHops() -> [Neighbour.Key] {
        let current = snapshot
        return Set(current.outboundAssociations.map(\.parameters.destination)).compactMap { peer in
            let hop = current.tables.pointee.route(to: peer).pointee
            guard hop.portIndex != NextHop.noPort else { return nil }
            return Neighbour.Key(interfaceIndex: hop.interfaceIndex, address: hop.isOnLink ? peer : hop.address)
        }
    }

    // MARK: Snapshots

    private func enterOwnAddresses() throws {
        try ownAddresses.set(view.localAddresses) { addresses throws(XDPError) in
            try parts.tables.setLocalAddresses(addresses)
        }
    }

    /// The program hears of new addresses before workers do. When it cannot take them the rest of the network's change counts
    /// all the same.
    private func followOwnAddresses() {
        do {
            try enterOwnAddresses()
        } catch {
            logger.error(
                "the steering program does not know all of the host's addresses; tried again within a second",
                metadata: ["error": "\(error)"])
        }
    }

    /// Hands what changed to the builder and the host's routes, and publishes.
    private func apply(_ view: ForwardingView, before: ForwardingView?) {
        if view.interfaces != before?.interfaces { builder.setInterfaces(view.interfaces) }
        if view.routes != before?.routes { builder.setRoutes(view.routes) }
        if view.neighbours != before?.neighbours { builder.setNeighbours(view.neighbours) }
        let next = builder.build()
        if view.interfaces != before?.interfaces || view.routes != before?.routes { setPathMTU(next) }
        parts.publisher.publish(next)
        hostRoutesAreStale()
    }
}

/// The reading end of a worker's events, which cannot be copied into an array.
private final class EventInbox {
    var ring: ConsumerRing<WorkerEvent>
    init(_ ring: consuming ConsumerRing<WorkerEvent>) { self.ring = ring }
}
