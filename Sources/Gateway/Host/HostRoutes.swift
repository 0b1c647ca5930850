import IPsec
import Netlink
import Packets
import Policy

/// Which of the host's own packets belong into tunnels: routes that lead them to the slow path's TUN device.
enum HostRoutes {
    /// One route for each destination of a protecting outbound policy whose sources include an address of ours. Without
    /// one, nothing that this host sends can match the policy.
    ///
    /// Of a destination that holds a peer's outer address there are routes for the rest: one for all of it would catch IKE and
    /// what else the host sends to the peer itself. What the host has routes of its own for stays out as well then, as a part
    /// of the rest may be smaller than they are. Where that takes too many routes, and for all addresses there are, the
    /// destination is left out.
    ///
    /// - Parameters:
    ///   - others: destinations of the host's other routes.
    ///   - mtu: the device's, in bytes.
    ///   - innerMTUs: largest inner packets by request id, where SAs are known.
    static func plan(
        _ policies: [SecurityPolicy], localAddresses: [IPAddress], peers: Set<IPAddress>, others: [IPPrefix] = [],
        device: UInt32, mtu: UInt32, innerMTUs: [UInt32: UInt32] = [:]
    ) -> [Route] {
        var planned: [IPPrefix: Route] = [:]
        let peers = peers.sorted()
        for policy in policies where policy.direction == .out {
            guard case .protect(let protection) = policy.action else { continue }
            let mtu = min(mtu, protection.requestIDs.compactMap { innerMTUs[$0] }.min() ?? mtu)
            let selector = policy.selector
            guard let source = localAddresses.first(where: { selector.source.contains($0) }) else { continue }
            let prefixes = selector.destination.prefixes().flatMap { prefix in
                holdsPeer(prefix, peers) ? rest(of: prefix, peers: peers, others: others) : [prefix]
            }
            for prefix in prefixes where planned[prefix] == nil {
                planned[prefix] = Route(
                    destination: prefix, origin: .sluice, scope: .link, preferredSource: source, mtu: mtu,
                    hops: [Route.Hop(interfaceIndex: device)])
            }
        }
        return planned.values.sorted {
            ($0.destination.address, $0.destination.length) < ($1.destination.address, $1.destination.length)
        }
    }

    private static func rest(of prefix: IPPrefix, peers: [IPAddress], others: [IPPrefix]) -> [IPPrefix] {
        guard prefix.length > 0 else { return [] }
        let holes = peers.map(IPPrefix.init(host:)) + others.filter { $0.length > prefix.length }
        return PrefixPieces.of(prefix, without: holes, limit: mostPieces) ?? []
    }

    /// Of one destination.
    private static let mostPieces = 256

    /// Whether one of the addresses, which are in ascending order, lies within the prefix.
    private static func holdsPeer(_ prefix: IPPrefix, _ addresses: [IPAddress]) -> Bool {
        var (low, high) = (0, addresses.count)
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle] < prefix.address { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && prefix.contains(addresses[low])
    }
}
