import IPsec

/// A question for a child, from the request to its outcome: what the next question is depends on it.
struct ChildCall {
    /// The form of the offer (RFC 7296 section 2.9).
    enum Manner: Hashable {
        /// All selectors, and the packet that calls for the SA before them.
        case hinted
        /// All selectors.
        case plain
        case pair(SelectorPair)

        var pair: SelectorPair? { if case .pair(let pair) = self { pair } else { nil } }
    }

    /// A peer's way with a child, as far as it was learned, until its configuration is loaded again.
    enum Habit: Hashable {
        /// Refuses selectors that begin with a packet.
        case plain
        /// Makes an SA for one pair of selectors at a time.
        case onePair
        /// Makes SAs for single flows, and no wider ones.
        case flows
    }

    /// The packet that calls for the SA; nil: a command or the configuration does.
    var packet: TrafficSelector?
    var manner: Manner
    /// Pairs that are to be asked for after this one.
    var rest: [SelectorPair] = []
    /// The habit that is learned if it comes up in this form.
    var lesson: Habit?
    /// The CHILD_SA for the packet alone that a wider one is to replace, by our number for it.
    var stopgap: UInt32?
    /// The reason for which the last of the refused pairs was refused.
    var failure: Explanation?
    /// Refusals of pairs without one that came up between them.
    var refusals = 0

    /// A peer that refuses so many pairs in a row refuses them all.
    static let mostRefusals = 8

    init(_ packet: TrafficSelector?, _ manner: Manner) {
        self.packet = packet
        self.manner = manner
    }

    /// One after the other; nil: there are none.
    init?(_ packet: TrafficSelector? = nil, pairs: [SelectorPair]) {
        guard let first = pairs.first else { return nil }
        self.init(packet, .pair(first))
        rest = Array(pairs.dropFirst())
    }

    /// The packet as the first selector of the offer.
    var hint: TrafficSelector? { manner == .hinted ? packet : nil }

    /// The next question after a refusal that may be about how it was asked; nil: there is nothing left to try.
    func after(_ cause: FailureCause, of child: Child, in context: SelectorContext) -> ChildCall? {
        switch (cause, manner) {
        case (.selectors, .hinted):
            var next = ChildCall(packet, .plain)
            next.lesson = .plain
            return next
        case (.selectors, .plain), (.singlePair, .plain), (.singlePair, .hinted):
            let pairs =
                packet.map { child.pair(holding: $0, in: context).map { [$0] } ?? [] } ?? child.pairs(in: context)
            // With one pair only there is nothing narrower than what was refused, but for the packet before it.
            if manner == .plain, child.localSelectors.count == 1, child.remoteSelectors.count == 1 { return nil }
            var next = ChildCall(packet, pairs: pairs)
            next?.lesson = .onePair
            return next
        default: return nil
        }
    }

    /// The same after the refusal of its pair.
    func refused(_ explanation: Explanation) -> ChildCall {
        var call = self
        call.failure = explanation
        call.refusals += 1
        return call
    }

    /// The same after its pair came up.
    var accepted: ChildCall {
        var call = self
        call.refusals = 0
        return call
    }

    /// The next pair; nil: that was the last, or the peer refuses them all.
    var next: ChildCall? {
        guard refusals < Self.mostRefusals, var next = ChildCall(pairs: rest) else { return nil }
        next.lesson = lesson
        next.failure = failure
        next.refusals = refusals
        return next
    }
}

/// The children that were asked for in an IKE SA: which of them are awaited, and how each was asked for.
struct AskedChildren {
    /// Names of the children that the negotiation began with.
    private var first: Set<String> = []
    /// Names of children that were asked for after that.
    private var later: Set<String> = []
    /// Names of children that are neither up nor refused yet.
    private(set) var awaited: Set<String> = []
    private var calls: [String: ChildCall] = [:]

    /// All that were asked for, whatever came of it.
    var all: Set<String> { first.union(later) }

    func beganWith(_ name: String) -> Bool { first.contains(name) }

    /// The negotiation begins with these.
    mutating func begin(_ calls: [String: ChildCall]) {
        first = Set(calls.keys)
        awaited = first
        self.calls = calls
    }

    /// A child is wanted. False: it is awaited already.
    mutating func want(_ name: String) -> Bool {
        guard awaited.insert(name).inserted else { return false }
        later.insert(name)
        return true
    }

    /// The rest of a child that is up is wanted. False: it is awaited already.
    mutating func wantMore(of name: String) -> Bool { awaited.insert(name).inserted }

    /// A child that is awaited is asked for so.
    mutating func ask(_ name: String, _ call: ChildCall) { calls[name] = call }

    /// Notes that it is asked for once more.
    mutating func askAgain(_ name: String, _ call: ChildCall) {
        awaited.insert(name)
        calls[name] = call
    }

    /// The call of a child that came up; nil: it was not, or is up once more.
    mutating func cameUp(_ name: String) -> ChildCall? {
        awaited.remove(name)
        return calls.removeValue(forKey: name)
    }

    /// The same of a child that did not.
    mutating func failed(_ name: String) -> (wasAwaited: Bool, call: ChildCall?) {
        guard awaited.remove(name) != nil else { return (false, nil) }
        return (true, calls.removeValue(forKey: name))
    }

    /// The child has changed: its name is that of another one.
    mutating func forget(_ name: String) { first.remove(name) }

    /// The IKE SA was rekeyed: what is awaited comes in the new one.
    mutating func handOver() -> AskedChildren {
        var new = self
        new.later = all
        new.first = []
        awaited = []
        calls = [:]
        return new
    }
}
