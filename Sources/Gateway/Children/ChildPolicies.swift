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

/// The security policy database as it is put together: what was configured by hand, then what CHILD_SAs and traps
/// brought, each as long as one of them needs it.
struct PolicyBook {
    private let configured: [SecurityPolicy]
    /// Request ids that are taken by hand.
    let configuredRequestIDs: Set<UInt32>
    private var entries: [SecurityPolicy: Entry] = [:]
    private var number: UInt64 = 0

    private struct Entry {
        var count: Int
        /// The place among policies of one precedence: as they came.
        var number: UInt64
    }

    init(_ configured: [SecurityPolicy]) {
        self.configured = configured
        configuredRequestIDs = Set(
            configured.compactMap { policy in
                guard case .protect(let protection) = policy.action else { return nil }
                return protection.requestID
            })
    }

    /// Returns whether there is a policy more.
    mutating func add(_ policies: [SecurityPolicy]) -> Bool {
        var isNew = false
        for policy in policies {
            if entries[policy] == nil {
                number += 1
                entries[policy] = Entry(count: 0, number: number)
                isNew = true
            }
            entries[policy]?.count += 1
        }
        return isNew
    }

    /// Returns whether there is a policy less.
    mutating func remove(_ policies: [SecurityPolicy]) -> Bool {
        var isGone = false
        for policy in policies {
            guard let entry = entries[policy] else { continue }
            if entry.count > 1 {
                entries[policy]?.count -= 1
            } else {
                entries[policy] = nil
                isGone = true
            }
        }
        return isGone
    }

    var all: [SecurityPolicy] {
        configured + entries.sorted { $0.value.number < $1.value.number }.map(\.key)
    }

    /// Whether nothing but the configured policies is left.
    var isEmptyOfChildren: Bool { entries.isEmpty }
}
