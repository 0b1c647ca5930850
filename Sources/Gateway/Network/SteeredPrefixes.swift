import IPsec
import Packets
import Policy

/// Which destinations the steering program takes from LAN ports.
enum SteeredPrefixes {
    /// The destinations of outbound policies that protect or discard: both are for a worker to carry out. What only
    /// bypass policies name stays with the kernel.
    static func of(_ policies: [SecurityPolicy]) -> Set<IPPrefix> {
        var prefixes: Set<IPPrefix> = []
        for policy in policies where policy.direction == .out && policy.action != .bypass {
            prefixes.formUnion(policy.selector.destination.prefixes())
        }
        return prefixes
    }
}
