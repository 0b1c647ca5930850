import Policy

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
        /// nil: the builder has refused it.
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

    /// Returns those that were not there. The builder refuses templates with endpoints of two families; ours have none.
    mutating func add(_ policies: [SecurityPolicy], to builder: SnapshotBuilder) -> [SecurityPolicy] {
        var new: [SecurityPolicy] = []
        for policy in policies {
            if entries[policy] == nil {
                number += 1
                entries[policy] = Entry(count: 0, number: number, token: try? builder.addPolicy(policy))
                new.append(policy)
            }
            entries[policy]?.count += 1
        }
        return new
    }

    /// Returns those that nobody needs any more.
    mutating func remove(_ policies: [SecurityPolicy], from builder: SnapshotBuilder) -> [SecurityPolicy] {
        var gone: [SecurityPolicy] = []
        for policy in policies {
            guard let entry = entries[policy] else { continue }
            if entry.count > 1 {
                entries[policy]?.count -= 1
            } else {
                entries[policy] = nil
                if let token = entry.token { builder.removePolicy(token) }
                gone.append(policy)
            }
        }
        return gone
    }

    var all: [SecurityPolicy] {
        configured + entries.sorted { $0.value.number < $1.value.number }.map(\.key)
    }

    /// Whether nothing but the configured policies is left.
    var isEmptyOfChildren: Bool { entries.isEmpty }
}
