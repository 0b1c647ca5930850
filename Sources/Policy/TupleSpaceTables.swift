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
    /// The hashes of each node's key.
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

    /// The view that lookups use, as long as nothing changes.
    var space: TupleSpace {
        TupleSpace(
            tuples: UnsafePointer(tuples.base), nodes: UnsafePointer(nodes.base), count: UInt32(tuples.count),
            ignoresPorts: ignoresPorts, seed: seed)
    }

    /// The number of hash tables.
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

/// The mask that the keys of a group have in common.
struct PolicyMask: Hashable {
    var sourceLength: Int
    var destinationLength: Int
    /// The mask of `TupleSpace.upper`.
    var upper: UInt64

    /// The length of the key of a prefix: at most nine lengths a family, so that there are at most 81 × 8 masks, each of
    /// which costs every lookup a step. A shorter key only makes a few more candidates.
    static func length(for length: Int, family: AddressFamily) -> Int {
        switch family {
        case .ipv4: length & ~3
        case .ipv6 where (32...64).contains(length): length & ~7
        case .ipv6: length < 32 ? length & ~15 : length & ~31
        }
    }
}

/// The hash table of all keys with one mask: chains of nodes, which lie in the space's memory.
final class PolicyGroup {
    /// The group as lookups see it.
    private(set) var tuple: PolicyTuple
    private(set) var count = 0
    private var heads: HotVector<UInt32>
    /// The number of nodes that went since `tuple.best` was looked for: it may be too low, which costs a lookup a step,
    /// no more.
    private var removals = 0

    init(_ mask: PolicyMask, family: AddressFamily) {
        let source = IPPrefix.mask(length: mask.sourceLength, family: family)
        let destination = IPPrefix.mask(length: mask.destinationLength, family: family)
        heads = HotVector(repeating: PolicyNode.none, count: 2)
        tuple = PolicyTuple(
            sourceMaskHigh: source.high, sourceMaskLow: source.low, destinationMaskHigh: destination.high,
            destinationMaskLow: destination.low, upperMask: mask.upper, heads: UnsafePointer(heads.base), best: .max,
            bucketMask: 1)
    }

    private init(copying other: PolicyGroup) {
        tuple = other.tuple
        count = other.count
        removals = other.removals
        heads = other.heads.copy()
        tuple.heads = UnsafePointer(heads.base)
    }

    func copy() -> PolicyGroup { PolicyGroup(copying: self) }

    /// Whether one more node would leave less than half of the buckets empty.
    var isFull: Bool { 2 * (count + 1) > heads.count }

    /// Links a node into its chain, behind those of higher precedence.
    func insert(_ number: UInt32, _ nodes: HotVector<PolicyNode>, _ hashes: [UInt32]) {
        let precedence = nodes.base[Int(number)].precedence
        var place = heads.base + Int(hashes[Int(number)] & tuple.bucketMask)
        while place.pointee != PolicyNode.none, nodes.base[Int(place.pointee)].precedence < precedence {
            place = Self.next(of: place.pointee, nodes)
        }
        nodes.base[Int(number)].next = place.pointee
        place.pointee = number
        count += 1
        tuple.best = min(tuple.best, precedence)
    }

    /// Takes a policy's node out of its chain; nil when it is not there.
    func remove(record: UInt32, hash: UInt32, _ nodes: HotVector<PolicyNode>) -> UInt32? {
        var place = heads.base + Int(hash & tuple.bucketMask)
        while place.pointee != PolicyNode.none, nodes.base[Int(place.pointee)].record != record {
            place = Self.next(of: place.pointee, nodes)
        }
        let number = place.pointee
        guard number != PolicyNode.none else { return nil }
        place.pointee = nodes.base[Int(number)].next
        count -= 1
        removals += 1
        // A look at all of them for every so many removals: little for each.
        if removals > count / 2 { findBest(nodes) }
        return number
    }

    /// Twice as many buckets. Chains are split without changing their order.
    func grow(_ nodes: HotVector<PolicyNode>, _ hashes: [UInt32]) {
        let old = heads
        heads = HotVector(repeating: PolicyNode.none, count: old.count * 2)
        tuple.heads = UnsafePointer(heads.base)
        tuple.bucketMask = UInt32(heads.count - 1)
        for bucket in 0..<old.count {
            var ends = (heads.base + bucket, heads.base + bucket + old.count)
            var number = old.base[bucket]
            while number != PolicyNode.none {
                let following = nodes.base[Int(number)].next
                nodes.base[Int(number)].next = PolicyNode.none
                let isUpper = hashes[Int(number)] & UInt32(old.count) != 0
                (isUpper ? ends.1 : ends.0).pointee = number
                if isUpper { ends.1 = Self.next(of: number, nodes) } else { ends.0 = Self.next(of: number, nodes) }
                number = following
            }
        }
    }

    private func findBest(_ nodes: HotVector<PolicyNode>) {
        removals = 0
        var best = UInt64.max
        for bucket in 0..<heads.count where heads.base[bucket] != PolicyNode.none {
            best = min(best, nodes.base[Int(heads.base[bucket])].precedence)
        }
        tuple.best = best
    }

    /// The place of the number of the following node.
    private static func next(of number: UInt32, _ nodes: HotVector<PolicyNode>) -> UnsafeMutablePointer<UInt32> {
        let field = MemoryLayout<PolicyNode>.offset(of: \.next) ?? 0
        return (UnsafeMutableRawPointer(nodes.base + Int(number)) + field).assumingMemoryBound(to: UInt32.self)
    }
}
