import Configuration
import Cryptography
import IPsec
import Packets
import Policy

/// The SAs of a configuration, each with its direction, its owner and its keys set.
struct AssociationSet {
    var inbound: [InboundSA] = []
    var outbound: [OutboundSA] = []
    /// States that are neither to nor from this host; one file may configure several.
    var foreign: [SAParameters] = []

    /// - Parameters:
    ///   - pathMTU: largest outer packet in bytes, until the route to the peer says otherwise.
    ///   - now: nanoseconds of the dataplane's clock.
    init(
        _ configuration: ManualConfiguration, localAddresses: Set<IPAddress>, workers: Int, engine: any ESPEngine,
        pathMTU: Int, now: UInt64
    ) throws(GatewayError) {
        var owners = OwnerAssignment(workers: workers)
        let directions = AssociationDirections(configuration.policies, localAddresses: localAddresses)
        for state in configuration.states {
            guard let direction = directions.direction(of: state) else {
                foreign.append(state)
                continue
            }
            var parameters = state
            parameters.owner = owners.next(for: state, direction)
            do throws(SAError) {
                switch direction {
                case .inbound:
                    inbound.append(try InboundSA(parameters, engine: engine, now: now))
                case .outbound:
                    outbound.append(
                        try OutboundSA(parameters, engine: engine, pathMTU: pathMTU, now: now))
                }
            } catch {
                throw GatewayError(.configuration, "SA \(state.spi)", cause: error)
            }
        }
    }
}

/// Spreads SAs over workers: the two directions of a tunnel meet on one worker, further SAs of the same tunnel go to the
/// next ones, as a peer with one SA per core (RFC 9611) would want it.
struct OwnerAssignment {
    private struct Tunnel: Hashable {
        let requestID: UInt32
        let endpoints: Set<IPAddress>
    }

    private struct Lane: Hashable {
        let tunnel: Tunnel
        let direction: AssociationDirection
    }

    private let workers: Int
    private var first: [Tunnel: Int] = [:]
    private var count: [Lane: Int] = [:]

    init(workers: Int) { self.workers = workers }

    mutating func next(for parameters: SAParameters, _ direction: AssociationDirection) -> Int {
        let tunnel = Tunnel(
            requestID: parameters.requestID, endpoints: [parameters.source, parameters.destination])
        let lane = Lane(tunnel: tunnel, direction: direction)
        let start = first[tunnel] ?? first.count
        first[tunnel] = start
        defer { count[lane, default: 0] += 1 }
        return (start + count[lane, default: 0]) % workers
    }
}

/// The direction in which an SA carries packets. `ip xfrm state` lines do not say; policies and our addresses do.
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

    /// The demands of policies, by request id, so that thousands of SAs and policies find each other at once. Those
    /// with request id 0 accept every SA between their endpoints.
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
