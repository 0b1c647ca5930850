public import Packets

/// A rule for packets between two networks, by protocol and ports: one line of the steering program's tables.
///
/// A rule may be about more packets than the policy behind it: the worker decides about those that come to it.
public struct SteeringRule: Hashable, Sendable {
    /// The fate of packets. Of rules with equal precedence the lower number decides; `enum sluice_action` has the same.
    public enum Action: UInt8, Hashable, Sendable {
        /// Packets go to the gateway, and those that come the other way from a WAN port in clear are dropped.
        case protect = 0
        /// Packets go to the gateway, which drops them.
        case discard = 1
        /// Packets go to the host, as if there were no gateway.
        case pass = 2
    }

    /// Both of one family.
    public var source, destination: IPPrefix
    public var upper: UpperSelector
    public var action: Action
    /// The rank of the rule: of several for a packet the one with the lowest number decides. Below 2^62.
    public var precedence: UInt64
    /// The narrowness of the policy's destination, in bits: a network behind a LAN port that is narrower is none of its
    /// business. More than the length of `destination` when that holds more than the policy names.
    public var narrowness: Int

    public init(
        from source: IPPrefix, to destination: IPPrefix, upper: UpperSelector = .any, _ action: Action,
        precedence: UInt64, narrowness: Int? = nil
    ) {
        precondition(source.address.family == destination.address.family, "a rule is of one address family")
        self.source = source
        self.destination = destination
        self.upper = upper
        self.action = action
        self.precedence = precedence
        self.narrowness = narrowness ?? destination.length
    }

    var family: AddressFamily { destination.address.family }
}

/// The demands of a rule on a packet beside its addresses: the next layer protocol and ports (RFC 4301 section
/// 4.4.1.1).
public struct UpperSelector: Hashable, Sendable {
    /// The next layer protocol; nil: any.
    public var `protocol`: UInt8?
    /// Ports in host order. ICMP: type << 8 | code; Mobility Header: type << 8.
    public var sourcePorts, destinationPorts: ClosedRange<UInt16>

    private static let anyPort: ClosedRange<UInt16> = 0...UInt16.max

    public init(
        protocol number: UInt8? = nil, sourcePorts: ClosedRange<UInt16> = 0...UInt16.max,
        destinationPorts: ClosedRange<UInt16> = 0...UInt16.max
    ) {
        self.protocol = number
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
    }

    /// Every packet.
    public static let any = UpperSelector()

    public var isAny: Bool { self.protocol == nil && isAnyPort }

    public var isAnyPort: Bool { sourcePorts == Self.anyPort && destinationPorts == Self.anyPort }

    /// Whether every packet of the other is one of this.
    func contains(_ other: UpperSelector) -> Bool {
        (self.protocol == nil || self.protocol == other.protocol) && sourcePorts.contains(other.sourcePorts)
            && destinationPorts.contains(other.destinationPorts)
    }
}

/// The contents of an entry of a rule map: what becomes of the packets between two networks, by protocol and ports.
struct SteeringEntries: Equatable {
    /// One decision, in which one or more rules agree.
    struct Entry: Equatable {
        var precedence: UInt64
        var action: SteeringRule.Action
        var narrowness: Int
        var upper: UpperSelector

        init(_ rule: SteeringRule) {
            precedence = rule.precedence
            action = rule.action
            narrowness = rule.narrowness
            upper = rule.upper
        }

        init(precedence: UInt64, action: SteeringRule.Action, narrowness: Int, upper: UpperSelector = .any) {
            self.precedence = precedence
            self.action = action
            self.narrowness = narrowness
            self.upper = upper
        }

        /// The order of entries: by precedence; of equal ones the one that protects goes first, then the one that
        /// discards.
        static func goesBefore(_ one: Entry, _ other: Entry) -> Bool {
            (one.precedence, one.action.rawValue) < (other.precedence, other.action.rawValue)
        }

        /// Whether the other, which goes behind, has no packets left. A packet that does not show its ports is not let pass for the
        /// sake of some, so what is behind it has it.
        fileprivate func hides(_ other: Entry) -> Bool {
            narrowness >= other.narrowness && upper.contains(other.upper) && (upper.isAny || action != .pass)
        }
    }

    /// The entries in the order in which they decide. Never empty.
    private(set) var list: [Entry]
    /// There are more rules than the program holds here: the last entry takes what is theirs and more.
    private(set) var isCut = false

    /// The one entry that says it all, whatever protocol and ports.
    var only: Entry? { list.count == 1 && list[0].upper.isAny ? list[0] : nil }

    /// Nil when there are no rules.
    init?(_ rules: some Collection<SteeringRule>) {
        guard let narrowest = rules.lazy.map(\.narrowness).max() else { return nil }
        let all = rules.map(Entry.init)
        // Behind one that is for everything nothing else is of interest: that keeps the rest short.
        let last = all.lazy.filter { $0.upper.isAny && $0.narrowness == narrowest }.min(by: Entry.goesBefore)
        let candidates = last.map { last in all.filter { !Entry.goesBefore(last, $0) } } ?? all
        list = []
        for entry in candidates.sorted(by: Self.order) where !list.contains(where: { $0.hides(entry) }) {
            list.append(entry)
        }
    }

    /// The same with so many entries at most, two at least. What is left out is protected if one of them protects, so
    /// that nothing passes that should not, and a worker decides. Those that only let pass are missing then, which
    /// protects too much.
    func limited(to count: Int) -> SteeringEntries {
        guard list.count > count else { return self }
        var result = self
        result.list = Array(list.prefix(count - 1))
        if let rest = Self.together(list[(count - 1)...]) { result.list.append(rest) }
        result.isCut = true
        return result
    }

    /// The same with one entry for any protocol and ports; nil when it would only let pass.
    var whole: SteeringEntries? {
        guard let rest = Self.together(list[...]) else { return nil }
        var result = self
        result.list = [rest]
        result.isCut = true
        return result
    }

    private static func together(_ entries: ArraySlice<Entry>) -> Entry? {
        let taken = entries.filter { $0.action != .pass }
        guard let first = taken.first, let narrowness = taken.map(\.narrowness).max() else { return nil }
        return Entry(
            precedence: first.precedence, action: taken.contains { $0.action == .protect } ? .protect : .discard,
            narrowness: narrowness)
    }

    /// Total, so that equal sets of rules become equal lists.
    private static func order(_ one: Entry, _ other: Entry) -> Bool {
        if one.precedence != other.precedence || one.action != other.action { return Entry.goesBefore(one, other) }
        let (left, right) = (one.upper, other.upper)
        return (
            one.narrowness, left.protocol.map(Int.init) ?? -1, left.sourcePorts.lowerBound,
            left.sourcePorts.upperBound, left.destinationPorts.lowerBound, left.destinationPorts.upperBound
        ) < (
            other.narrowness, right.protocol.map(Int.init) ?? -1, right.sourcePorts.lowerBound,
            right.sourcePorts.upperBound, right.destinationPorts.lowerBound, right.destinationPorts.upperBound
        )
    }
}
