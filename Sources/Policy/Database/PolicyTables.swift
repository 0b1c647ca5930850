import IPsec
import Packets

/// The security policy database as lookups read it, changed in place while nobody does.
final class PolicyTables {
    /// By slot, as are the records. Slots are the policy indices of decisions.
    private(set) var policies: [StoredPolicy?]
    let records: HotVector<PolicyRecord>
    /// `spaceCount` spaces, at `TupleSpace.index`.
    let spaces: HotVector<TupleSpace>
    private let tables: [TupleSpaceTables]
    private let nobody: PolicyRecord
    private let countersOfNobody: PolicyCounters

    /// Directions × families × (with and without ports).
    static let spaceCount = 12

    init(workers: Int) {
        policies = []
        let nobody = SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .discard)
        countersOfNobody = PolicyCounters(policy: nobody, workers: workers)
        self.nobody = PolicyRecord(nobody, counters: countersOfNobody)
        records = HotVector([])
        tables = (0..<Self.spaceCount).map {
            TupleSpaceTables(family: $0 & 2 == 0 ? .ipv4 : .ipv6, ignoresPorts: $0 & 1 == 1)
        }
        spaces = HotVector(tables.map(\.space))
    }

    private init(copying other: PolicyTables) {
        policies = other.policies
        countersOfNobody = other.countersOfNobody
        nobody = other.nobody
        records = other.records.copy()
        tables = other.tables.map { $0.copy() }
        spaces = HotVector(tables.map(\.space))
    }

    func copy() -> PolicyTables { PolicyTables(copying: self) }

    /// Puts a policy into a slot, or takes it out.
    func set(_ slot: Int, to policy: StoredPolicy?) {
        while policies.count <= slot { policies.append(nil) }
        records.grow(to: slot + 1, repeating: nobody)
        if let old = policies[slot] {
            for table in tables(of: old.policy) { table.remove(old.policy.selector, record: slot) }
        }
        policies[slot] = policy
        records.base[slot] = policy.map { PolicyRecord($0.policy, counters: $0.counters) } ?? nobody
        if let policy {
            for table in tables(of: policy.policy) {
                table.insert(policy.policy.selector, record: slot, precedence: policy.precedence)
            }
        }
    }

    /// After the last change: makes `spaces` right.
    func finish() {
        for (index, table) in tables.enumerated() {
            table.finish()
            spaces.base[index] = table.space
        }
    }

    /// In order of precedence.
    var ordered: [StoredPolicy] { policies.compactMap(\.self).sorted { $0.precedence < $1.precedence } }

    /// How many hash tables a lookup asks at most.
    func tupleCount(_ direction: SecurityPolicy.Direction, _ family: AddressFamily) -> Int {
        tables[TupleSpace.index(direction.number, family, ignoringPorts: false)].tupleCount
    }

    private func tables(of policy: SecurityPolicy) -> [TupleSpaceTables] {
        [false, true].map {
            tables[TupleSpace.index(policy.direction.number, policy.selector.family, ignoringPorts: $0)]
        }
    }
}

extension SecurityPolicy.Direction {
    /// As the lookups count directions.
    var number: Int {
        switch self {
        case .out: TupleSpace.out
        case .in: TupleSpace.in
        case .forward: TupleSpace.forward
        }
    }
}
