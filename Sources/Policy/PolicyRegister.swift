import IPsec

/// The policies as the control side keeps them, each in a slot that it has as long as it is there.
struct PolicyRegister {
    private let workers: Int
    private(set) var stored: [StoredPolicy?] = []
    private var free: [Int] = []
    /// The number that the next policy gets; see `Precedence`.
    var nextNumber: UInt64 = 0
    /// Slots whose policy is another one than when the tables were last told.
    private(set) var changed: Set<Int> = []
    /// Outbound policies that protect, by request id.
    private var protecting: [UInt32: Set<Int>] = [:]
    /// The protection that `in` and `fwd` policies ask for, and how many do, by request id.
    private var named: [UInt32: [SecurityPolicy.Protection: Int]] = [:]
    /// Request ids whose part of `named` has other keys than when `takeRenamed` was last called.
    private var renamed: Set<UInt32> = []
    /// Outbound policies, by slot.
    private var outboundSelectors = SelectorIndex(by: .destination)
    private var touches = PolicyTouches()

    init(workers: Int) { self.workers = workers }

    /// Puts a policy behind all others of its priority and length. Returns its slot.
    mutating func add(_ policy: SecurityPolicy, counters: PolicyCounters? = nil) throws(PolicyError) -> Int {
        try Self.check(policy)
        if nextNumber == Precedence.numbers { renumber() }
        let counters = counters ?? PolicyCounters(policy: policy, workers: workers)
        let new = StoredPolicy(counters: counters, precedence: Precedence.word(policy, number: nextNumber))
        nextNumber += 1
        let slot = free.popLast() ?? stored.count
        if slot == stored.count { stored.append(new) } else { stored[slot] = new }
        changed.insert(slot)
        note(policy, slot: slot)
        if policy.direction == .out { outboundSelectors.insert(slot, [policy.selector]) }
        touches.came(new)
        return slot
    }

    mutating func remove(slot: Int) {
        guard stored.indices.contains(slot), let policy = stored[slot]?.policy else { return }
        stored[slot] = nil
        free.append(slot)
        changed.insert(slot)
        forget(policy, slot: slot)
        if policy.direction == .out { outboundSelectors.remove(slot, [policy.selector]) }
        touches.went(policy)
    }

    /// Puts a policy in the place of another one that differs in its request ids and its name only.
    mutating func replace(slot: Int, with policy: SecurityPolicy) {
        guard stored.indices.contains(slot), let old = stored[slot] else { return }
        forget(old.policy, slot: slot)
        stored[slot] = StoredPolicy(
            counters: PolicyCounters(policy: policy, workers: workers), precedence: old.precedence)
        changed.insert(slot)
        note(policy, slot: slot)
        touches.went(policy)
    }

    /// Replaces all policies; slots are in order of precedence. Those that were there before keep their counters.
    mutating func replaceAll(with policies: [SecurityPolicy]) throws(PolicyError) {
        for policy in policies { try Self.check(policy) }
        var known: [SecurityPolicy: [PolicyCounters]] = [:]
        // Backwards, so that `popLast` takes equal policies in their order.
        for old in ordered.reversed() { known[old.policy, default: []].append(old.counters) }
        for slot in stored.indices { remove(slot: slot) }
        let sorted = policies.enumerated()
            .map { (policy: $0.element, word: Precedence.word($0.element, number: UInt64($0.offset))) }
            .sorted { $0.word < $1.word }
        free = Array((0..<max(stored.count, sorted.count)).reversed())
        while stored.count < sorted.count { stored.append(nil) }
        nextNumber = 0
        for entry in sorted { _ = try add(entry.policy, counters: known[entry.policy]?.popLast()) }
    }

    private var ordered: [StoredPolicy] { stored.compactMap(\.self).sorted { $0.precedence < $1.precedence } }

    private static func check(_ policy: SecurityPolicy) throws(PolicyError) {
        if let source = policy.protection?.source, let destination = policy.protection?.destination,
            source.family != destination.family
        {
            throw .mixedFamilies(policy: policy.description)
        }
    }

    /// All numbers are used: those that are there get the first ones, in their order.
    private mutating func renumber() {
        nextNumber = 0
        let slots = stored.indices.filter { stored[$0] != nil }
            .sorted { (stored[$0]?.precedence ?? 0) < (stored[$1]?.precedence ?? 0) }
        for slot in slots {
            guard let policy = stored[slot]?.policy else { continue }
            stored[slot]?.precedence = Precedence.word(policy, number: nextNumber)
            nextNumber += 1
        }
        changed.formUnion(slots)
    }
}

// MARK: - Policies and SAs

extension PolicyRegister {
    private mutating func note(_ policy: SecurityPolicy, slot: Int) {
        guard let protection = policy.protection else { return }
        for requestID in protection.requestIDs {
            if policy.direction == .out {
                protecting[requestID, default: []].insert(slot)
            } else {
                let count = named[requestID]?[protection] ?? 0
                named[requestID, default: [:]][protection] = count + 1
                if count == 0 { renamed.insert(requestID) }
            }
        }
    }

    private mutating func forget(_ policy: SecurityPolicy, slot: Int) {
        guard let protection = policy.protection else { return }
        for requestID in protection.requestIDs {
            if policy.direction == .out {
                protecting[requestID]?.remove(slot)
                if protecting[requestID]?.isEmpty == true { protecting[requestID] = nil }
            } else {
                let count = named[requestID]?[protection] ?? 1
                named[requestID]?[protection] = count > 1 ? count - 1 : nil
                if count == 1 { renamed.insert(requestID) }
                if named[requestID]?.isEmpty == true { named[requestID] = nil }
            }
        }
    }

    /// The outbound policies that an SA may serve.
    func slots(servedBy parameters: SAParameters) -> [Int] {
        // Policies with request id 0 accept every SA between their endpoints.
        Set([parameters.requestID, 0]).flatMap { protecting[$0] ?? [] }.filter { slot in
            guard let policy = stored[slot]?.policy, policy.protection?.accepts(parameters) == true else {
                return false
            }
            return parameters.selectors.isEmpty || parameters.selectors.contains { $0.overlaps(policy.selector) }
        }
    }

    /// Whether an `in` or `fwd` policy names an SA.
    func names(_ parameters: SAParameters) -> Bool {
        [parameters.requestID, 0].contains { named[$0]?.keys.contains { $0.accepts(parameters) } ?? false }
    }

    mutating func takeTouches() -> PolicyTouches {
        defer { touches = PolicyTouches() }
        return touches
    }

    /// The outbound policies whose packets may belong to one that has come; nil: perhaps all.
    func slots(behind touches: PolicyTouches) -> Set<Int>? {
        guard touches.outbound.count <= PolicyTouches.most else { return nil }
        var found: Set<Int> = []
        for new in touches.outbound {
            guard let candidates = outboundSelectors.candidates(for: new.selector) else { return nil }
            found.formUnion(
                candidates.filter { slot in
                    guard let other = stored[slot] else { return false }
                    return other.precedence > new.precedence && other.policy.selector.overlaps(new.selector)
                })
        }
        return found
    }

    mutating func takeRenamed() -> Set<UInt32> {
        defer { renamed = [] }
        return renamed
    }

    /// The slots that have changed, those with the lowest precedence first.
    mutating func takeChanged() -> [Int] {
        defer { changed = [] }
        return changed.sorted { (stored[$0]?.precedence ?? .max) > (stored[$1]?.precedence ?? .max) }
    }
}
