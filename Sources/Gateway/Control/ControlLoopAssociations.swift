import Dataplane
import IPsec
import Netlink
import Packets
import Policy

/// What the control loop does for SAs and policies, whoever brought them.
extension ControlLoop {
    /// Packets from the LAN that policies are about come to the workers.
    func steer(_ policies: [SecurityPolicy]) throws {
        try parts.tables.setPrefixes(
            Dictionary(uniqueKeysWithValues: SteeredPrefixes.of(policies).map { ($0, .protect) }))
    }

    func updateHostRoutes(_ policies: [SecurityPolicy]) {
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
        let now = self.now
        let current = snapshot
        var removed = false
        for association in current.outboundAssociations where association.parameters.isManual {
            let isOver = watch.look(
                ObjectIdentifier(association), association.parameters, .outbound, events: association.events,
                status: { association.status(now: now) }, logger: logger)
            guard isOver else { continue }
            watch.forget(ObjectIdentifier(association))
            removed = builder.removeOutbound(association) || removed
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

    /// A worker gets to the end of its batch within microseconds, unless its core is taken from it.
    private static var patienceInMilliseconds: Int { 250 }

    func publish(_ snapshot: Snapshot, waiting: Bool) {
        parts.publisher.publish(snapshot)
        if waiting, !parts.publisher.waitForReaders(milliseconds: Self.patienceInMilliseconds) {
            logger.warning(
                "a worker has not taken the new SAs in time; packets of the peer may be lost",
                metadata: ["waited-milliseconds": "\(Self.patienceInMilliseconds)"])
        }
    }

    func policiesChanged(_ policies: [SecurityPolicy]) {
        do {
            try steer(policies)
        } catch {
            logger.error("packets from the LAN are not steered as policies want it", metadata: ["error": "\(error)"])
        }
        updateHostRoutes(policies)
    }

    func pathMTU(towards peer: IPAddress) -> Int {
        pathMTU(towards: peer, in: snapshot) ?? parts.options.mtu ?? 1500
    }
}
