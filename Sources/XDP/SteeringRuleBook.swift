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
