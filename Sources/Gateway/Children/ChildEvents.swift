import Dataplane
import IKEv2
import IPsec
import Packets

/// What the manager has to hear of.
extension GatewayDataplane {
    /// How often a soft limit is told of while the SA goes on sending.
    static let reminderInNanoseconds: UInt64 = 30_000_000_000

    /// Limits that SAs have reached since the last call. To be called a few times a second.
    func takeLimitEvents() -> [DataplaneEvent] {
        var events: [DataplaneEvent] = []
        let now = self.now
        for (spi, child) in children where !child.toldHard {
            let reached = child.events
            if !reached.isDisjoint(with: .hard) {
                children[spi]?.toldHard = true
                events.append(.hardLimit(inboundSPI: spi))
            } else if child.softLimitDue <= now, child.softLimitDue == 0 || child.outbound != nil,
                !reached.isDisjoint(with: .soft) || child.isNearLastSequence
            {
                children[spi]?.softLimitDue = now + Self.reminderInNanoseconds
                events.append(.softLimit(inboundSPI: spi))
            }
        }
        return events
    }

    /// What a worker's event means to the manager; nil when it is about something else.
    func translate(_ event: WorkerEvent) -> DataplaneEvent? {
        switch event.kind {
        case .neighbourWanted: return nil
        case .acquire:
            guard isOurs(requestID: event.number) else { return nil }
            return .acquire(requestID: event.number, packet: Self.selector(event))
        case .mappingChanged:
            guard children[event.number]?.inbound != nil else { return nil }
            return .mappingChanged(
                inboundSPI: event.number, remote: Endpoint(event.address, port: event.sourcePort))
        case .unknownSPI: return .unknownSPI(event.number, from: event.address)
        }
    }

    /// Whose CHILD_SA it is; nil when it is none.
    func connection(inboundSPI spi: UInt32) -> String? { children[spi]?.lane.connection }

    /// The packet itself, as a selector. ICMP type and code have no direction and count as source port.
    private static func selector(_ event: WorkerEvent) -> TrafficSelector? {
        guard event.source.family == event.address.family else { return nil }
        let hasPorts = !event.isLaterFragment && portProtocols.contains(event.upperProtocol)
        let hasType = event.upperProtocol == IPProtocol.icmp || event.upperProtocol == IPProtocol.icmpv6
        return TrafficSelector(
            source: AddressRange(event.source), destination: AddressRange(event.address),
            protocol: event.upperProtocol,
            sourcePorts: hasPorts || hasType && !event.isLaterFragment
                ? event.sourcePort...event.sourcePort : TrafficSelector.anyPort,
            destinationPorts: hasPorts ? event.destinationPort...event.destinationPort : TrafficSelector.anyPort)
    }

    /// TCP, UDP, DCCP, SCTP, UDP-Lite.
    private static let portProtocols: Set<UInt8> = [6, 17, 33, 132, 136]
}
