import IPsec
import Packets
import Telemetry

/// The security policy database, ready for lookups. Immutable; snapshots share it as long as the policies stay.
final class PolicyIndex: Sendable {
    /// The policies in order of precedence, with their counters. Their positions are the policy indices of decisions.
    let ordered: [PolicyCounters]
    let records: HotArray<PolicyRecord>
    /// `spaceCount` spaces, at `TupleSpace.index`.
    let spaces: HotArray<TupleSpace>
    private let tables: [TupleSpaceTables]

    /// Keeps the counters of policies that `previous` had too.
    init(_ policies: [SecurityPolicy], workers: Int, keeping previous: PolicyIndex?) {
        let sorted = Self.inOrderOfPrecedence(policies)
        var known: [SecurityPolicy: [PolicyCounters]] = [:]
        // Reversed, so that `popLast` takes equal policies in their order.
        for counters in previous?.ordered.reversed() ?? [] { known[counters.policy, default: []].append(counters) }
        ordered = sorted.map { known[$0]?.popLast() ?? PolicyCounters(policy: $0, workers: workers) }
        records = HotArray(ordered.map { PolicyRecord($0.policy, counters: $0.block) })

        var tables: [TupleSpaceTables] = []
        for space in 0..<Self.spaceCount {
            tables.append(Self.makeTables(sorted, space: space, before: tables))
        }
        self.tables = tables
        spaces = HotArray(tables.map(\.space))
    }

    /// How many hash tables a lookup asks at most.
    func tupleCount(_ direction: SecurityPolicy.Direction, _ family: AddressFamily) -> Int {
        tables[TupleSpace.index(direction.number, family, ignoringPorts: false)].tupleCount
    }

    static func inOrderOfPrecedence(_ policies: [SecurityPolicy]) -> [SecurityPolicy] {
        func length(_ policy: SecurityPolicy) -> Int {
            policy.selector.source.commonPrefix.length + policy.selector.destination.commonPrefix.length
        }
        let keyed = policies.enumerated().map { (offset: $0.offset, length: length($0.element), policy: $0.element) }
        return keyed.sorted {
            ($0.policy.priority, -$0.length, $0.offset) < ($1.policy.priority, -$1.length, $1.offset)
        }.map(\.policy)
    }

    /// Directions × families × (with and without ports).
    static let spaceCount = 12

    private static func makeTables(
        _ sorted: [SecurityPolicy], space: Int, before: [TupleSpaceTables]
    ) -> TupleSpaceTables {
        let ignoresPorts = space & 1 == 1
        let family: AddressFamily = space & 2 == 0 ? .ipv4 : .ipv6
        let members = sorted.enumerated().filter {
            $0.element.direction.number == space >> 2 && $0.element.selector.family == family
        }
        // Without ports the two spaces are the same, so they share their tables.
        if ignoresPorts, members.allSatisfy({ $0.element.selector.isAnyPort }) { return before[space - 1] }
        return TupleSpaceTables(
            members.map { (UInt32($0.offset), $0.element.selector) }, family: family, ignoresPorts: ignoresPorts)
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
