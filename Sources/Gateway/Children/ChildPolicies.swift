import IKEv2
import IPsec
import Packets
import Policy

/// The policies of children, as claims on the SPD.
///
/// A child that is loaded covers what its configuration says, in all directions and whether or not there is an SA: its
/// packets leave through its SAs or not at all. An SA whose peer has narrowed that, and whose request id is its own,
/// claims its part of the outbound packets. They name the request id and no outer endpoints: the SAs carry their own
/// selectors, and a peer may move while SAs replace each other.
enum ChildPolicies {
    /// The policies that cover a loaded child's traffic.
    static func covering(_ cover: ChildCover) -> [PolicyBook.Claim] {
        cover.selectors.flatMap { selector in
            claims(
                selector, .all, priority(selector, of: cover.child), shunt: cover.child.shunt,
                requestID: cover.requestID, rank: cover.rank, acquires: cover.acquires, name: cover.name)
        }
    }

    /// The claims of an SA's outbound half beside what covers it. None when the packets of the cover find the SA
    /// anyway.
    static func outbound(_ sa: ChildSA, cover: InstalledCover?) -> [PolicyBook.Claim] {
        sa.selectors.flatMap { selector -> [PolicyBook.Claim] in
            let home = cover?.home(of: selector)
            if home != nil, cover?.cover.requestID == sa.requestID { return [] }
            return claims(
                selector, [.out], sa.child.priority ?? home.map(priority) ?? configuredPriority(selector, of: sa.child),
                isNarrowed: home != selector, requestID: sa.requestID, rank: cover?.cover.rank ?? .max, name: sa.name)
        }
    }

    /// The policies that let packets out of an SA, to the host itself and beyond, where nothing covers its selectors:
    /// those that are `dynamic` and of a peer that may be anywhere.
    static func inbound(_ sa: ChildSA, cover: InstalledCover?) -> [PolicyBook.Claim] {
        sa.selectors.flatMap { selector -> [PolicyBook.Claim] in
            if cover?.home(of: selector) != nil { return [] }
            return claims(
                selector, [.in, .forward], sa.child.priority ?? configuredPriority(selector, of: sa.child),
                isNarrowed: true, requestID: cover?.cover.requestID ?? sa.requestID, rank: cover?.cover.rank ?? .max,
                name: sa.name)
        }
    }

    /// - Parameter selector: as an outbound packet carries it.
    private static func claims(
        _ selector: TrafficSelector, _ directions: [SecurityPolicy.Direction], _ priority: UInt32,
        isNarrowed: Bool = false, shunt: Child.Shunt? = nil, requestID: UInt32, rank: UInt64, acquires: Bool = false,
        name: String
    ) -> [PolicyBook.Claim] {
        directions.map { direction in
            PolicyBook.Claim(
                selector: direction == .out ? selector : selector.reversed, direction: direction, priority: priority,
                isNarrowed: isNarrowed, shunt: shunt, requestID: requestID, rank: rank,
                acquires: acquires && direction == .out,
                name: name)
        }
    }

    /// The priority of the configured pair that a selector is a part of. A `dynamic` side counts as every address:
    /// where a peer is does not make its packets go before those of others.
    private static func configuredPriority(_ selector: TrafficSelector, of child: Child) -> UInt32 {
        func sides(_ sides: [SelectorSide]) -> [SelectorSide] {
            sides.map { side in
                var side = side
                if side.addresses == nil { side.addresses = .any(selector.family) }
                return side
            }
        }
        var open = child
        open.localSelectors = sides(child.localSelectors)
        open.remoteSelectors = sides(child.remoteSelectors)
        let pairs = open.configuredSelectors(local: nil, remote: nil).selectors
        return pairs.filter { $0.contains(selector) }.map(priority).min() ?? basePriority
    }

    /// The priority of a configured pair of a child. What passes goes before all that is protected, what is dropped
    /// behind it; among themselves they are in the same order.
    static func priority(_ selector: TrafficSelector, of child: Child) -> UInt32 {
        if let priority = child.priority { return priority }
        return switch child.shunt {
        case .pass: priority(selector) - basePriority / 2
        case .drop: priority(selector) + basePriority / 2
        case nil: priority(selector)
        }
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

    /// The priority of a selector for everything. The narrowest one is 2,055 below.
    static let basePriority: UInt32 = 10_000
}

extension [SecurityPolicy.Direction] {
    fileprivate static var all: [SecurityPolicy.Direction] { [.out, .in, .forward] }
}

extension ChildCover {
    var name: String { "\(connectionName)/\(child.name)" }
}

extension ChildSA {
    fileprivate var name: String { "\(connectionName)/\(child.name)" }
}
