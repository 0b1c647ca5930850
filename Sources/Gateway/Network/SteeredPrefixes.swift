import IPsec
import Packets
import Policy

/// Which destinations the steering program takes from LAN ports: those of outbound policies that protect or discard, as
/// both are for a worker to carry out. What only bypass policies name stays with the kernel.
struct SteeredPrefixes {
    /// How many policies name each.
    private var counts: [IPPrefix: Int] = [:]

    var all: Set<IPPrefix> { Set(counts.keys) }

    /// Returns the prefixes that are new, and those that are gone.
    mutating func apply(_ change: PolicyChange) -> (new: [IPPrefix], gone: [IPPrefix]) {
        var new: [IPPrefix] = []
        var gone: [IPPrefix] = []
        // What is in both lists stays.
        for prefix in change.added.flatMap(Self.prefixes) {
            counts[prefix, default: 0] += 1
            if counts[prefix] == 1 { new.append(prefix) }
        }
        for prefix in change.removed.flatMap(Self.prefixes) {
            guard let count = counts[prefix] else { continue }
            counts[prefix] = count > 1 ? count - 1 : nil
            if count == 1 { gone.append(prefix) }
        }
        return (new, gone)
    }

    private static func prefixes(of policy: SecurityPolicy) -> [IPPrefix] {
        guard policy.direction == .out, policy.action != .bypass else { return [] }
        return policy.selector.destination.prefixes()
    }
}
