/// Operators' commands: to bring SAs up, to end them, to renew them, and to see them.
final class Commands {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let backoffs: BackoffTable
    private let memory: TunnelMemory
    private let peerCalls: PeerCalls
    private let attempts: ConnectionAttempts
    private let terminations: Terminations
    private let driver: SessionDriver
    private let initiator: Initiator
    private let reauthentication: Reauthentication

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, installer: ChildInstaller,
        backoffs: BackoffTable, memory: TunnelMemory, peerCalls: PeerCalls, attempts: ConnectionAttempts,
        terminations: Terminations, driver: SessionDriver, initiator: Initiator, reauthentication: Reauthentication
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.backoffs = backoffs
        self.memory = memory
        self.peerCalls = peerCalls
        self.attempts = attempts
        self.terminations = terminations
        self.driver = driver
        self.initiator = initiator
        self.reauthentication = reauthentication
    }

    // MARK: Initiate

    /// Negotiates a CHILD_SA, or, without a child's name, an IKE SA. With a child's name only, the first connection that
    /// has it is meant. `outcome` is called once: when it is up (at once when it is already), or with the reason why it
    /// is not. With endless `keyingtries` the first failure is the outcome, and the tries go on.
    func initiate(
        connection: String?, child: String?, _ outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        switch connections.find(connection: connection, child: child) {
        case .failure(let why): outcome(.failure(why))
        case .success((let connection, let child)):
            if context.isShuttingDown { return outcome(.failure(Explanation("the gateway is shutting down"))) }
            peerCalls.allow(connection.name, child?.name)
            backoffs.forget(connection.name)
            if let child, let record = sessionWith(child, of: connection) {
                return complete(child, of: connection, in: record, outcome)
            }
            if child == nil, installer.isUp(connection, nil) { return outcome(.success(())) }
            attempts.addWaiter(connection: connection.name, child: child?.name, outcome)
            initiator.bringUp(connection, child.map { [ConnectionAttempt.Wish($0.name)] } ?? [], isUrgent: true)
        }
    }

    /// A child that is up is wanted: what its SAs leave out of its selectors is negotiated.
    private func complete(
        _ child: Child, of connection: Connection, in record: SessionRecord,
        _ outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        let path = record.session.path
        let up = table.sessions(of: connection.name).flatMap { installer.live(child.name, in: $0) }
            .flatMap(\.selectors)
        let selectors = context.selectors(of: record.session)
        let missing = child.pairs(in: selectors).filter { pair in
            pair.selector(in: selectors).map { pair in !up.contains { $0.contains(pair) } } ?? false
        }
        guard let call = ChildCall(pairs: missing) else {
            context.note(.info, "child \(child.name) is up already", connection: connection.name, path: path)
            return outcome(.success(()))
        }
        let shown = missing.prefix(8).map(\.description).joined(separator: ", ") + (missing.count > 8 ? ", …" : "")
        context.note(
            .info, "child \(child.name) is up, but without \(shown); that is negotiated now",
            connection: connection.name, path: path)
        attempts.addWaiter(connection: connection.name, child: child.name, outcome)
        if record.asked.wantMore(of: child.name) { initiator.ask(call, child, in: record) }
    }

    /// The newest IKE SA of a connection that has a CHILD_SA of a child, both to stay.
    private func sessionWith(_ child: Child, of connection: Connection) -> SessionRecord? {
        table.newestSession(of: connection.name) { record in
            record.isEstablished && !record.isUnwanted && record.session.connection == connection
                && !installer.live(child.name, in: record).isEmpty
        }
    }

    // MARK: Terminate

    /// Ends all SAs that match. `outcome` is called once, with their number, when they are gone. Attempts to bring such
    /// an IKE SA up end too.
    /// - Parameter force: without waiting for the peers' answers.
    func terminate(_ filter: SAFilter, force: Bool, _ outcome: @escaping (Result<Int, Explanation>) -> Void) {
        forgetTunnels(filter)
        if filter.isAboutChildren {
            terminateChildren(filter, outcome)
        } else {
            terminateSessions(filter, force: force, outcome)
        }
    }

    private func terminateSessions(
        _ filter: SAFilter, force: Bool, _ outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        var number = 0
        for attempt in attempts.matching(filter) {
            if attempt.state != .negotiating { number += 1 }
            attempts.giveUp(attempt, Explanation("terminated"))
        }
        let records = matching(filter)
        number += records.count
        if number == 0 { return outcome(.failure(Explanation("there is no IKE SA that matches"))) }
        terminations.add(sessions: records.map(\.id), number: number, outcome: outcome)
        for record in records {
            driver.end(record, .terminated)
            if force, table[record.id] != nil {
                driver.apply(record.session.abandon(.terminated, environment: driver.environment), of: record)
            }
        }
        terminations.settle()
    }

    private func terminateChildren(_ filter: SAFilter, _ outcome: @escaping (Result<Int, Explanation>) -> Void) {
        let found = matching(filter).flatMap { record in
            record.session.currentChildren.filter(filter.matches).map { (record: record, sa: $0) }
        }
        let number = found.count + attempts.stopWaiting(for: filter)
        if number == 0 { return outcome(.failure(Explanation("there is no CHILD_SA that matches"))) }
        terminations.add(children: found.map(\.sa.id), number: number, outcome: outcome)
        for (record, sa) in found { driver.end(sa, of: record) }
        terminations.settle()
    }

    /// Tunnels that match do not come back by themselves.
    private func forgetTunnels(_ filter: SAFilter) {
        if filter.ikeID == nil, filter.childID == nil {
            let meant = filter.connection.map { connections[$0].map { [$0] } ?? [] } ?? connections.all
            for connection in meant {
                for child in connection.negotiated where filter.child ?? child.name == child.name {
                    peerCalls.end(ChildName(connection: connection.name, child: child.name))
                }
            }
            return memory.forget(filter)
        }
        for record in matching(filter) {
            for sa in record.session.currentChildren where filter.matches(sa) {
                peerCalls.end(ChildName(connection: sa.connectionName, child: sa.child.name))
                memory.remove(sa)
            }
        }
    }

    // MARK: Rekey

    /// Begins to rekey all SAs that match, or to reauthenticate their IKE SAs; the number of them.
    func rekey(_ filter: SAFilter, reauthenticate: Bool) -> Int {
        var number = 0
        for record in matching(filter) where record.isEstablished && !record.isUnwanted {
            if reauthenticate {
                if reauthentication.reauthenticate(record) { number += 1 }
            } else if filter.isAboutChildren {
                for sa in installer.liveChildren(of: record) where filter.matches(sa) {
                    number += 1
                    driver.apply(record.session.rekeyChild(id: sa.id, environment: driver.environment), of: record)
                }
            } else {
                number += 1
                driver.apply(record.session.rekeyIKE(environment: driver.environment), of: record)
            }
        }
        return number
    }

    // MARK: The end

    /// Deletes all SAs at their peers; nothing new begins. What children cover stays covered to the end.
    func shutDown() {
        context.shutDown()
        for attempt in attempts.all { attempts.giveUp(attempt, Explanation("the gateway is shutting down")) }
        for record in table.all { driver.end(record, .terminated) }
    }

    // MARK: Listings

    /// Attempts that a filter is about and that have no session: they wait for their time, or for a name.
    func waitingAttempts(matching filter: SAFilter) -> Int {
        attempts.matching(filter).count { $0.state != .negotiating }
    }

    /// Sessions that a filter is about, as far as it is about sessions. What is left of a peer that was refused is none.
    func matching(_ filter: SAFilter) -> [SessionRecord] {
        let records = filter.ikeID.map { table[$0].map { [$0] } ?? [] } ?? table.all
        return records.filter { !$0.session.isRefused && filter.matches($0.session) }
    }
}

