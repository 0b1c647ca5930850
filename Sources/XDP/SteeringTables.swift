import CLibBPF
public import Packets
import Synchronization

/// What the steering programs of all ports look packets up in: the gateway's own addresses, the networks behind LAN ports,
/// and rules for pairs of networks. Changes take effect on the next packet, on all ports.
///
/// The tables are closed until ``open()`` and again whenever an entry could not be written: the programs then drop what no
/// rule takes and would go to or come from elsewhere, as a rule that is missing may want it protected.
public final class SteeringTables: Sendable {
    let maps: SteeringMaps
    private let capacity: Int
    private let current = Mutex(State())

    private struct State {
        var book = SteeringRuleBook()
        /// In the map.
        var addresses: Set<IPAddress> = []
        var inside: Set<IPPrefix> = []
        /// What ought to be in the map.
        var wantedAddresses: Set<IPAddress> = []
        var wantedInside: Set<IPPrefix> = []
        /// Entries that the kernel has refused.
        var unwritten: Set<SteeringRuleBook.Place> = []
        var isOpen = false

        var isComplete: Bool { unwritten.isEmpty && addresses == wantedAddresses && inside == wantedInside }
    }

    /// Rules that one CHILD_SA may bring. A selector makes eight at most.
    public static let maximumRulesAtOnce = 2048

    /// Creates the empty tables in the kernel; they are closed.
    /// - Parameter rules: how many rules fit, of each family.
    public init(rules: Int = Int(SLUICE_MAX_RULES)) throws(XDPError) {
        sluice_bpf_quiet()
        capacity = rules
        maps = try SteeringMaps(rules: rules)
        try maps.setControl(closed: true, tuples4: 0, tuples6: 0)
    }

    /// The rules are all there: from now on packets that none is about pass.
    public func open() throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            state.isOpen = true
            try settle(&state)
        }
    }

    /// Whether the programs drop what no rule takes.
    public var isClosed: Bool { current.withLock { !$0.isOpen || !$0.isComplete } }

    /// Makes these the gateway's own addresses. New ones are added before old ones go.
    public func setLocalAddresses(_ addresses: Set<IPAddress>) throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            state.wantedAddresses = addresses
            try settle(&state)
        }
    }

    /// Makes these the networks behind LAN ports: what goes there does not cross the IPsec boundary, unless a rule's
    /// destination is as narrow. New ones are added last.
    public func setInsideNetworks(_ networks: Set<IPPrefix>) throws(XDPError) {
        try current.withLock { (state) throws(XDPError) in
            state.wantedInside = networks
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
            try rewrite(place, state)
            state.unwritten.remove(place)
        } catch {
            state.unwritten.insert(place)
        }
    }

    private func rewrite(_ place: SteeringRuleBook.Place, _ state: State) throws(XDPError) {
        let tuples = state.book.tuples(place.family)
        let content = state.book.content(place)
        // A tuple is in use as long as it has entries: it comes before the first one and goes after the last one.
        if let lengths = tuples.lengths(place.tuple), content != nil {
            try maps.set(place.family, tuple: place.tuple, lengths)
        }
        try maps.set(place, to: content)
        if tuples.lengths(place.tuple) == nil { try maps.set(place.family, tuple: place.tuple, nil) }
    }

    /// Brings the maps up to date as far as that goes, and then opens or closes. Throws the first thing that failed.
    private func settle(_ state: inout State) throws(XDPError) {
        var failure: XDPError?
        for place in state.unwritten {
            do throws(XDPError) {
                try rewrite(place, state)
                state.unwritten.remove(place)
            } catch {
                failure = failure ?? error
                break
            }
        }
        do throws(XDPError) {
            try updateAddresses(&state)
            try updateInside(&state)
        } catch {
            failure = failure ?? error
        }
        try writeControl(state)
        if let failure { throw failure }
    }

    private func writeControl(_ state: State) throws(XDPError) {
        try maps.setControl(
            closed: !state.isOpen || !state.isComplete, tuples4: state.book.tuples(.ipv4).count,
            tuples6: state.book.tuples(.ipv6).count)
    }

    private func updateAddresses(_ state: inout State) throws(XDPError) {
        for address in state.wantedAddresses.subtracting(state.addresses) {
            try maps.add(address)
            state.addresses.insert(address)
        }
        for address in state.addresses.subtracting(state.wantedAddresses) {
            try maps.remove(address)
            state.addresses.remove(address)
        }
    }

    private func updateInside(_ state: inout State) throws(XDPError) {
        for network in state.inside.subtracting(state.wantedInside) {
            try maps.setInside(network, false)
            state.inside.remove(network)
        }
        for network in state.wantedInside.subtracting(state.inside) {
            try maps.setInside(network, true)
            state.inside.insert(network)
        }
    }
}
