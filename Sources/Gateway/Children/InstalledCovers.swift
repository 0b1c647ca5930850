import IKEv2
import IPsec
import Policy

/// The traffic that loaded children cover, whatever SAs there are.
struct InstalledCovers {
    /// A child of a connection.
    private struct Key: Hashable {
        var connection: String
        var child: String
    }

    private var covers: [Key: InstalledCover] = [:]

    var isEmpty: Bool { covers.isEmpty }

    /// Puts a cover in the place of what the child covered before. Returns both; nil: nothing has changed.
    mutating func set(_ cover: ChildCover) -> (new: InstalledCover, old: InstalledCover?)? {
        let key = Key(connection: cover.connectionName, child: cover.child.name)
        let old = covers[key]
        guard old?.cover != cover else { return nil }
        let new = InstalledCover(cover)
        covers[key] = new
        return (new, old)
    }

    mutating func remove(connection: String, child: String) -> InstalledCover? {
        covers.removeValue(forKey: Key(connection: connection, child: child))
    }

    /// The cover of a CHILD_SA's packets.
    func cover(of sa: ChildSA) -> InstalledCover? { covers[Self.key(sa)] }

    /// All of it, in the order of the configuration, behind what was configured by hand.
    func list(beside byHand: [SecurityPolicy]) -> CoveredList {
        var traffic = CoveredTraffic.list(byHand)
        var incomplete: [String] = []
        let ordered = covers.values.map(\.cover).sorted { ($0.rank, $0.child.name) < ($1.rank, $1.child.name) }
        for cover in ordered {
            traffic += cover.selectors.map { CoveredTraffic(name: cover.name, selector: $0, of: cover.child) }
            if !cover.isComplete { incomplete.append(cover.name) }
        }
        return CoveredList(traffic, incomplete: incomplete)
    }

    /// A selector that the peer has narrowed until another child goes before this one, and that child: the SA gets none of
    /// these packets.
    func overshadowed(_ sa: ChildSA) -> (selector: TrafficSelector, owner: String)? {
        let own = Self.key(sa)
        guard let mine = covers[own] else { return nil }
        for selector in sa.selectors {
            guard let home = mine.home(of: selector), home != selector else { continue }
            let priority = sa.child.priority ?? ChildPolicies.priority(home)
            for (key, other) in covers where key != own {
                if other.goesBefore(priority, for: selector) { return (selector, other.cover.name) }
            }
        }
        return nil
    }

    private static func key(_ sa: ChildSA) -> Key { Key(connection: sa.connectionName, child: sa.child.name) }
}

/// The cover of a loaded child, as the dataplane has it.
struct InstalledCover {
    let cover: ChildCover
    let claims: [PolicyBook.Claim]
    private let exact: Set<TrafficSelector>

    init(_ cover: ChildCover) {
        self.cover = cover
        claims = ChildPolicies.covering(cover)
        exact = Set(cover.selectors)
    }

    /// Whether all packets of a selector are this child's rather than those of one with the priority.
    func goesBefore(_ priority: UInt32, for selector: TrafficSelector) -> Bool {
        cover.selectors.contains { pair in
            ChildPolicies.priority(pair, of: cover.child) < priority && pair.contains(selector)
        }
    }

    /// The narrowest configured pair that a selector is a part of, most often the selector itself; nil when nothing covers
    /// it.
    func home(of selector: TrafficSelector) -> TrafficSelector? {
        if exact.contains(selector) { return selector }
        return cover.selectors.filter { $0.contains(selector) }
            .min { ChildPolicies.priority($0) < ChildPolicies.priority($1) }
    }
}