/// Commands to end SAs that wait until all they are about is gone.
final class Terminations {
    private struct Termination {
        var sessions: Set<UInt32>
        var children: Set<UInt32>
        let number: Int
        let outcome: (Result<Int, Explanation>) -> Void

        var isDone: Bool { sessions.isEmpty && children.isEmpty }
    }

    private var waiting: [Termination] = []

    var isEmpty: Bool { waiting.isEmpty }

    /// `outcome` is called once, with the number, when all of these are gone.
    func add(
        sessions: [UInt32] = [], children: [UInt32] = [], number: Int,
        outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        waiting.append(
            Termination(sessions: Set(sessions), children: Set(children), number: number, outcome: outcome))
    }

    /// The IKE SA was rekeyed: the new one is meant.
    func follow(_ old: UInt32, to new: UInt32) {
        for index in waiting.indices where waiting[index].sessions.remove(old) != nil {
            waiting[index].sessions.insert(new)
        }
    }

    /// The same of a CHILD_SA.
    func followChild(_ old: UInt32, to new: UInt32) {
        for index in waiting.indices where waiting[index].children.remove(old) != nil {
            waiting[index].children.insert(new)
        }
    }

    /// Crosses off what has ended, and tells those who wait for nothing else.
    func settle(session: UInt32? = nil, child: UInt32? = nil) {
        guard !waiting.isEmpty else { return }
        for index in waiting.indices {
            if let session { waiting[index].sessions.remove(session) }
            if let child { waiting[index].children.remove(child) }
        }
        let done = waiting.filter(\.isDone)
        waiting.removeAll(where: \.isDone)
        for termination in done { termination.outcome(.success(termination.number)) }
    }
}

/// The SAs that a command is about, as swanctl's `--ike`, `--child`, `--ike-id` and `--child-id` say. All that is given has
/// to match; with a child's name or id only CHILD_SAs are meant.
package struct SAFilter: Hashable, Sendable {
    package var connection: String?
    package var child: String?
    package var ikeID: UInt32?
    package var childID: UInt32?

    package init(connection: String? = nil, child: String? = nil, ikeID: UInt32? = nil, childID: UInt32? = nil) {
        self.connection = connection
        self.child = child
        self.ikeID = ikeID
        self.childID = childID
    }

    /// Whether the filter names CHILD_SAs rather than whole IKE SAs.
    package var isAboutChildren: Bool { child != nil || childID != nil }

    func matches(_ session: Session) -> Bool {
        (connection == nil || connection == session.connection?.name) && (ikeID == nil || ikeID == session.id)
    }

    func matches(_ sa: ChildSA) -> Bool {
        (child == nil || child == sa.child.name) && (childID == nil || childID == sa.id)
    }
}
