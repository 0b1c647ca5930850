import CLibBPF
public import Packets
import Synchronization

/// The tables in which the steering programs of all ports look packets up: the gateway's own addresses, the networks
/// behind LAN ports, and rules for pairs of networks, protocols and ports. Changes take effect on the next packet, on
/// all ports.
///
/// The tables are closed until ``open()`` and again whenever a rule could not be written, or something that is gone could not
/// be removed: the programs then drop what no rule takes and would go to or come from elsewhere, as a rule that is missing may
/// want it protected.
public final class SteeringTables: Sendable {
    let maps: SteeringMaps
    private let capacity: Int
    private let current = Mutex(State())

    private struct State {
        var book = SteeringRuleBook()
        var addresses = SteeredSet<IPAddress>()
        var inside = SteeredSet<IPPrefix>()
        /// Entries that the kernel has refused.
        var unwritten: Set<SteeringRuleBook.Place> = []
        /// The number of the list of each pair of networks that has one.
        var lists: [SteeringRuleBook.Place: UInt32] = [:]
        /// Numbers are not used again, so that no packet finds the list of another pair.
        var lastList: UInt32 = 0
        /// Pairs about which there are more rules by protocol and ports than fit.
        var cut: Set<SteeringRuleBook.Place> = []
        var isOpen = false

        /// Whether nothing passes that should not. An address or a network that is missing is only protected too much.
        var isSafe: Bool { unwritten.isEmpty && !addresses.isStale && !inside.isStale }

        mutating func nextList() -> UInt32 {
            lastList &+= 1
            if lastList == 0 { lastList = 1 }
            return lastList
        }
    }

    /// Rules that one CHILD_SA may bring. A selector makes eight at most.
    public static let maximumRulesAtOnce = 2048

    /// Creates the empty tables in the kernel; they are closed.
    /// - Parameters:
    ///   - rules: how many rules fit, of each family.
    ///   - lists: how many pairs of networks may have rules by protocol and ports.
    public init(rules: Int = Int(SLUICE_MAX_RULES), lists: Int = Int(SLUICE_MAX_LISTS)) throws(XDPError) {
        sluice_bpf_quiet()
        capacity = rules
        maps = try SteeringMaps(rules: rules, lists: lists)
        try maps.setControl(closed: true, tuples4: 0, tuples6: 0, lists: 0)
    }

