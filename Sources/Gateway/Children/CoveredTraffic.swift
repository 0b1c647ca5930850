import Configuration
import IKEv2
import IPsec
import Packets
import Policy

/// Packets that the configuration says something about, whatever SAs there are and whether or not a gateway runs: one
/// entry of the outbound SPD (RFC 4301 section 4.4.1) without its SAs.
package struct CoveredTraffic: Hashable, Sendable {
    package enum Action: String, Hashable, Sendable {
        /// Never leaves in clear.
        case protect
        /// Goes the host's own way.
        case bypass
        case discard
    }

    /// "connection/child"; "policy 3" for the third policy of an xfrm batch.
    package var name: String
    /// The selector as an outbound packet carries it: the source is on our side, the destination behind the peer.
    package var selector: TrafficSelector
    package var action: Action
    /// The priority, as in `SecurityPolicy`: the first entry that matches a packet decides, and lower numbers go first.
    package var priority: UInt32

    package init(name: String, selector: TrafficSelector, action: Action, priority: UInt32) {
        self.name = name
        self.selector = selector
        self.action = action
        self.priority = priority
    }
}

/// All that is covered.
package struct CoveredList: Hashable, Sendable {
    /// The entries in the order in which they decide.
    package private(set) var traffic: [CoveredTraffic]
    /// Children ("connection/child") with selectors that are `dynamic` and whose address is not known (yet): of these
    /// `traffic` has only what is known.
    package private(set) var incomplete: [String]

    /// Puts entries in order: by priority, then the longer prefixes, then as they are given.
    init(_ traffic: [CoveredTraffic], incomplete: [String] = []) {
        let order = traffic.indices.sorted {
            let (one, other) = (traffic[$0], traffic[$1])
            if one.priority != other.priority { return one.priority < other.priority }
            let lengths = (one.selector.prefixLength, other.selector.prefixLength)
            return lengths.0 == lengths.1 ? $0 < $1 : lengths.0 > lengths.1
        }
        self.traffic = order.map { traffic[$0] }
        self.incomplete = incomplete
    }

    /// The traffic that a gateway with this configuration covers as soon as it runs. Nothing is asked: neither routes
    /// nor a resolver.
    package init(_ manual: ManualConfiguration, _ connections: [Connection]) {
        var traffic = CoveredTraffic.list(manual.policies)
        var incomplete: [String] = []
        for connection in connections {
            for child in connection.children {
                let known = connection.configuredSelectors(of: child, resolved: { _ in [] }, source: { _ in nil })
                let name = "\(connection.name)/\(child.name)"
                traffic += known.selectors.map { CoveredTraffic(name: name, selector: $0, of: child) }
                if !known.isComplete { incomplete.append(name) }
            }
        }
        self.init(traffic, incomplete: incomplete)
    }
}

extension CoveredTraffic {
    init(name: String, selector: TrafficSelector, of child: Child) {
        let action: Action =
            switch child.shunt {
            case .pass: .bypass
            case .drop: .discard
            case nil: .protect
            }
        self.init(
            name: name, selector: selector, action: action, priority: ChildPolicies.priority(selector, of: child))
    }

    /// The entries of policies that were configured by hand.
    static func list(_ policies: [SecurityPolicy]) -> [CoveredTraffic] {
        policies.enumerated().compactMap { number, policy in
            guard policy.direction == .out else { return nil }
            let action: Action =
                switch policy.action {
                case .protect: .protect
                case .bypass: .bypass
                case .discard: .discard
                }
            let name = policy.name.isEmpty ? "policy \(number + 1)" : policy.name
            return CoveredTraffic(name: name, selector: policy.selector, action: action, priority: policy.priority)
        }
    }
}

extension TrafficSelector {
    /// Bits of both sides that are given.
    fileprivate var prefixLength: Int { source.commonPrefix.length + destination.commonPrefix.length }
}
