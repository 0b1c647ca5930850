import IKEv2
import IPsec
import Packets
import Policy

/// The policies of CHILD_SAs.
///
/// They name the request id and no outer endpoints: the request id belongs to one child of one configuration, its SAs
/// carry their own selectors, and a peer may move while the SAs of one child replace each other.
enum ChildPolicies {
    /// What leads traffic into the SAs, or asks for them.
    static func outbound(_ selectors: [TrafficSelector], of child: Child, requestID: UInt32, name: String)
        -> [SecurityPolicy]
    {
        selectors.map { policy($0, .out, child, requestID, name) }
    }

    /// What lets traffic out of the SAs, to the host itself and beyond. `selectors` as an outbound packet carries them.
    static func inbound(_ selectors: [TrafficSelector], of child: Child, requestID: UInt32, name: String)
        -> [SecurityPolicy]
    {
        selectors.map(\.reversed).flatMap {
            [policy($0, .in, child, requestID, name), policy($0, .forward, child, requestID, name)]
        }
    }

    private static func policy(
        _ selector: TrafficSelector, _ direction: SecurityPolicy.Direction, _ child: Child, _ requestID: UInt32,
        _ name: String
    ) -> SecurityPolicy {
        SecurityPolicy(
            selector: selector, direction: direction,
            action: .protect(SecurityPolicy.Protection(requestID: requestID)),
            priority: child.priority ?? priority(selector), name: name)
    }

    /// The narrower the selector, the lower the number, and the earlier the policy. Prefixes count most, then the protocol,
    /// then ports.
    static func priority(_ selector: TrafficSelector) -> UInt32 {
        let bits = selector.source.commonPrefix.length + selector.destination.commonPrefix.length
        var narrowness = UInt32(clamping: bits) * 8
        if selector.protocol != nil { narrowness += 4 }
        if selector.sourcePorts != TrafficSelector.anyPort { narrowness += 2 }
        if selector.destinationPorts != TrafficSelector.anyPort { narrowness += 1 }
        return basePriority - narrowness
    }

    /// Of a selector for everything. The narrowest one is 2,055 below.
    static let basePriority: UInt32 = 10_000
}
