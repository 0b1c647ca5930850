import IPsec
import Packets
import Policy
import XDP

/// The rules that the steering program gets for a policy. Outbound policies only: what comes in protected comes as ESP,
/// and what should have come so is told from the outbound policies.
///
/// The program decides as the policy database does, by addresses, protocol and ports, and a worker asks the database again. Only
/// these are not told exactly, and always so that more comes to the workers than should: address ranges of many prefixes, pairs of
/// networks with more policies than fit, and the order of policies that are equal but for the one that came first.
package enum PolicySteering {
    /// Prefixes that an address range becomes at most; beyond that it is the one prefix that holds it.
    static let prefixesPerRange = 8
    /// Rules that a policy becomes at most.
    static let rulesPerPolicy = 8

    package static func rules(_ policy: SecurityPolicy) -> [SteeringRule] {
        guard policy.direction == .out else { return [] }
        let action = action(policy.action)
        let selector = policy.selector
        var sources = prefixes(selector.source)
        let destinations = prefixes(selector.destination)
        var isExact = sources.isExact && destinations.isExact
        if sources.list.count * destinations.list.count > rulesPerPolicy {
            sources.list = [selector.source.commonPrefix]
            isExact = false
        }
        // Nobody looks again at what passes.
        guard action != .pass || isExact else { return [] }
        let upper = UpperSelector(
            protocol: selector.protocol, sourcePorts: selector.sourcePorts, destinationPorts: selector.destinationPorts)
        let precedence = precedence(policy)
        return sources.list.flatMap { source in
            destinations.list.map { destination in
                SteeringRule(
                    from: source, to: destination, upper: upper, action, precedence: precedence,
                    narrowness: destinations.isExact ? destination.length : destination.address.bitWidth)
            }
        }
    }

    /// The order of the policy database, as far as it does not go by who came first. Of two in the same place the one that
    /// brings packets to a worker goes first.
    private static func precedence(_ policy: SecurityPolicy) -> UInt64 {
        let selector = policy.selector
        let length = selector.source.commonPrefix.length + selector.destination.commonPrefix.length
        return UInt64(policy.priority) << 10 | (policy.isNarrowed ? 0 : 1 << 9) | UInt64(256 - length)
    }

    private static func action(_ action: SecurityPolicy.Action) -> SteeringRule.Action {
        switch action {
        case .protect: .protect
        case .discard: .discard
        case .bypass: .pass
        }
    }

    private static func prefixes(_ range: AddressRange) -> (list: [IPPrefix], isExact: Bool) {
        let list = range.prefixes(limit: prefixesPerRange)
        return (list, list.count > 1 || range.prefix != nil)
    }
}