    /// The rules are all there: from now on packets that none is about pass.
    public func open() throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            state.isOpen = true
            try settle(&state)
        }
    }

    /// Whether the programs drop what no rule takes.
    public var isClosed: Bool { current.withLock { !$0.isOpen || !$0.isSafe } }

    /// A pair of networks about which there are more rules by protocol and ports than fit: all its packets that the first of them do
    /// not decide about come to the workers, as some are protected. Nil: there is none.
    public var pairWithTooManyRules: (source: IPPrefix, destination: IPPrefix)? {
        current.withLock { $0.cut.first.map { ($0.source, $0.destination) } }
    }

    /// Makes these the gateway's own addresses. New ones are added before old ones go.
    public func setLocalAddresses(_ addresses: Set<IPAddress>) throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            state.addresses.want(addresses)
            try settle(&state)
        }
    }

    /// Makes these the networks behind LAN ports: what goes there does not cross the IPsec boundary, unless a rule's
    /// destination is as narrow. Of more than there is room for the longest prefixes are left out.
    public func setInsideNetworks(_ networks: Set<IPPrefix>) throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            let room = Int(SLUICE_MAX_INSIDE)
            let chosen = networks.count <= room ? networks : Set(networks.sorted { $0.length < $1.length }.prefix(room))
            state.inside.want(chosen)
            try settle(&state)
        }
    }

    /// Adds rules, then removes others. A rule that was added several times stays until it is removed as often.
    ///
    /// After an error the tables are closed, and every later change, or ``retry()``, tries the rest again.
    public func change(adding new: [SteeringRule], removing gone: [SteeringRule] = []) throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            for rule in new {
                if let place = state.book.add(rule) { write(place, &state) }
            }
            // The new ones are in force before the others go.
            try writeControl(state)
            for rule in gone {
                if let place = state.book.remove(rule) { write(place, &state) }
            }
            try settle(&state)
        }
    }

    /// Whether so many more rules would fit, with room left for those of other peers and of the configuration.
    public func canHold(_ rules: [SteeringRule]) -> Bool {
        let new = current.withLock { state in Set(rules).filter { !state.book.hasEntry(for: $0) } }
        guard new.count <= Self.maximumRulesAtOnce else { return false }
        let limit = capacity - capacity / 8
        return current.withLock { state in
            [AddressFamily.ipv4, .ipv6].allSatisfy { family in
                let more = new.count { $0.family == family }
                return more == 0 || state.book.count(family) + more <= limit
            }
        }
    }

    /// Writes what could not be written before.
    public func retry() throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in try settle(&state) }
    }

    // MARK: Writing

    /// Writes an entry; what the kernel refuses is noted.
    private func write(_ place: SteeringRuleBook.Place, _ state: inout State) {
        do throws(XDPError) {
            try rewrite(place, &state)
            state.unwritten.remove(place)
        } catch {
            state.unwritten.insert(place)
        }
    }

    private func rewrite(_ place: SteeringRuleBook.Place, _ state: inout State) throws(XDPError) {
        let tuples = state.book.tuples(place.family)
        let content = state.book.content(place)
        // A tuple is in use as long as it has entries: it comes before the first one and goes after the last one.
        if let lengths = tuples.lengths(place.tuple), content != nil {
            try maps.set(place.family, tuple: place.tuple, lengths)
        }
        try writeRule(place, content, &state)
        if tuples.lengths(place.tuple) == nil { try maps.set(place.family, tuple: place.tuple, nil) }
    }

    /// Writes a pair's new list, if it needs one, then its rule, and then removes the old list.
    private func writeRule(
        _ place: SteeringRuleBook.Place, _ content: SteeringEntries?, _ state: inout State
    ) throws(XDPError) {
        var content = content?.limited(to: SteeringMaps.entriesPerList)
        var isCut = content?.isCut == true
        var number: UInt32 = 0
        if let entries = content, entries.only == nil {
            number = try writeList(place, entries, &state)
            if number == 0 {
                isCut = true
                content = entries.whole
            }
        }
        do throws(XDPError) {
            try maps.set(place, to: content?.list.first, list: number)
        } catch {
            if number != 0 { try? maps.removeList(number) }
            throw error
        }
        if isCut { state.cut.insert(place) } else { state.cut.remove(place) }
        try replaceList(of: place, by: number, &state)
    }

    /// Writes a list; the old one is needed until the rule names the new one. Returns its number, or 0 when there is no room.
    private func writeList(
        _ place: SteeringRuleBook.Place, _ entries: SteeringEntries, _ state: inout State
    ) throws(XDPError) -> UInt32 {
        let number = state.nextList()
        if (try? maps.setList(number, to: entries.list)) != nil { return number }
        guard state.lists[place] != nil else { return 0 }
        // There is room without the old list: for a moment the pair is without any.
        try maps.set(place, to: entries.whole?.only, list: 0)
        try replaceList(of: place, by: 0, &state)
        return (try? maps.setList(number, to: entries.list)) == nil ? 0 : number
    }

    private func replaceList(of place: SteeringRuleBook.Place, by number: UInt32, _ state: inout State) throws(XDPError)
    {
        let old = state.lists[place]
        state.lists[place] = number == 0 ? nil : number
        if let old { try maps.removeList(old) }
    }

    /// Brings the maps up to date as far as that goes, and then opens or closes. Throws the first thing that failed.
    private func settle(_ state: inout State) throws(XDPError) {
        var failure: XDPError?
        for place in state.unwritten {
            do throws(XDPError) {
                try rewrite(place, &state)
                state.unwritten.remove(place)
            } catch {
                failure = failure ?? error
                break
            }
        }
        let network =
            state.addresses.update(add: maps.add, remove: maps.remove)
            ?? state.inside.update(
                add: { (network) throws(XDPError) in try maps.setInside(network, true) },
                remove: { (network) throws(XDPError) in try maps.setInside(network, false) })
        failure = failure ?? network
        try writeControl(state)
        if let failure { throw failure }
    }

    private func writeControl(_ state: State) throws(XDPError) {
        try maps.setControl(
            closed: !state.isOpen || !state.isSafe, tuples4: state.book.tuples(.ipv4).count,
            tuples6: state.book.tuples(.ipv6).count, lists: state.lists.count)
    }
}

/// The contents of a map, and what it ought to hold.
private struct SteeredSet<Element: Hashable> {
    private var present: Set<Element> = []
    private var wanted: Set<Element> = []
    private var isUpToDate = true
    /// Whether the map has something that is not wanted any more.
    private(set) var isStale = false

    mutating func want(_ elements: Set<Element>) {
        guard elements != wanted else { return }
        wanted = elements
        isUpToDate = false
    }

    /// Adds what is missing, then removes the rest, each as far as the kernel takes it. Returns what failed.
    mutating func update(
        add: (Element) throws(XDPError) -> Void, remove: (Element) throws(XDPError) -> Void
    ) -> XDPError? {
        guard !isUpToDate else { return nil }
        let isFull = self.add(add) != nil
        let removal = self.remove(remove)
        // There may be room now.
        let addition = isFull ? self.add(add) : nil
        isStale = removal != nil
        isUpToDate = removal == nil && addition == nil
        return removal ?? addition
    }

    private mutating func add(_ body: (Element) throws(XDPError) -> Void) -> XDPError? {
        for element in wanted.subtracting(present) {
            do throws(XDPError) {
                try body(element)
                present.insert(element)
            } catch {
                return error
            }
        }
        return nil
    }

    private mutating func remove(_ body: (Element) throws(XDPError) -> Void) -> XDPError? {
        var failure: XDPError?
        for element in present.subtracting(wanted) {
            do throws(XDPError) {
                try body(element)
                present.remove(element)
            } catch {
                failure = error
            }
        }
        return failure
    }
}
