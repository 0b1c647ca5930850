import Packets

/// The connections that are loaded, the host names that they use, and which of a peer's addresses is tried next.
final class Connections {
    private let output: any ManagerOutput
    private var table = ConnectionTable()
    private var names = NameCache()
    private var candidateCache = CandidateCache()
    /// The addresses that are tried next, of connections that have several.
    private var turns: [String: Int] = [:]
    /// Changes whenever connections or host names name other addresses.
    private(set) var version: UInt64 = 0

    init(output: any ManagerOutput) { self.output = output }

    /// The connections in the order in which they were loaded.
    var all: [Connection] { table.all }

    subscript(name: String) -> Connection? { table[name] }

    func child(_ child: String, of connection: String) -> Child? { table.child(child, of: connection) }

    func child(_ name: ChildName) -> Child? { table.child(name.child, of: name.connection) }

    /// The connection that an IKE SA was made from, as it is loaded now.
    func loaded(of record: SessionRecord) -> Connection? { record.session.connection.flatMap { table[$0.name] } }

    // MARK: Names

    /// The connection and the child that a command means; without a connection the first one that has such a child.
    func find(
        connection: String?, child: String?
    ) -> Result<(connection: Connection, child: Child?), Explanation> {
        guard let connection else { return find(child: child) }
        guard let found = table[connection] else {
            return .failure(
                Explanation("there is no connection \(connection)", remedy: Self.choice(all.map(\.name))))
        }
        if found.isRefused {
            return .failure(
                Explanation(
                    "connection \(connection) is not served, for errors in its configuration",
                    remedy: "mend what `sluice status` says of it, and load it again"))
        }
        guard let child else { return .success((found, nil)) }
        guard let part = found.negotiated.first(where: { $0.name == child }) else {
            return .failure(
                Explanation(
                    "connection \(connection) has no child \(child)",
                    remedy: Self.choice(found.negotiated.map(\.name))))
        }
        return .success((found, part))
    }

    private func find(child: String?) -> Result<(connection: Connection, child: Child?), Explanation> {
        guard let child, let found = table.firstConnection(withChild: child) else {
            let what = child.map { "child \($0)" } ?? "connection without a name"
            let names = all.flatMap { connection in
                connection.negotiated.map { "\($0.name) (of \(connection.name))" }
            }
            return .failure(Explanation("there is no \(what)", remedy: Self.choice(names)))
        }
        return .success((found, found.children.first { $0.name == child }))
    }

    /// The names that could have been meant, as far as they are good to read.
    private static func choice(_ names: [String]) -> String {
        let shown = 10
        if names.isEmpty { return "none is loaded" }
        let more = names.count > shown ? ", and \(names.count - shown) more" : ""
        return "there are " + names.prefix(shown).joined(separator: ", ") + more
    }

    /// Replaces everything.
    func set(_ connections: [Connection]) {
        table.set(connections)
        candidateCache.removeAll()
        version &+= 1
        names.keep(Set(table.hostNames))
    }

    /// Candidates were made with other credentials.
    func credentialsChanged() { candidateCache.removeAll() }

    // MARK: Peers

    /// Whether a connection names exactly this address, by itself or by a host name.
    func isNamed(_ address: IPAddress) -> Bool { table.names(address) || names.holds(address) }

    var namedAddresses: Set<IPAddress> { table.namedAddresses.union(names.allAddresses) }

    /// Connections that say that their peer is at this address.
    func naming(_ address: IPAddress) -> [Connection] { table.naming(address, resolved: names.addresses) }

    /// Connections that a peer at the other end of `path` may mean.
    func candidates(for path: Path) -> CandidateSet {
        candidateCache.candidates(for: path, in: table, names: names, isNamed: isNamed(path.remote.address))
    }

    /// Ours towards a peer.
    func localAddress(of connection: Connection, towards remote: IPAddress) -> IPAddress? {
        connection.localAddress(towards: remote, source: output.sourceAddress)
    }

    // MARK: Host names

    func addresses(of name: String) -> [IPAddress] { names.addresses[name] ?? [] }

    /// Connections that use a host name, for one end or the other.
    func using(_ name: String) -> [Connection] { table.using(name) }

    func resolve(_ name: String, for purpose: NameCache.Purpose) {
        let request = names.ask(name, for: purpose)
        output.resolve(name, request: request)
    }

    /// Asks for all names of which nothing is known.
    func resolveUnknown() {
        for name in table.hostNames where names.addresses[name] == nil { resolve(name, for: .recognition) }
    }

    func resolveUnknown(of connection: Connection) {
        for name in connection.names where names.addresses[name] == nil { resolve(name, for: .recognition) }
    }

    /// The answer to a question; nil: to none.
    func answer(_ request: UInt64, _ addresses: [IPAddress]) -> NameCache.Answer? {
        let answer = names.answer(request, addresses)
        if answer?.isNews == true { candidateCache.removeAll() }
        if answer?.changesAddresses == true { version &+= 1 }
        return answer
    }

    // MARK: Several addresses of one peer

    /// The address of a peer that is tried next. The one that works stays, also for the next try that a packet asks for.
    func turn(of connection: Connection) -> Int { turns[connection.name] ?? 0 }

    func takeNextTurn(of connection: Connection) {
        guard destinations(of: connection) > 1 else { return }
        turns[connection.name] = (turn(of: connection) + 1) & 0xFFFF_FFFF
    }

    /// Lets it begin with its first address again.
    func resetTurn(of connection: Connection) { turns[connection.name] = nil }

    /// Addresses that the peer may have, as far as they are known.
    func destinations(of connection: Connection) -> Int {
        connection.remoteAddresses.reduce(0) { count, pattern in
            if case .name(let name) = pattern { return count + max(names.addresses[name]?.count ?? 1, 1) }
            return count + (pattern.isDestination ? 1 : 0)
        }
    }

    /// Whether `keyingtries` leaves a try after so many: each address has its own.
    func hasTries(of connection: Connection, after tries: UInt32) -> Bool {
        let addresses = UInt32(clamping: max(destinations(of: connection), 1))
        let (all, isEndless) = connection.keyingTries.multipliedReportingOverflow(by: addresses)
        return connection.keyingTries == 0 || isEndless || tries < all
    }
}

/// A child of a connection, by name.
struct ChildName: Hashable {
    var connection: String
    var child: String
}

extension Connection {
    /// Host names of both ends.
    var names: [String] {
        (localAddresses + remoteAddresses).compactMap { if case .name(let name) = $0 { name } else { nil } }
    }

    /// Whether some address or name is given to initiate to.
    var hasKnownRemote: Bool { remoteAddresses.contains(where: \.isDestination) }
}

extension AddressPattern {
    /// Whether one can initiate to it: an address or a name.
    var isDestination: Bool {
        if case .name = self { true } else { single != nil }
    }
}

/// Host names of peers: questions that are out, and the last answers.
struct NameCache {
    enum Purpose {
        case attempt(ConnectionAttempt.Key)
        /// The name is for recognising the peer when it begins, and for what `dynamic` stands for.
        case recognition
    }

    struct Answer {
        let name: String
        let purpose: Purpose
        /// The name stands for other addresses than before.
        var isNews = false
        /// All names together stand for others too.
        var changesAddresses = false
    }

    private(set) var addresses: [String: [IPAddress]] = [:]
    /// Numbers of names that stand for an address.
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
