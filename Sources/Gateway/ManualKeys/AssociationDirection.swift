import IPsec
import Packets
import Policy

/// Which way an SA carries packets. `ip xfrm state` lines do not say; policies and our addresses do.
enum AssociationDirection: Hashable {
    case inbound
    case outbound
}

/// Finds the direction of SAs among the policies and addresses of a host.
struct AssociationDirections {
    private struct Claim: Hashable {
        let protection: SecurityPolicy.Protection
        let direction: AssociationDirection
    }

    /// What policies ask for, by request id, so that thousands of SAs and policies find each other at once. Those with
    /// request id 0 accept every SA between their endpoints.
    private var claims: [UInt32: Set<Claim>] = [:]
    private let localAddresses: Set<IPAddress>

    init(_ policies: [SecurityPolicy], localAddresses: Set<IPAddress>) {
        self.localAddresses = localAddresses
        for policy in policies {
            guard case .protect(let protection) = policy.action else { continue }
            let direction: AssociationDirection = policy.direction == .out ? .outbound : .inbound
            claims[protection.requestID, default: []].insert(Claim(protection: protection, direction: direction))
        }
    }

    /// Policies decide first: the template of an outbound policy names SAs that carry packets out. Where they leave it
    /// open, an SA to one of our addresses is inbound, one from them outbound. nil: the SA is not ours.
    func direction(of parameters: SAParameters) -> AssociationDirection? {
        var directions: Set<AssociationDirection> = []
        for requestID in Set([parameters.requestID, 0]) {
            for claim in claims[requestID] ?? []
            where claim.protection.accepts(
                requestID: parameters.requestID, source: parameters.source, destination: parameters.destination)
            {
                directions.insert(claim.direction)
            }
        }
        if directions.count == 1 { return directions.first }
        if localAddresses.contains(parameters.destination) { return .inbound }
        if localAddresses.contains(parameters.source) { return .outbound }
        return nil
    }
}
