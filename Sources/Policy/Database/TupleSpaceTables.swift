import IPsec
import Packets

/// The tables of one tuple space, built once from selectors.
final class TupleSpaceTables: Sendable {
    /// Prefixes into which one address range is split at most; two ranges make up to 64 entries.
    static let splitLimit = 8

    let space: TupleSpace
    private let tuples: HotArray<PolicyTuple>
    private let groups: [Group]

    /// Keys with the same mask.
    private struct Mask: Hashable {
        var sourceLength: Int
        var destinationLength: Int
        var upper: UInt64
    }

    /// A masked key and the record it leads to.
    private struct Entry {
        var source: IPAddress
        var destination: IPAddress
        var upper: UInt64
        var record: UInt32
    }

    private struct Group: Sendable {
        let tuple: PolicyTuple
        let starts: HotArray<UInt32>
        let entries: HotArray<UInt32>
    }

    /// `selectors` are of one family, in ascending order of their records.
    init(_ selectors: [(record: UInt32, selector: TrafficSelector)], family: AddressFamily, ignoresPorts: Bool) {
        var byMask: [Mask: [Entry]] = [:]
        for (record, selector) in selectors {
            let upper = Self.upper(selector, ignoresPorts: ignoresPorts)
            for source in selector.source.prefixes(limit: Self.splitLimit) {
                for destination in selector.destination.prefixes(limit: Self.splitLimit) {
                    let mask = Mask(
                        sourceLength: source.length, destinationLength: destination.length, upper: upper.mask)
                    byMask[mask, default: []].append(
                        Entry(
                            source: source.address, destination: destination.address, upper: upper.value,
                            record: record))
                }
            }
        }
        let groups = byMask.map { Self.group(mask: $0.key, entries: $0.value, family: family) }
            .sorted { $0.tuple.best < $1.tuple.best }
        self.groups = groups
        let tuples = HotArray(groups.map(\.tuple))
        self.tuples = tuples
        space = TupleSpace(tuples: tuples.base, count: UInt32(groups.count), ignoresPorts: ignoresPorts)
    }

    /// How many hash tables there are.
    var tupleCount: Int { groups.count }

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

    private static func group(mask: Mask, entries: [Entry], family: AddressFamily) -> Group {
        let buckets = Mixing.powerOfTwo(entries.count * 2)
        let source = IPPrefix.mask(length: mask.sourceLength, family: family)
        let destination = IPPrefix.mask(length: mask.destinationLength, family: family)
        let starts = HotArray<UInt32>(repeating: 0, count: buckets + 1)
        let sorted = HotArray<UInt32>(repeating: 0, count: entries.count)
        let tuple = PolicyTuple(
            sourceMaskHigh: source.high, sourceMaskLow: source.low, destinationMaskHigh: destination.high,
            destinationMaskLow: destination.low, upperMask: mask.upper, starts: starts.base, entries: sorted.base,
            bucketMask: UInt32(buckets - 1), best: entries.first?.record ?? .max)

        // Counting sort: bucket sizes, their running sums, then each entry to the next place of its bucket.
        let places = entries.map { entry in
            Int(
                UInt32(
                    truncatingIfNeeded: tuple.hash(
                        source: entry.source, destination: entry.destination, upper: entry.upper)) & tuple.bucketMask)
        }
        for place in places { starts.base[place + 1] += 1 }
        for bucket in 0..<buckets { starts.base[bucket + 1] += starts.base[bucket] }
        var next = (0..<buckets).map { starts.base[$0] }
        for (entry, place) in zip(entries, places) {
            sorted.base[Int(next[place])] = entry.record
            next[place] += 1
        }
        return Group(tuple: tuple, starts: starts, entries: sorted)
    }
}
