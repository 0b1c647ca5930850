import Packets

/// Host names of peers: questions that are out, and the last answers.
struct NameCache {
    enum Purpose {
        case attempt(ConnectionAttempt.Key)
        /// To recognise the peer when it begins, and for what `dynamic` stands for.
        case recognition
    }

    struct Answer {
        let name: String
        let purpose: Purpose
        /// The name stands for other addresses than before.
        var isNews = false
        /// So do all names together.
        var changesAddresses = false
    }

    private(set) var addresses: [String: [IPAddress]] = [:]
    /// How many names stand for an address.
    private var uses: [IPAddress: Int] = [:]
    private var questions: [UInt64: (name: String, purpose: Purpose)] = [:]
    private var last: UInt64 = 0

    /// All addresses that names stand for together.
    var allAddresses: some Sequence<IPAddress> { uses.keys }

    mutating func ask(_ name: String, for purpose: Purpose) -> UInt64 {
        last += 1
        questions[last] = (name, purpose)
        return last
    }

    /// The answer to a question; without addresses the last ones stay.
    mutating func answer(_ request: UInt64, _ found: [IPAddress]) -> Answer? {
        guard let question = questions.removeValue(forKey: request) else { return nil }
        var answer = Answer(name: question.name, purpose: question.purpose)
        guard !found.isEmpty else { return answer }
        let (old, new) = (Set(addresses.updateValue(found, forKey: question.name) ?? []), Set(found))
        answer.isNews = old != new
        answer.changesAddresses = replace(old, by: new)
        return answer
    }

    /// Whether some name stands for this address.
    func holds(_ address: IPAddress) -> Bool { uses[address] != nil }

    /// Forgets names that no connection has any more.
    mutating func keep(_ names: Set<String>) {
        for (name, old) in addresses where !names.contains(name) {
            addresses[name] = nil
            _ = replace(Set(old), by: [])
        }
    }

    /// Whether that changes what all names together stand for. Costs what the one name stands for.
    private mutating func replace(_ old: Set<IPAddress>, by new: Set<IPAddress>) -> Bool {
        var isChanged = false
        for address in new.subtracting(old) {
            uses[address, default: 0] += 1
            if uses[address] == 1 { isChanged = true }
        }
        for address in old.subtracting(new) {
            let count = (uses[address] ?? 1) - 1
            uses[address] = count > 0 ? count : nil
            if count == 0 { isChanged = true }
        }
        return isChanged
    }
}
