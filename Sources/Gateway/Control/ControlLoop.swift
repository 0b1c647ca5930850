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
    let parts: GatewayParts
    let eventLoop: any EventLoop
    let logger: Logger
    let startedAt = Worker.clock()
    private(set) var network: NetworkState
    private(set) var view: ForwardingView
    /// CHILD_SAs, beside what was configured by hand.
    let children: GatewayDataplane
    /// The receiver of the dataplane's events for IKE.
    var handleDataplaneEvent: (DataplaneEvent) -> Void = { _ in }
    /// The host's addresses, all of which are given, or its routes have changed: called once a second at most.
    var networkChanged: (Set<IPAddress>) -> Void = { _ in }
    private var isNetworkNews = false
    /// The time at which it may be called again, nanoseconds.
    private var networkNewsDue = Instant.start
    /// The addresses that IKE goes to whether or not there is an SA: no route of ours may catch it.
    var peersOfIKE: () -> Set<IPAddress> = { [] }
    let builder: SnapshotBuilder
    var hostRoutes: HostRouteKeeper
    private(set) var boundary: BoundaryKeeper
    private(set) var steering: SteeringKeeper
    var portReturns: PortReturns
    private var queueCheck = QueueCheck()
    private(set) var manual: ManualSAs
    /// Lines of the `ip xfrm` file that are not served.
    let manualErrors: [Problem]
    private var neighbours: NeighbourKeeper
    /// The neighbours that lead to the peers, as of the last full second.
    private var peerNeighbours: [Neighbour.Key] = []
    private var inboxes: [EventInbox]
    private var ticks = 0
    private var monitorHasFailed = false
    private var waiters = PublicationWaiters(patience: .milliseconds(250))

    static let tickInMilliseconds: Int64 = 10
    private static let ticksPerSecond = Int(1000 / tickInMilliseconds)
    /// The time between two looks at the limits of CHILD_SAs.
    private static let ticksPerLimitCheck = ticksPerSecond / 10
    /// The time between two looks at whether what is sent is answered.
    private static let ticksPerSilenceCheck = ticksPerSecond / 5

    /// Sets up policies and SAs, and publishes the first snapshot. Throws what the configuration does not allow.
    init(
        _ parts: GatewayParts, configuration: ManualConfiguration, network: NetworkState, on eventLoop: any EventLoop,
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
        steering = SteeringKeeper(parts.tables, logger: logger)
        children = GatewayDataplane(
            builder: builder, configured: configuration.policies, engine: parts.engine,
            replayWindow: parts.options.replayWindow, logger: logger)
        let returns = PortReturns(parts, logger: logger)
        portReturns = returns
        inboxes = parts.events.map { EventInbox($0.consumer()) }
        let view = ForwardingView(network, ports: returns.served)
        self.view = view
        manual = try ManualSAs(
            configuration,
            AssociationSet(
                configuration, localAddresses: view.localAddresses, workers: parts.plan.workers, engine: parts.engine,
                pathMTU: parts.options.mtu ?? 1500, now: startedAt),
            file: parts.options.xfrmBatch, addresses: view.localAddresses, in: builder, logger: logger)
        children.host = self
        children.coveredChanged = { [weak self] in self?.closeCovered() }
        steering.follow(network, &portReturns, parts.ports)
        try steering.change(PolicyChange(added: configuration.policies))
        try steering.enter(view.localAddresses)
        apply(view, before: nil)
    }

    /// Takes back what the loop has changed on the host.
    func stop() {
        hostRoutes.removeAll()
        boundary.stop(opening: parts.options.openOnExit)
    }

    var snapshot: Snapshot { parts.publisher.current }

    /// The traffic that leaves through SAs or not at all, whatever SAs there are, and what was configured by hand.
    var covered: CoveredList { children.covered }

    /// The kernel's half of the boundary follows what is covered, once workers have it.
    private func closeCovered() { boundary.update(covered) }

    // MARK: Events

    /// One round of the control loop; called every `tickInMilliseconds`.
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
        followPublications()
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
        networkNewsDue = now + .seconds(1)
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
        steering.follow(network, &portReturns, parts.ports)
        guard view != before else { return }
        // The program hears of new addresses before workers do.
        steering.follow(view.localAddresses)
        children.follow(ownAddresses: view.localAddresses)
        manual.follow(view.localAddresses, serving: snapshot.outboundAssociations)
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
                    neighbours.want(event, connection: children.connection(inboundSPI: SPI(event.requester)), now: now)
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
        steering.secondPassed(network, addresses: view.localAddresses, &portReturns, parts.ports)
        boundary.secondPassed()
        queueCheck.look(parts.ports, logger)
        if monitorHasFailed {
            do {
                try parts.monitor.restart()
                monitorHasFailed = false
            } catch {
                logger.error("netlink monitor not restarted", metadata: ["error": "\(error)"])
            }
        }
        if manual.look(snapshot, now: now.nanoseconds) { parts.publisher.publish(builder.build()) }
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

    // MARK: What follows from policies and SAs

    /// The configuration is in force: what no rule is about passes from now on.
    func openSteering() throws {
        children.settle()
        try steering.open()
    }

    private func updateHostRoutesIfDue() {
        let start = now
        guard hostRoutes.isDue(at: start) else { return }
        let associations = snapshot.outboundAssociations
        let peers = peersOfIKE().union(associations.map(\.parameters.destination))
        // IPv6 needs 1280.
        let mtus = associations.map { ($0.parameters.requestID, max(UInt32($0.runtime.pointee.mtu), 1280)) }
        hostRoutes.update(
            network, policies: children.policies, peers: peers, innerMTUs: Dictionary(mtus, uniquingKeysWith: min))
        hostRoutes.wereUpdated(from: start, to: now)
    }

    private func hostRoutesAreStale() {
        hostRoutes.becomeStale()
        updateHostRoutesIfDue()
    }

    /// The largest outer packet of each SA follows from where its peer is reached.
    private func setPathMTU(_ snapshot: Snapshot) {
        for association in snapshot.outboundAssociations {
            guard let mtu = pathMTU(towards: association.parameters.destination, in: snapshot) else { continue }
            association.setPathMTU(mtu)
        }
    }

    /// The path MTU towards a peer; nil when it is not reached through a port.
    private func pathMTU(towards peer: IPAddress, in snapshot: Snapshot) -> Int? {
        let hop = snapshot.tables.pointee.route(to: peer).pointee
        guard hop.portIndex != NextHop.noPort else { return nil }
        return min(Int(hop.mtu), parts.options.mtu ?? .max)
    }
}

