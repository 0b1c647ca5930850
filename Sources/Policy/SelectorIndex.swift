import IPsec
import Packets

/// Finds the selectors that may overlap another one, by the addresses of one side, without a look at all of them.
///
/// A selector lies in the smallest bucket, of two sizes, that contains its range; what is larger than those lies in one list.
struct SelectorIndex {
    /// The side by whose addresses selectors are found: that of the remote networks, in which they differ.
    enum Side { case source, destination }

    private struct Bucket: Hashable {
        let family: AddressFamily
        let shift: UInt64
        let number: UInt64
    }

    private let side: Side
    private var buckets: [Bucket: Set<Int>] = [:]
    private var wide: Set<Int> = []

    /// The most buckets that a question looks into, and the most answers that are worth it.
    static let mostBuckets: UInt64 = 256
    static let mostAnswers = 1024

    init(by side: Side) { self.side = side }

    /// Enters what is known by a number; without selectors it may overlap everything.
    mutating func insert(_ number: Int, _ selectors: [TrafficSelector]) {
        if selectors.isEmpty { wide.insert(number) }
        for selector in selectors {
            if let bucket = home(of: selector) {
                buckets[bucket, default: []].insert(number)
            } else {
                wide.insert(number)
            }
        }
    }

    /// Takes out what was entered with the same selectors.
    mutating func remove(_ number: Int, _ selectors: [TrafficSelector]) {
        if selectors.isEmpty { wide.remove(number) }
        for selector in selectors {
            guard let bucket = home(of: selector) else {
                wide.remove(number)
                continue
            }
            buckets[bucket]?.remove(number)
            if buckets[bucket]?.isEmpty == true { buckets[bucket] = nil }
        }
    }

    /// All that may overlap the selector, and some that do not; nil when they are too many to be looked for.
    func candidates(for selector: TrafficSelector) -> Set<Int>? {
        guard wide.count <= Self.mostAnswers else { return nil }
        var found = wide
        for shift in Self.shifts(selector.family) {
            let (first, last) = numbers(of: selector, shift: shift)
            guard last - first < Self.mostBuckets else { return nil }
            for number in first...last {
                guard let bucket = buckets[Bucket(family: selector.family, shift: shift, number: number)] else {
                    continue
                }
                guard found.count + bucket.count <= Self.mostAnswers else { return nil }
                found.formUnion(bucket)
            }
        }
        return found
    }

    private func home(of selector: TrafficSelector) -> Bucket? {
        for shift in Self.shifts(selector.family) {
            let (first, last) = numbers(of: selector, shift: shift)
            if first == last { return Bucket(family: selector.family, shift: shift, number: first) }
        }
        return nil
    }

    /// By how many bits the significant word of an address is shifted: /24 and /16, or /64 and /48.
    private static func shifts(_ family: AddressFamily) -> [UInt64] { family == .ipv4 ? [8, 16] : [0, 16] }

    private func numbers(of selector: TrafficSelector, shift: UInt64) -> (UInt64, UInt64) {
        let range = side == .source ? selector.source : selector.destination
        switch range.first.family {
        case .ipv4: return (range.first.low >> shift, range.last.low >> shift)
        case .ipv6: return (range.first.high >> shift, range.last.high >> shift)
        }
    }
}
