import IPsec
import Packets
import Policy

/// Which way an SA carries packets. `ip xfrm state` lines do not say; policies and our addresses do.
enum AssociationDirection: Hashable {
    case inbound
    case outbound

    /// Policies decide first: the template of an outbound policy names SAs that carry packets out. Where they leave it
    /// open, an SA to one of our addresses is inbound, one from them outbound. nil: the SA is not ours.
    static func of(
        _ parameters: SAParameters, policies: [SecurityPolicy], localAddresses: Set<IPAddress>
    ) -> AssociationDirection? {
        var directions: Set<AssociationDirection> = []
        for policy in policies {
            guard case .protect(let protection) = policy.action,
                protection.accepts(
                    requestID: parameters.requestID, source: parameters.source, destination: parameters.destination)
            else { continue }
            directions.insert(policy.direction == .out ? .outbound : .inbound)
        }
        if directions.count == 1 { return directions.first }
        if localAddresses.contains(parameters.destination) { return .inbound }
        if localAddresses.contains(parameters.source) { return .outbound }
        return nil
    }
}
