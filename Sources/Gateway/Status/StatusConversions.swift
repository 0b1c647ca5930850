import IPsec
import Policy
import Telemetry

extension AssociationStatus {
    /// - Parameter isSuspended: its source is not an address of the host, so workers do not have it.
    init(_ status: SAStatus, isSuspended: Bool = false) {
        direction = status.direction == .inbound ? "in" : "out"
        spi = status.spi.spiText
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

    /// nil for all ports.
    private static func text(_ ports: ClosedRange<UInt16>) -> String? {
        if ports == TrafficSelector.anyPort { return nil }
        return ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
    }
}