// MARK: - CHILD_SAs

extension ControlLoop: ChildPublishing {
    var now: Instant { Instant(nanoseconds: Worker.clock()) }
    var expectedSPIs: ExpectedSPIs { parts.publisher.expectedSPIs }

    func settleSoon() {
        let deadline = now + SettlingPace.patience
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.settle(until: deadline) }
    }

    /// Settles when it costs least, and at the deadline at the latest. The loop goes on meanwhile: handshakes and liveness
    /// checks of all peers do not wait for a worker.
    private func settle(until deadline: Instant) {
        let step = SettlingPace.step(replacedInUse: parts.publisher.reclaim(), now: now, deadline: deadline)
        guard case .lookAgain(let pause) = step else { return children.settle() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: TimeAmount(pause)) { bound.value.settle(until: deadline) }
    }

    func publish(_ builder: SnapshotBuilder, whenSeen: (() -> Void)?) {
        let publication = parts.publisher.publish(builder.build())
        guard let whenSeen else { return }
        waiters.add(publication, now: now, whenSeen)
        followPublications()
    }

    /// Runs what has waited for workers.
    private func followPublications() {
        let findings = waiters.follow(now: now, isSeenByAll: parts.publisher.isSeenByAll)
        for continuation in findings.ready { continuation() }
        guard let late = findings.late else { return }
        logger.warning(
            "a worker does not get to new SAs, its core may be taken by something else; packets may be lost",
            metadata: ["since-milliseconds": "\(Int(late / .milliseconds(1)))"])
    }

    func policiesChanged(_ change: PolicyChange) {
        if !change.isEmpty { steerChanged(change) }
        hostRoutesAreStale()
    }

    private func steerChanged(_ change: PolicyChange) {
        do {
            try steering.change(change)
        } catch {
            logger.error(
                "steering program not told of all policies: it drops what may be concerned; tried again within a second",
                metadata: ["error": "\(error)"])
        }
    }

    func canSteer(_ selectors: [TrafficSelector]) -> Bool { steering.canHold(selectors) }

    func pathMTU(towards peer: IPAddress) -> Int {
        pathMTU(towards: peer, in: snapshot) ?? parts.options.mtu ?? 1500
    }
}

/// The pace at which changes of SAs and policies are published. Tables that workers have left are used again; while they still
/// read those before the last ones a publication costs a copy of all. A worker gets to the end of its batch within microseconds,
/// unless its core is taken from it: then the copy is made.
enum SettlingPace {
    static let patience = Duration.milliseconds(1)
    static let pause = Duration.microseconds(100)

    enum Step: Equatable {
        case publish
        /// In so much time.
        case lookAgain(Duration)
    }

    /// - Parameter replacedInUse: the number of snapshots that were replaced and that a worker may still read.
    static func step(replacedInUse: Int, now: Instant, deadline: Instant) -> Step {
        replacedInUse == 0 || now >= deadline ? .publish : .lookAgain(pause)
    }
}

/// The reading end of a worker's events, which cannot be copied into an array.
private final class EventInbox {
    var ring: ConsumerRing<WorkerEvent>
    init(_ ring: consuming ConsumerRing<WorkerEvent>) { self.ring = ring }
}
