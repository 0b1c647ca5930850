import Packets

/// Host names of peers: questions that are out, and the last answers.
struct NameCache {
    enum Purpose {
        case tryNow(ConnectionAttempt.Key)
        /// To recognise the peer when it begins, and for what `dynamic` stands for.
        case recognition
    }

    private(set) var addresses: [String: [IPAddress]] = [:] {
        didSet { allAddresses = Set(addresses.values.joined()) }
    }
    /// What all names together stand for.
    private(set) var allAddresses: Set<IPAddress> = []
    private var questions: [UInt64: (name: String, purpose: Purpose)] = [:]
    private var last: UInt64 = 0

    mutating func ask(_ name: String, for purpose: Purpose) -> UInt64 {
        last += 1
        questions[last] = (name, purpose)
        return last
    }

    mutating func answer(_ request: UInt64, _ found: [IPAddress]) -> (name: String, purpose: Purpose)? {
        guard let question = questions.removeValue(forKey: request) else { return nil }
        if !found.isEmpty { addresses[question.name] = found }
        return question
    }

    /// Whether some name stands for this address.
    func holds(_ address: IPAddress) -> Bool { allAddresses.contains(address) }

    /// Forgets names that no connection has any more.
    mutating func keep(_ names: Set<String>) {
        addresses = addresses.filter { names.contains($0.key) }
    }
}

extension SessionManager {
    func resolve(_ name: String, for purpose: NameCache.Purpose) {
        let request = names.ask(name, for: purpose)
        output.resolve(name, request: request)
    }

    /// The answer to `ManagerOutput.resolve`; empty: there is none.
    public func resolved(_ addresses: [IPAddress], request: UInt64, at now: UInt64) {
        run(at: now) {
            let before = names.allAddresses
            guard let question = names.answer(request, addresses) else { return }
            if names.allAddresses != before {
                candidateCache.removeAll()
                addressChanges &+= 1
            }
            if !addresses.isEmpty { coverNamed(question.name) }
            if !addresses.isEmpty { attemptNamed(question.name) }
            switch question.purpose {
            case .recognition: break
            case .tryNow(let key): attempts[key].map { resolved($0, name: question.name, addresses) }
            }
        }
    }
}
