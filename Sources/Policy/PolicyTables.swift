import IPsec
import Packets
import Telemetry

/// The action of a policy, as the dataplane sees it.
@frozen
public enum PolicyAction: UInt8, Sendable, BitwiseCopyable {
    case protect
    case bypass
    case discard
    /// No policy matches.
    case none
    /// A later fragment whose missing ports would decide (RFC 4301 section 7).
    case needsReassembly
}

/// One policy as workers read it. Its place in the array of records is its index in decisions.
@frozen
@usableFromInline
struct PolicyRecord: @unchecked Sendable {
    @usableFromInline let selector: TrafficSelector
    @usableFromInline let action: PolicyAction
    @usableFromInline let hasSource: Bool
    @usableFromInline let hasDestination: Bool
    @usableFromInline let acquires: Bool
    @usableFromInline let requestID: UInt32
    @usableFromInline let source: IPAddress
    @usableFromInline let destination: IPAddress
    /// Further request ids; the counters keep them alive.
    @usableFromInline let alternatives: UnsafePointer<UInt32>
    @usableFromInline let alternativeCount: Int
    /// `countersPerWorker` counters for each worker: packets, bytes, and the rest of a cache line.
    @usableFromInline let counters: CounterBlock

    @inlinable static var countersPerWorker: Int { 8 }

    init(_ policy: SecurityPolicy, counters: PolicyCounters) {
        selector = policy.selector
        switch policy.action {
        case .protect: action = .protect
        case .bypass: action = .bypass
        case .discard: action = .discard
        }
        let protection = policy.protection
        requestID = protection?.requestID ?? 0
        hasSource = protection?.source != nil
        hasDestination = protection?.destination != nil
        source = protection?.source ?? .unspecified(.ipv4)
        destination = protection?.destination ?? .unspecified(.ipv4)
        acquires = protection?.acquires ?? false
        alternatives = UnsafePointer(counters.alternatives.base)
        alternativeCount = counters.alternatives.count
        self.counters = counters.block
    }

    /// Whether the policy wants protection, and by an SA like this one.
    @inlinable
    func accepts(_ link: InboundLink) -> Bool {
        action == .protect && (requestID == 0 || requestID == link.requestID || isAlternative(link.requestID))
            && (!hasSource || source == link.source) && (!hasDestination || destination == link.destination)
    }

    @inlinable
    func isAlternative(_ requestID: UInt32) -> Bool {
        var index = 0
        while index < alternativeCount {
            if alternatives[index] == requestID { return true }
            index &+= 1
        }
        return false
    }
}

/// Packets and bytes that one policy decided about. They live as long as the policy is configured, over any number of
/// snapshots. Each worker has a cache line of its own.
final class PolicyCounters: Sendable {
    let policy: SecurityPolicy
    let block: CounterBlock
    /// The alternatives of the policy, as workers read them.
    let alternatives: HotArray<UInt32>
    private let workers: Int

    init(policy: SecurityPolicy, workers: Int) {
        self.policy = policy
        self.workers = workers
        alternatives = HotArray(policy.protection?.alternatives ?? [])
        block = .allocate(count: workers * PolicyRecord.countersPerWorker)
    }

    deinit { block.deallocate() }

    var packets: UInt64 { (0..<workers).reduce(0) { $0 &+ block[$1 * PolicyRecord.countersPerWorker].load() } }
    var bytes: UInt64 { (0..<workers).reduce(0) { $0 &+ block[$1 * PolicyRecord.countersPerWorker + 1].load() } }
}

/// The security policy database as lookups read it, changed in place while nobody does.
final class PolicyTables {
    /// The policies by slot, as are the records. Slots are the policy indices of decisions.
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

    /// The policies in order of precedence.
    var ordered: [StoredPolicy] { policies.compactMap(\.self).sorted { $0.precedence < $1.precedence } }

    /// The most hash tables that a lookup asks.
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
    /// The number by which lookups count directions.
    var number: Int {
        switch self {
        case .out: TupleSpace.out
        case .in: TupleSpace.in
        case .forward: TupleSpace.forward
        }
    }
}
