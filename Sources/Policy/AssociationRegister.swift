import IPsec
import Packets

/// The outbound SAs as the control side keeps them.
struct OutboundRegister {
    private struct Member {
        var association: OutboundSA
        /// Grows from the oldest to the newest.
        let number: UInt64
    }

    /// The members from the oldest to the newest, by request id.
    private var byRequestID: [UInt32: [Member]] = [:]
    private var lastNumber: UInt64 = 0
    /// The SAs that have changed since the tables were last told; nil: removed.
    private var changed: [UInt64: OutboundSA?] = [:]

    mutating func add(_ association: OutboundSA) {
        lastNumber += 1
        byRequestID[association.parameters.requestID, default: []].append(
            Member(association: association, number: lastNumber))
        changed[lastNumber] = .some(association)
    }

    /// Removes an SA, or puts another in its place; false when it is not there.
    mutating func replace(_ old: OutboundSA, with new: OutboundSA?) -> Bool {
        let requestID = old.parameters.requestID
        guard let index = byRequestID[requestID]?.firstIndex(where: { $0.association === old }),
            let number = byRequestID[requestID]?[index].number
        else { return false }
        if let new {
            byRequestID[requestID]?[index].association = new
        } else {
            byRequestID[requestID]?.remove(at: index)
            if byRequestID[requestID]?.isEmpty == true { byRequestID[requestID] = nil }
        }
        changed[number] = .some(new)
        return true
    }

    /// The SAs that a policy may be served by, from the newest to the oldest; 0 stands for every request id.
    func newestFirst(requestID: UInt32) -> [OutboundSA] {
        guard requestID == 0 else { return byRequestID[requestID]?.reversed().map(\.association) ?? [] }
        return byRequestID.values.joined().sorted { $0.number > $1.number }.map(\.association)
    }

    mutating func takeChanged() -> [(number: UInt64, association: OutboundSA?)] {
        defer { changed = [:] }
        return changed.map { ($0.key, $0.value) }
    }
}

/// The inbound SAs as the control side keeps them, each in a slot that it has as long as it is there.
struct InboundRegister {
    private(set) var members: [InboundTables.Member?] = []
    private var free: [Int] = []
    private var slots: [SAKey: Int] = [:]
    private var byRequestID: [UInt32: Set<Int>] = [:]
    /// The SAs by the selectors of their packets, which come from the remote networks.
    private var selectors = SelectorIndex(by: .source)
    private var lastNumber: UInt64 = 0
    /// Slots to be told to the tables.
    private var changed: Set<Int> = []

    func has(_ key: SAKey) -> Bool { slots[key] != nil }

    /// Adds an SA under a key that is not there yet.
    mutating func add(_ association: InboundSA, as key: SAKey) {
        lastNumber += 1
        let member = InboundTables.Member(association: association, key: key, number: lastNumber)
        let slot = free.popLast() ?? members.count
        if slot == members.count { members.append(member) } else { members[slot] = member }
        slots[key] = slot
        byRequestID[association.parameters.requestID, default: []].insert(slot)
        selectors.insert(slot, association.parameters.selectors)
        changed.insert(slot)
    }

    mutating func remove(_ key: SAKey) -> Bool {
        guard let slot = slots.removeValue(forKey: key), let member = members[slot] else { return false }
        let requestID = member.association.parameters.requestID
        byRequestID[requestID]?.remove(slot)
        if byRequestID[requestID]?.isEmpty == true { byRequestID[requestID] = nil }
        selectors.remove(slot, member.association.parameters.selectors)
        members[slot] = nil
        free.append(slot)
        changed.insert(slot)
        return true
    }

    /// The key and the request id stay.
    mutating func replace(_ old: InboundSA, with new: InboundSA) {
        guard let slot = slots[old.parameters.saKey], members[slot]?.association === old else { return }
        selectors.remove(slot, old.parameters.selectors)
        selectors.insert(slot, new.parameters.selectors)
        members[slot]?.association = new
        changed.insert(slot)
    }

    /// Policies name SAs of this request id that they did not name before, or no longer; 0 stands for every request id.
    mutating func renamed(requestID: UInt32) {
        changed.formUnion(requestID == 0 ? Set(slots.values) : byRequestID[requestID] ?? [])
    }

    /// The SAs whose packets a policy may speak about that has come, gone or changed; nil: perhaps all.
    func slots(concernedBy touches: PolicyTouches) -> Set<Int>? {
        guard touches.inbound.count <= PolicyTouches.most else { return nil }
        var found: Set<Int> = []
        for selector in touches.inbound {
            guard let candidates = selectors.candidates(for: selector) else { return nil }
            found.formUnion(
                candidates.filter { slot in
                    guard let own = members[slot]?.association.parameters.selectors else { return false }
                    return own.isEmpty || own.contains { $0.overlaps(selector) }
                })
        }
        return found
    }

    mutating func takeChanged() -> [Int] {
        defer { changed = [] }
        return Array(changed)
    }
}
