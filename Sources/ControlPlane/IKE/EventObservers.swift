import IKEv2

/// The observers of every event, in the order in which they came.
struct EventObservers {
    /// Names an observer, so that it can leave again.
    struct Token: Hashable {
        fileprivate let number: Int
    }

    private var observers: [(token: Token, observe: (ManagerEvent) -> Void)] = []
    private var next = 0

    mutating func add(_ observe: @escaping (ManagerEvent) -> Void) -> Token {
        let token = Token(number: next)
        next += 1
        observers.append((token, observe))
        return token
    }

    mutating func remove(_ token: Token) { observers.removeAll { $0.token == token } }

    /// An observer that comes or goes meanwhile does so from the next event on.
    func tell(_ event: ManagerEvent) {
        for (_, observe) in observers { observe(event) }
    }
}
