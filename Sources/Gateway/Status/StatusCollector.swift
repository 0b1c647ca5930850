import ControlPlane
import Dataplane
import IPsec
import Packets
import Platform
import Policy
import Telemetry
import XDP

/// The status document of a running gateway, put together on the control loop.
extension ControlLoop {
    func report() -> StatusReport {
        let now = Worker.clock()
        let current = snapshot
        return StatusReport(
            gateway: gatewayStatus(now: now, generation: current.generation),
            ports: parts.plan.ports.indices.map(portStatus),
            workers: parts.statistics.enumerated().map { workerStatus($0, $1) },
            frames: FrameStatus(
                count: parts.umem.frameCount, sizeInBytes: parts.umem.frameSize,
                hugePages: parts.umem.usedHugePages),
            configuration: ConfigurationStatus(errors: manualErrors), boundary: boundary.report(),
            securityAssociations: current.outboundAssociations.map { AssociationStatus($0.status(now: now)) }
                + (children.suspended + manual.suspended).map {
                    AssociationStatus($0.status(now: now), isSuspended: true)
                }
                + current.inboundAssociations.map { AssociationStatus($0.status(now: now)) },
            policies: current.policies.enumerated().map { PolicyStatus(index: $0, $1) },
            peers: peerStatus(current), neighbours: neighbourStatus(), drops: dropStatus())
    }

    /// The short form that `swanctl --stats` shows.
    func daemonStatistics() -> DaemonStatistics {
        let uptime = Int((Worker.clock() &- startedAt) / 1_000_000_000)
        let since = SystemClock.localText(secondsSince1970: SystemClock.wallSeconds() - Int64(uptime))
        return DaemonStatistics(
            uptimeSeconds: uptime, since: since, workers: self.parts.plan.workers, idleWorkers: 0,
            features: [self.parts.engine.name])
    }

    private func gatewayStatus(now: UInt64, generation: UInt64) -> GatewayStatus {
        GatewayStatus(
            version: Product.version, processIdentifier: CurrentProcess.identifier,
            uptimeSeconds: Int((now &- startedAt) / 1_000_000_000), residentBytes: CurrentProcess.residentBytes,
            engine: parts.engine.name, snapshotGeneration: generation)
    }

    private func portStatus(_ number: Int) -> PortStatus {
        let port = parts.ports[number]
        let interface = view.interfaces.first { $0.port == UInt16(number) && $0.vlan == nil }
        let program = portReturns.program(number) ?? port.program
        let counts = (try? program.verdicts()) ?? []
        let steering = zip(SteeringMetrics.all, counts).filter { $0.1 > 0 }
        return PortStatus(
            name: port.interface.name, interfaceIndex: UInt32(bitPattern: port.interface.index),
            roles: port.roles.names, isUp: interface?.isUp ?? false,
            macAddress: interface?.linkAddress.description ?? "-", mtu: UInt32(interface?.mtu ?? port.interface.mtu),
            addresses: interface?.addresses.map(\.description) ?? [], xdpMode: port.mode.xdp.rawValue,
            xdpModeReason: port.mode.xdpText, copyMode: port.mode.copy.rawValue, copyModeReason: port.mode.copyText,
            steering: steering.map { NamedCount(name: $0.name, packets: $1) },
            queues: (0..<port.queueCount).compactMap { queueStatus(port, $0) })
    }

    private func queueStatus(_ port: XDPPort, _ queue: Int) -> QueueStatus? {
        guard let figures = try? port.statistics(queue: queue) else { return nil }
        return QueueStatus(
            queue: queue, worker: parts.plan.worker(ofQueue: queue),
            figures: QueueMetrics.all.map { NamedCount(name: $0.name, packets: $0.read(figures)) })
    }

