import IPsec
import Packets

/// The tables of one tuple space. Policies come and go in place, at the cost of their own keys; readers are given a
/// `space` only while nothing changes.
final class TupleSpaceTables {
    /// Prefixes into which one address range is split at most; two ranges make up to 64 entries.
    static let splitLimit = 8

    private let family: AddressFamily
    private let ignoresPorts: Bool
    private let seed = Mixing.processSeed
    private var groups: [PolicyMask: PolicyGroup]
    private let nodes: HotVector<PolicyNode>
    /// Of each node's key.
    private var hashes: [UInt32]
    /// The first of the nodes that are free.
    private var firstFree = PolicyNode.none
    /// The groups as lookups ask them, by their best policy.
    private let tuples: HotVector<PolicyTuple>
    /// `tuples` has to be made again.
    private var isStale = false

    init(family: AddressFamily, ignoresPorts: Bool) {
        self.family = family
        self.ignoresPorts = ignoresPorts
        groups = [:]
        nodes = HotVector([])
        hashes = []
        tuples = HotVector([])
    }

    private init(copying other: TupleSpaceTables) {
        family = other.family
        ignoresPorts = other.ignoresPorts
        groups = other.groups.mapValues { $0.copy() }
        nodes = other.nodes.copy()
        hashes = other.hashes
        firstFree = other.firstFree
        tuples = HotVector([])
        isStale = true
        finish()
    }

    func copy() -> TupleSpaceTables { TupleSpaceTables(copying: self) }

    /// What lookups use, as long as nothing changes.
    var space: TupleSpace {
        TupleSpace(
            tuples: UnsafePointer(tuples.base), nodes: UnsafePointer(nodes.base), count: UInt32(tuples.count),
            ignoresPorts: ignoresPorts, seed: seed)
    }

    /// How many hash tables there are.
    var tupleCount: Int { groups.count }

    func insert(_ selector: TrafficSelector, record: Int, precedence: UInt64) {
        isStale = true
        forEachKey(of: selector) { mask, source, destination, upper in
            let group = groups[mask] ?? PolicyGroup(mask, family: family)
            groups[mask] = group
            if group.isFull { group.grow(nodes, hashes) }
            let hash = group.tuple.hash(source: source, destination: destination, upper: upper, seed: seed)
            let node = PolicyNode(precedence: precedence, record: UInt32(record), next: PolicyNode.none)
            group.insert(takeNode(node, hash: UInt32(truncatingIfNeeded: hash)), nodes, hashes)
        }
    }

    func remove(_ selector: TrafficSelector, record: Int) {
        isStale = true
        forEachKey(of: selector) { mask, source, destination, upper in
            guard let group = groups[mask] else { return }
            let hash = group.tuple.hash(source: source, destination: destination, upper: upper, seed: seed)
            guard let node = group.remove(record: UInt32(record), hash: UInt32(truncatingIfNeeded: hash), nodes)
            else { return }
            nodes.base[Int(node)].next = firstFree
            firstFree = node
            if group.count == 0 { groups[mask] = nil }
        }
    }

    /// Makes `space` right again.
    func finish() {
        guard isStale else { return }
        tuples.replace(with: groups.values.map(\.tuple).sorted { $0.best < $1.best })
        isStale = false
    }

    private func takeNode(_ node: PolicyNode, hash: UInt32) -> UInt32 {
        guard firstFree != PolicyNode.none else {
            nodes.append(node)
            hashes.append(hash)
            return UInt32(nodes.count - 1)
        }
        let number = firstFree
        firstFree = nodes.base[Int(number)].next
        nodes.base[Int(number)] = node
        hashes[Int(number)] = hash
        return number
    }

    private func forEachKey(of selector: TrafficSelector, _ body: (PolicyMask, IPAddress, IPAddress, UInt64) -> Void) {
        let upper = Self.upper(selector, ignoresPorts: ignoresPorts)
        let destinations = Self.keys(of: selector.destination)
        for source in Self.keys(of: selector.source) {
            for destination in destinations {
                let mask = PolicyMask(
                    sourceLength: source.length, destinationLength: destination.length, upper: upper.mask)
                body(mask, source.address, destination.address, upper.value)
            }
        }
    }

    /// Prefixes that cover the range, of lengths that keys have. None twice.
    private static func keys(of range: AddressRange) -> [IPPrefix] {
        var keys: [IPPrefix] = []
        for prefix in range.prefixes(limit: splitLimit) {
            let length = PolicyMask.length(for: prefix.length, family: range.first.family)
            let key = IPPrefix(address: prefix.address, length: length)
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    /// Protocol and ports are part of the key where the selector wants a single value.
    private static func upper(_ selector: TrafficSelector, ignoresPorts: Bool) -> (value: UInt64, mask: UInt64) {
        let source = selector.sourcePorts
        let destination = selector.destinationPorts
        let hasSource = !ignoresPorts && source.count == 1
        let hasDestination = !ignoresPorts && destination.count == 1
        return (
            TupleSpace.upper(
                protocol: selector.protocol ?? 0, source: hasSource ? source.lowerBound : 0,
                destination: hasDestination ? destination.lowerBound : 0),
            TupleSpace.upper(
                protocol: selector.protocol == nil ? 0 : .max, source: hasSource ? .max : 0,
                destination: hasDestination ? .max : 0)
        )
    }
}
