import Dataplane
import IPsec
import Packets

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
