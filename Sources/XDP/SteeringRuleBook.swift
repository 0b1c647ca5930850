import CLibBPF
import Packets

/// All steering rules, each as often as somebody wants it, and where they lie in the maps. Pure: it says which places have
/// to be written.
struct SteeringRuleBook {
    /// One entry of a rule map.
    struct Place: Hashable {
        var tuple: Int
        /// The networks as far as the tuple's masks leave them.
        var source, destination: IPPrefix

        var family: AddressFamily { destination.address.family }
    }

    private struct Entry {
        var count: Int
        /// The rule's place; nil for a rule to pass that could only have been entered with others that should not.
        var place: Place?
    }

    private var entries: [SteeringRule: Entry] = [:]
    private var rules: [Place: Set<SteeringRule>] = [:]
    private var tuples = (v4: SteeringTuples(.ipv4), v6: SteeringTuples(.ipv6))
    /// Entries of each map.
    private var places = (v4: 0, v6: 0)

    func tuples(_ family: AddressFamily) -> SteeringTuples { family == .ipv4 ? tuples.v4 : tuples.v6 }

    /// Entries of a family's map.
    func count(_ family: AddressFamily) -> Int { family == .ipv4 ? places.v4 : places.v6 }

    /// Whether there is an entry for exactly the rule's pair of networks, so that it takes no more room.
    func hasEntry(for rule: SteeringRule) -> Bool {
        let wanted = SteeringTuples.Lengths(source: rule.source.length, destination: rule.destination.length)
        guard let tuple = tuples(rule.family).number(of: wanted) else { return false }
        return rules[Place(tuple: tuple, source: rule.source, destination: rule.destination)] != nil
    }

    /// Returns the place to write, if anything changes.
    mutating func add(_ rule: SteeringRule) -> Place? {
        if entries[rule] != nil {
            entries[rule]?.count += 1
            return nil
        }
        let place = take(rule)
        entries[rule] = Entry(count: 1, place: place)
        guard let place else { return nil }
        if rules[place] == nil { countPlaces(rule.family, 1) }
        rules[place, default: []].insert(rule)
        return place
    }

    /// Returns the place to write, if anything changes.
    mutating func remove(_ rule: SteeringRule) -> Place? {
        guard let entry = entries[rule] else { return nil }
        guard entry.count == 1 else {
            entries[rule]?.count -= 1
            return nil
        }
        entries[rule] = nil
        guard let place = entry.place else { return nil }
        rules[place]?.remove(rule)
        if rules[place]?.isEmpty == true {
            rules[place] = nil
            countPlaces(rule.family, -1)
        }
        if rule.family == .ipv4 { tuples.v4.release(place.tuple) } else { tuples.v6.release(place.tuple) }
        return place
    }

    /// The contents that the entry should have; nil: there is to be none.
    func content(_ place: Place) -> SteeringEntries? { rules[place].flatMap { SteeringEntries($0) } }

    private mutating func take(_ rule: SteeringRule) -> Place? {
        let wanted = SteeringTuples.Lengths(source: rule.source.length, destination: rule.destination.length)
        let rounding = rule.action != .pass
        let number =
            rule.family == .ipv4
            ? tuples.v4.take(wanted, rounding: rounding) : tuples.v6.take(wanted, rounding: rounding)
        guard let number, let lengths = tuples(rule.family).lengths(number) else { return nil }
        return Place(
            tuple: number, source: IPPrefix(address: rule.source.address, length: lengths.source),
            destination: IPPrefix(address: rule.destination.address, length: lengths.destination))
    }

    private mutating func countPlaces(_ family: AddressFamily, _ difference: Int) {
        if family == .ipv4 { places.v4 += difference } else { places.v6 += difference }
    }
}

/// The pairs of prefix lengths that the rules of a family have, each with a number: the program looks a packet up once
/// for each.
///
/// The first pairs that are asked for are had exactly. When their places are taken, lengths are rounded down to a grid,
/// whose places are kept free for that: rules are then about more packets than they should be, but none is left out.
struct SteeringTuples {
    struct Lengths: Hashable {
        var source, destination: Int
    }

    private struct Slot {
        var lengths: Lengths
        /// The number of rules that use the pair.
        var uses: Int
    }

    private let grid: [Int]
    private var slots = [Slot?](repeating: nil, count: capacity)

    static let capacity = Int(SLUICE_MAX_TUPLES)
    /// Places for exact pairs; the grid has the others.
    static let exact = 16

    init(_ family: AddressFamily) {
        grid = family == .ipv4 ? [0, 8, 16, 24] : [0, 32, 48, 64]
    }

    /// One more than the highest number in use.
    var count: Int { (slots.lastIndex { $0 != nil } ?? -1) + 1 }

    /// The lengths of a number in use.
    func lengths(_ number: Int) -> Lengths? { slots[number]?.lengths }

    /// The number of a pair in use.
    func number(of lengths: Lengths) -> Int? { slots.firstIndex { $0?.lengths == lengths } }

    /// The number for one more rule; nil when only a rounded one would be left and `rounding` is not allowed.
    mutating func take(_ wanted: Lengths, rounding: Bool) -> Int? {
        if let known = number(of: wanted) {
            slots[known]?.uses += 1
            return known
        }
        if let free = slots.prefix(Self.exact).firstIndex(where: { $0 == nil }) {
            slots[free] = Slot(lengths: wanted, uses: 1)
            return free
        }
        let (row, column) = (gridIndex(wanted.source), gridIndex(wanted.destination))
        let rounded = Lengths(source: grid[row], destination: grid[column])
        guard rounding || rounded == wanted else { return nil }
        let number = Self.exact + row * grid.count + column
        slots[number] = Slot(lengths: rounded, uses: (slots[number]?.uses ?? 0) + 1)
        return number
    }

    /// Gives a rule's place back.
    mutating func release(_ number: Int) {
        guard let slot = slots[number] else { return }
        slots[number] = slot.uses > 1 ? Slot(lengths: slot.lengths, uses: slot.uses - 1) : nil
    }

    private func gridIndex(_ length: Int) -> Int { grid.lastIndex { $0 <= length } ?? 0 }
}
