import IPsec
import Packets
import Policy

/// The chains of the kernel guard that packets go to: the policies of one family and one direction, cut at every
/// address where the set of policies changes.
///
/// One side of the selectors is looked up, in a map of intervals; what the policies ask beyond it is in the chain of the interval, in
/// the order of the policies. So ten thousand sites of one network cost one look-up and one rule.
struct BoundaryTables: Hashable {
    /// A policy as a rule of a chain: what is to be compared beside the side that was looked up.
    struct Rule: Hashable {
        var selector: TrafficSelector
        var action: Action
        /// Whether the selector's source is compared, else its destination.
        var comparesSource: Bool

        /// Rules are equal when they do the same, whatever side was looked up before.
        static func == (left: Rule, right: Rule) -> Bool { left.condition == right.condition }
        func hash(into hasher: inout Hasher) { hasher.combine(condition) }

        private var condition: Condition {
            Condition(
                range: comparesSource ? selector.source : selector.destination, isSource: comparesSource,
                protocol: selector.protocol, sourcePorts: selector.sourcePorts,
                destinationPorts: selector.destinationPorts, action: action)
        }
    }

    private struct Condition: Hashable {
        var range: AddressRange
        var isSource: Bool
        var `protocol`: UInt8?
        var sourcePorts: ClosedRange<UInt16>
        var destinationPorts: ClosedRange<UInt16>
        var action: Action
    }

    /// The fate of a policy's packets in the kernel.
    enum Action: Hashable {
        /// The packets belong into a tunnel, or nowhere.
        case close
        /// The packets go the kernel's way.
        case open
    }

    /// The addresses that go to one chain.
    struct Interval: Hashable {
        var range: AddressRange
        /// Place in `chains`.
        var chain: Int
    }

    /// Whether the map is of source addresses.
    let looksUpSource: Bool
    /// The ranges in order, without overlaps.
    private(set) var intervals: [Interval] = []
    /// The rules of each chain. Equal lists are one chain.
    private(set) var chains: [[Rule]] = []

    /// - Parameter traffic: of one family, the first that matches decides.
    init(_ traffic: [CoveredTraffic]) {
        let bySource = Self.pieces(traffic.map(\.selector.source))
        let byDestination = Self.pieces(traffic.map(\.selector.destination))
        // The side that tells policies apart better makes the shorter chains.
        looksUpSource = Self.longest(bySource) < Self.longest(byDestination)
        var places: [[Rule]: Int] = [:]
        for piece in looksUpSource ? bySource : byDestination {
            var rules: [Rule] = []
            for index in piece.members {
                let rule = Rule(
                    selector: traffic[index].selector, action: traffic[index].action == .bypass ? .open : .close,
                    comparesSource: !looksUpSource)
                if !rules.contains(rule) { rules.append(rule) }
            }
            // What would only be let through needs no rule.
            while rules.last?.action == .open { rules.removeLast() }
            guard !rules.isEmpty else { continue }
            let place = places[rules] ?? chains.count
            if place == chains.count {
                chains.append(rules)
                places[rules] = place
            }
            append(piece.range, chain: place)
        }
    }

    private mutating func append(_ range: AddressRange, chain: Int) {
        if let last = intervals.last, last.chain == chain, last.range.last.successor == range.first,
            let joined = AddressRange(first: last.range.first, last: range.last)
        {
            intervals[intervals.count - 1].range = joined
        } else {
            intervals.append(Interval(range: range, chain: chain))
        }
    }

    // MARK: Cutting

    /// Addresses that are in the same ranges.
    private struct Piece {
        var range: AddressRange
        /// Indices of the ranges, ascending.
        var members: [Int]
    }

    private static func longest(_ pieces: [Piece]) -> Int { pieces.map(\.members.count).max() ?? 0 }

    /// Cuts ranges that may overlap into pieces that do not.
    private static func pieces(_ ranges: [AddressRange]) -> [Piece] {
        guard let family = ranges.first?.family else { return [] }
        var begins: [IPAddress: [Int]] = [:]
        var ends: [IPAddress: [Int]] = [:]
        var cuts: Set<IPAddress> = []
        let end = AddressRange.any(family).last
        for (index, range) in ranges.enumerated() {
            begins[range.first, default: []].append(index)
            cuts.insert(range.first)
            guard range.last != end else { continue }
            ends[range.last.successor, default: []].append(index)
            cuts.insert(range.last.successor)
        }
        let ordered = cuts.sorted()
        var open: Set<Int> = []
        var pieces: [Piece] = []
        for (place, first) in ordered.enumerated() {
            open.subtract(ends[first] ?? [])
            open.formUnion(begins[first] ?? [])
            let last = place + 1 < ordered.count ? ordered[place + 1].predecessor : end
            guard !open.isEmpty, let range = AddressRange(first: first, last: last) else { continue }
            pieces.append(Piece(range: range, members: open.sorted()))
        }
        return pieces
    }
}

extension IPAddress {
    /// The address before; the one before the first of a family is its last.
    fileprivate var predecessor: IPAddress {
        var before = self
        before.low &-= 1
        switch family {
        case .ipv4: before.low &= 0xFFFF_FFFF
        case .ipv6: if before.low == .max { before.high &-= 1 }
        }
        return before
    }
}
