import Dataplane
import IPsec
import NIOCore
import Netlink
import Packets
import Policy

/// What the control loop does for SAs and policies, whoever brought them.
extension ControlLoop {
    /// Packets from the LAN that policies are about come to the workers.
    func steer(_ change: PolicyChange) throws {
        defer { sayWhatIsCut() }
        do {
            try parts.tables.change(
                adding: change.added.flatMap(PolicySteering.rules),
                removing: change.removed.flatMap(PolicySteering.rules))
        } catch {
            steeringHasFailed = true
            throw error
        }
    }

    /// Once: with so many policies between two networks that the steering program cannot tell all their packets apart.
    private func sayWhatIsCut() {
        guard !hasSaidWhatIsCut, let pair = parts.tables.pairWithTooManyRules else { return }
        hasSaidWhatIsCut = true
        logger.warning(
            "more policies by protocol and port between two networks than the steering program holds: it takes all other packets between them, and what no policy covers is dropped",
            metadata: [
                "source": "\(pair.source)", "destination": "\(pair.destination)",
                "remedy": "join ports to ranges, or leave them out",
            ])
    }

    /// The configuration is in force: what no rule is about passes from now on.
    func openSteering() throws {
        children.settle()
        try parts.tables.open()
    }

    /// Links, networks behind LAN ports and the host's own addresses come to the steering programs. What fails is tried again
    /// within a second; until then packets that may be concerned are dropped.
    func steerByNetwork() {
        do {
            if portReturns.takeNews() { steeringView = nil }
            let next = SteeringView(network, ports: portReturns.ports)
            if next != steeringView {
                for (number, port) in parts.ports.enumerated() {
                    let program = portReturns.program(number) ?? port.program
                    // Of a port that is gone nothing is known; it keeps what it had.
                    if let links = next.links[number] { try program.setLinks(links) }
                }
                try parts.tables.setInsideNetworks(next.insideNetworks)
                steeringView = next
            }
        } catch {
            if !steeringHasFailed {
                logger.error(
                    "steering program not told of the network; tried again within a second",
                    metadata: ["error": "\(error)"])
            }
            steeringHasFailed = true
        }
    }

    /// Tries again what has failed.
    func steerAgain() {
        guard steeringHasFailed, (try? parts.tables.retry()) != nil else { return }
        steeringHasFailed = false
        steerByNetwork()
    }

    /// The host's routes have to follow policies, SAs or the network.
    func hostRoutesAreStale() {
        routesAreStale = true
        updateHostRoutesIfDue()
    }

    /// All routes are planned anew, which takes tens of milliseconds for thousands of policies: then not at every change,
    /// but so that it takes a small part of the time. With few policies that is every tick.
    func updateHostRoutesIfDue() {
        let start = now
        guard routesAreStale, start >= routesDue else { return }
        routesAreStale = false
        updateHostRoutes(children.policies)
        let end = now
        routesDue = end + Self.shareOfHostRoutes * (end - start)
    }

    /// One part of so many.
    private static var shareOfHostRoutes: UInt64 { 16 }

    private func updateHostRoutes(_ policies: [SecurityPolicy]) {
        let associations = snapshot.outboundAssociations
        let peers = peersOfIKE().union(associations.map(\.parameters.destination))
        // IPv6 needs 1280.
        let mtus = associations.map { ($0.parameters.requestID, max(UInt32($0.runtime.pointee.mtu), 1280)) }
        hostRoutes.update(network, policies: policies, peers: peers, innerMTUs: Dictionary(mtus, uniquingKeysWith: min))
    }

    /// The largest outer packet of each SA follows from where its peer is reached.
    func setPathMTU(_ snapshot: Snapshot) {
        for association in snapshot.outboundAssociations {
            guard let mtu = pathMTU(towards: association.parameters.destination, in: snapshot) else { continue }
            association.setPathMTU(mtu)
        }
    }

    /// nil when the peer is not reached through a port.
    private func pathMTU(towards peer: IPAddress, in snapshot: Snapshot) -> Int? {
        let hop = snapshot.tables.pointee.route(to: peer).pointee
        guard hop.portIndex != NextHop.noPort else { return nil }
        return min(Int(hop.mtu), parts.options.mtu ?? .max)
    }

    /// Looks for events of SAs that were keyed by hand, and removes those whose time is up. CHILD_SAs are IKE's.
    func lookAfterAssociations() {
        guard hasManualAssociations else { return }
        let now = self.now
        let current = snapshot
        var removed = false
        for association in current.outboundAssociations + suspended.all where association.parameters.isManual {
            let isOver = watch.look(
                ObjectIdentifier(association), association.parameters, .outbound, events: association.events,
                status: { association.status(now: now) }, logger: logger)
            guard isOver else { continue }
            watch.forget(ObjectIdentifier(association))
            removed = suspended.remove(association) || builder.removeOutbound(association) || removed
        }
        for association in current.inboundAssociations where association.parameters.isManual {
            let isOver = watch.look(
                ObjectIdentifier(association), association.parameters, .inbound, events: association.events,
                status: { association.status(now: now) }, logger: logger)
            guard isOver else { continue }
            watch.forget(ObjectIdentifier(association))
            removed = builder.removeInbound(spi: association.parameters.spi) || removed
        }
        if removed { parts.publisher.publish(builder.build()) }
    }
}

// MARK: - CHILD_SAs

extension ControlLoop: ChildHost {
    var now: UInt64 { Worker.clock() }
    var expectedSPIs: ExpectedSPIs { parts.publisher.expectedSPIs }

    /// A worker gets to the end of its batch within microseconds, unless its core is taken from it: then nobody waits, as
    /// handshakes and liveness checks of all peers would have to.
    private static var patienceInMilliseconds: Int { 1 }

    func settleSoon() {
        let bound = NIOLoopBound(children, eventLoop: eventLoop)
        eventLoop.execute { bound.value.settle() }
    }

    func publish(_ builder: SnapshotBuilder, waiting: Bool) -> UInt64 {
        // Tables that workers still read cost a copy; those that they have left are used again.
        if !parts.publisher.waitForReaders(milliseconds: Self.patienceInMilliseconds) {
            logger.debug("a worker still reads the tables before the last ones")
        }
        let publication = parts.publisher.publish(builder.build())
        if waiting { _ = parts.publisher.waitForReaders(milliseconds: Self.patienceInMilliseconds) }
        return publication
    }

    func isSeenByAll(_ publication: UInt64) -> Bool { parts.publisher.isSeenByAll(publication) }

    func policiesChanged(_ change: PolicyChange) {
        if !change.isEmpty { steerChanged(change) }
        hostRoutesAreStale()
    }

    private func steerChanged(_ change: PolicyChange) {
        do {
            try steer(change)
        } catch {
            logger.error(
                "steering program not told of all policies: it drops what may be concerned; tried again within a second",
                metadata: ["error": "\(error)"])
        }
    }

    func canSteer(_ selectors: [TrafficSelector]) -> Bool {
        let protection = SecurityPolicy.Action.protect(SecurityPolicy.Protection(requestID: 0))
        return parts.tables.canHold(
            selectors.flatMap { selector in
                PolicySteering.rules(SecurityPolicy(selector: selector, direction: .out, action: protection))
            })
    }

    func pathMTU(towards peer: IPAddress) -> Int {
        pathMTU(towards: peer, in: snapshot) ?? parts.options.mtu ?? 1500
    }
}
