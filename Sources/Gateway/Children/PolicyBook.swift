import IKEv2
import IPsec
import Policy

/// The security policy database as it is put together: what was configured by hand, then what children of connections
/// and their SAs claim, each as long as one of them needs it.
///
/// Claims on the same packets share one policy: packets from any of the tunnels are taken, and packets that leave take
/// the first tunnel, in the order of the configuration, that has an SA.
struct PolicyBook {
    /// Why a policy is there.
    struct Claim: Hashable {
        var selector: TrafficSelector
        var direction: SecurityPolicy.Direction
        var priority: UInt32
        var isNarrowed = false
        /// The fate of the packets without an SA; nil: they are protected.
        var shunt: Child.Shunt?
        var requestID: UInt32
        /// The place of its connection in the configuration: lower is preferred.
        var rank: UInt64
        /// Packets without an SA ask for one.
        var acquires = false
        var name: String
    }

    private let configured: [SecurityPolicy]
    /// Request ids that are taken by hand.
    let configuredRequestIDs: Set<UInt32>
    private var entries: [Place: Entry] = [:]
    private var number: UInt64 = 0

    /// The key that claims have in common that share a policy.
    fileprivate struct Place: Hashable {
        var selector: TrafficSelector
        var direction: SecurityPolicy.Direction
        var priority: UInt32
        var isNarrowed: Bool
        var shunt: Child.Shunt?
    }

    fileprivate struct Entry {
        /// The claims in order of preference, with how many times each was made.
        var claims: [(claim: Claim, count: Int)] = []
        /// The place among policies of one precedence: as they came.
        var number: UInt64
        var policy: SecurityPolicy?
        /// The policy's number; nil: the builder has refused it.
        var token: SnapshotBuilder.PolicyToken?
    }

    init(_ configured: [SecurityPolicy]) {
        self.configured = configured
        configuredRequestIDs = Set(
            configured.compactMap { policy in
                guard case .protect(let protection) = policy.action else { return nil }
                return protection.requestID
            })
    }

    /// Adds and removes claims, in one step, so that a policy that both are about stays. Returns which policies came and
    /// went; one that has changed is in both lists. The builder refuses templates with endpoints of two families; ours
    /// have none.
    mutating func change(adding new: [Claim], removing old: [Claim], in builder: SnapshotBuilder) -> PolicyChange {
        var touched: [Place] = []
        var known: Set<Place> = []
        func touch(_ place: Place) { if known.insert(place).inserted { touched.append(place) } }
        for claim in new {
            touch(claim.place)
            if entries[claim.place] == nil {
                number += 1
                entries[claim.place] = Entry(number: number)
            }
            entries[claim.place]?.add(claim)
        }
        for claim in old where entries[claim.place]?.remove(claim) == true { touch(claim.place) }
        var change = PolicyChange()
        for place in touched { update(place, builder, &change) }
        return change
    }

    private mutating func update(_ place: Place, _ builder: SnapshotBuilder, _ change: inout PolicyChange) {
        guard var entry = entries[place] else { return }
        let policy = entry.made
        guard policy != entry.policy else { return }
        if let old = entry.policy { change.removed.append(old) }
        if let policy {
            change.added.append(policy)
            if let token = entry.token {
                builder.replacePolicy(token, with: policy)
            } else {
                entry.token = try? builder.addPolicy(policy)
            }
            entry.policy = policy
            entries[place] = entry
        } else {
            if let token = entry.token { builder.removePolicy(token) }
            entries[place] = nil
        }
    }

    var all: [SecurityPolicy] {
        configured + entries.values.sorted { $0.number < $1.number }.compactMap(\.policy)
    }

    /// The policies that were configured by hand.
    var byHand: [SecurityPolicy] { configured }

    /// Whether nothing but the configured policies is left.
    var isEmptyOfChildren: Bool { entries.isEmpty }
}

extension PolicyBook.Claim {
    fileprivate var place: PolicyBook.Place {
        PolicyBook.Place(
            selector: selector, direction: direction, priority: priority, isNarrowed: isNarrowed, shunt: shunt)
    }
}

extension PolicyBook.Entry {
    fileprivate mutating func add(_ claim: PolicyBook.Claim) {
        if let index = claims.firstIndex(where: { $0.claim == claim }) {
            claims[index].count += 1
        } else {
            let index = claims.firstIndex { $0.claim.rank > claim.rank } ?? claims.count
            claims.insert((claim, 1), at: index)
        }
    }

    /// False: it was not there.
    fileprivate mutating func remove(_ claim: PolicyBook.Claim) -> Bool {
        guard let index = claims.firstIndex(where: { $0.claim == claim }) else { return false }
        claims[index].count -= 1
        if claims[index].count == 0 { claims.remove(at: index) }
        return true
    }

    /// The policy that the claims come to; nil when there are none.
    fileprivate var made: SecurityPolicy? {
        guard let first = claims.first?.claim else { return nil }
        var ids: [UInt32] = []
        var names: [String] = []
        for (claim, _) in claims {
            if !ids.contains(claim.requestID) { ids.append(claim.requestID) }
            if !names.contains(claim.name) { names.append(claim.name) }
        }
        let protection = SecurityPolicy.Protection(
            requestID: first.requestID, alternatives: Array(ids.dropFirst()),
            acquires: claims.contains(where: \.claim.acquires))
        let action: SecurityPolicy.Action =
            switch first.shunt {
            case .pass: .bypass
            case .drop: .discard
            case nil: .protect(protection)
            }
        return SecurityPolicy(
            selector: first.selector, direction: first.direction, action: action,
            priority: first.priority, isNarrowed: first.isNarrowed, name: names.joined(separator: ", "))
    }
}