    private func workerStatus(_ index: Int, _ statistics: WorkerStatistics) -> WorkerStatus {
        let received = statistics[.received]
        let batches = statistics[.batches]
        let worked = received &+ statistics[.takenOver]
        return WorkerStatus(
            index: index, core: parts.plan.cores[index], polls: statistics[.rounds],
            batches: batches, receivedPackets: received, transmittedPackets: statistics[.transmitted],
            batchFill: batches == 0 ? 0 : Double(received) / Double(batches),
            cyclesPerPacket: worked == 0 ? 0 : Double(statistics[.busyCycles]) / Double(worked),
            handoversSent: statistics[.handedOver], handoversReceived: statistics[.takenOver],
            sleeps: statistics[.sleeps], freeFrames: Int(statistics[.freeFrames]),
            droppedPackets: statistics.drops.total,
            counters: WorkerMetrics.all.map { NamedCount(name: $0.name, packets: $0.read(statistics)) })
    }

    private func peerStatus(_ current: Snapshot) -> [PeerStatus] {
        Set(current.outboundAssociations.map(\.parameters.destination)).sorted().map { peer in
            let hop = current.tables.pointee.route(to: peer).pointee
            return PeerStatus(
                address: peer.description,
                nextHop: hop.isOnLink || hop.address == peer ? nil : hop.address.description,
                interface: network.link(index: hop.interfaceIndex)?.name, state: "\(hop.state)",
                mtu: hop.portIndex == NextHop.noPort ? nil : Int(hop.mtu))
        }
    }

    private func neighbourStatus() -> [NeighbourStatus] {
        view.neighbours.map { entry in
            let (state, address): (String, String?) =
                switch entry.state {
                case .resolved(let address): ("resolved", address.description)
                case .unresolved: ("unresolved", nil)
                case .failed: ("failed", nil)
                }
            return NeighbourStatus(
                address: entry.address.description, interface: network.link(index: entry.interfaceIndex)?.name ?? "",
                macAddress: address, state: state)
        }
    }

    private func dropStatus() -> [DropStatus] {
        DropReason.allCases.compactMap { reason in
            let packets = parts.statistics.reduce(UInt64(0)) { $0 &+ $1.drops[reason] }
            return packets == 0
                ? nil : DropStatus(reason: reason.name, packets: packets, explanation: reason.explanation)
        }
    }
}

extension AssociationStatus {
    /// - Parameter isSuspended: its source is not an address of the host, so workers do not have it.
    init(_ status: SAStatus, isSuspended: Bool = false) {
        direction = status.direction == .inbound ? "in" : "out"
        spi = status.spi.description
        source = status.source.description
        destination = status.destination.description
        requestIdentifier = status.requestID
        name = status.name.isEmpty ? nil : status.name
        mode = status.mode.rawValue
        transform = status.transform
        encapsulation = status.encapsulation.map { "udp \($0.sourcePort) \($0.destinationPort)" }
        worker = status.owner
        packets = status.packets
        bytes = status.bytes
        sequence = status.sequence
        extendedSequenceNumbers = status.extendedSequenceNumbers
        replayWindow = status.window?.size
        missingInWindow = status.window?.missing
        mtu = status.mtu
        ageSeconds = Int(status.age / 1_000_000_000)
        idleSeconds = status.idle.map { Int($0 / 1_000_000_000) }
        events = status.events.names + (isSuspended ? ["no-source-address"] : [])
        drops = status.drops.map { DropStatus(reason: $0.reason.name, packets: $0.packets) }
    }
}

extension PolicyStatus {
    init(index: Int, _ status: Snapshot.PolicyStatus) {
        let policy = status.policy
        self.index = index
        direction = policy.direction.rawValue
        source = policy.selector.source.description
        destination = policy.selector.destination.description
        `protocol` = policy.selector.protocol
        sourcePorts = Self.text(policy.selector.sourcePorts)
        destinationPorts = Self.text(policy.selector.destinationPorts)
        priority = policy.priority
        switch policy.action {
        case .protect(let protection):
            action = "protect"
            requestIdentifier = protection.requestID
        case .bypass:
            action = "bypass"
            requestIdentifier = nil
        case .discard:
            action = "discard"
            requestIdentifier = nil
        }
        packets = status.packets
        bytes = status.bytes
    }

    /// The port's text; nil for all ports.
    private static func text(_ ports: ClosedRange<UInt16>) -> String? {
        if ports == TrafficSelector.anyPort { return nil }
        return ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
    }
}
