import IKEv2
import IPsec
import Policy

/// What a loaded child covers, as the dataplane has it.
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
