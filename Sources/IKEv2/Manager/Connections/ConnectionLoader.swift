/// The loading and unloading of connections: what changes ends, the rest keeps its SAs, and what is new begins.
final class ConnectionLoader {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let requestIDs: RequestIDs
    private let covers: Covers
    private let backoffs: BackoffTable
    private let narrowing: Narrowing
    private let memory: TunnelMemory
    private let peerCalls: PeerCalls
    private let attempts: ConnectionAttempts
    private let driver: SessionDriver
    private let initiator: Initiator
    private let recovery: Recovery

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, requestIDs: RequestIDs,
        covers: Covers, backoffs: BackoffTable, narrowing: Narrowing, memory: TunnelMemory, peerCalls: PeerCalls,
        attempts: ConnectionAttempts, driver: SessionDriver, initiator: Initiator, recovery: Recovery
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.requestIDs = requestIDs
        self.covers = covers
        self.backoffs = backoffs
        self.narrowing = narrowing
        self.memory = memory
        self.peerCalls = peerCalls
        self.attempts = attempts
        self.driver = driver
        self.initiator = initiator
        self.recovery = recovery
    }

    // MARK: Loading

    /// Loads connections; one of the same name is replaced. What has not changed keeps its SAs; a child that has changed
    /// or gone loses its SAs, a connection that has its IKE SAs. What children cover stays covered meanwhile, unless they
    /// are gone. What is refused and has been served goes on as it was. Then start actions run.
    /// - Parameter replacingAll: connections that are not among these are unloaded.
    func load(_ given: [Connection], replacingAll: Bool) {
        guard !context.isShuttingDown else { return }
        for connection in given { noteKept(connection, loaded: connections[connection.name]) }
        let given = given.map { $0.keeping(connections[$0.name]) }
        let names = Set(given.map(\.name))
        if replacingAll {
            for connection in connections.all where !names.contains(connection.name) { end(connection) }
        }
        let changes = given.map { ConnectionChange(from: connections[$0.name], to: $0) }
        for (connection, change) in zip(given, changes) where change.extent == .everything {
            connections[connection.name].map(endAll)
        }
        set(merged(given, replacingAll: replacingAll))
        // Whoever loads a configuration has mended something.
        for name in names { backoffs.forget(name) }
        narrowing.forget(names)
        for (connection, change) in zip(given, changes) {
            // One that is as it was keeps what was done to it by hand.
            for child in change.newChildren { covers.configureTrap(child, of: connection) }
            if change.extent != .none { covers.cover(connection) }
        }
        for (connection, change) in zip(given, changes) {
            if change.extent == .children {
                // One that is being negotiated adopts them once it is established.
                for record in table.sessions(of: connection.name) where record.isEstablished {
                    driver.adopt(connection, in: record)
                }
            }
            start(change.newChildren, of: connection)
        }
    }

    /// Takes a connection out, with its SAs and traps. False: there is none of that name.
    func unload(_ name: String) -> Bool {
        guard let connection = connections[name] else { return false }
        end(connection)
        set(connections.all.filter { $0.name != name })
        return true
    }

    /// Says what goes on although its new configuration is not served.
    private func noteKept(_ connection: Connection, loaded: Connection?) {
        guard let loaded, !loaded.isRefused else { return }
        let what = "goes on as it was before: its new configuration has errors"
        if connection.isRefused {
            context.note(.warning, "connection \(connection.name) \(what)", connection: connection.name)
            return
        }
        for child in connection.children where child.isRefused {
            guard loaded.children.contains(where: { $0.name == child.name && !$0.isRefused }) else { continue }
            context.note(.warning, "child \(child.name) \(what)", connection: connection.name)
        }
    }

    /// All connections, in the order in which they came; one of the same name keeps its place.
    private func merged(_ given: [Connection], replacingAll: Bool) -> [Connection] {
        var all: [Connection] = []
        var places: [String: Int] = [:]
        for connection in (replacingAll ? [] : connections.all) + given {
            if let place = places[connection.name] {
                all[place] = connection
            } else {
                places[connection.name] = all.count
                all.append(connection)
            }
        }
        return all
    }

    private func set(_ all: [Connection]) {
        connections.set(all)
        requestIDs.configure(all)
        for name in covers.connectionsChanged() { recovery.forget(name) }
        peerCalls.keep { connections[$0] != nil }
        connections.resolveUnknown()
    }

    // MARK: Ending

    private func end(_ connection: Connection) {
        endAll(of: connection)
        backoffs.forget(connection.name)
    }

    private func endAll(of connection: Connection) {
        connections.resetTurn(of: connection)
        for attempt in attempts.all(of: connection.name) {
            attempts.giveUp(attempt, Explanation("connection \(connection.name) was unloaded or changed"))
        }
        for record in table.sessions(of: connection.name) { driver.end(record, .terminated) }
    }

    // MARK: Starting

    /// Start actions, and what was up before the gateway was started.
    private func start(_ children: [Child], of connection: Connection) {
        if children.contains(where: \.startAction.traps), !connection.hasKnownRemote {
            context.note(.warning, Explanation.noRemoteAddress(of: connection).description, connection: connection.name)
        }
        let started = children.filter(\.startAction.starts)
        if !started.isEmpty {
            initiator.bringUp(
                connection, started.map { ConnectionAttempt.Wish($0.name) }, isStanding: true, isEndless: true)
        }
        for child in children where child.isNegotiated {
            peerCalls.allow(connection.name, child.name)
            for tunnel in memory.takeRestored(ChildName(connection: connection.name, child: child.name)) {
                guard !child.startAction.starts || tunnel.peer != nil else { continue }
                initiator.bringUp(
                    connection, [ConnectionAttempt.Wish(child.name)], towards: tunnel.peer, isStanding: true,
                    isEndless: true)
            }
        }
    }

    /// An IKE SA was established. The configuration may have changed while it was negotiated; false: it ends for that.
    func adopt(_ record: SessionRecord) -> Bool {
        guard let used = record.session.connection else { return true }
        let loaded = connections[used.name]
        if used == loaded { return true }
        guard let loaded, ConnectionChange(from: used, to: loaded).extent != .everything else {
            driver.end(record, .terminated)
            return false
        }
        driver.adopt(loaded, in: record)
        return true
    }
}

/// The change that loading a connection makes: nothing, some children, or the connection itself.
struct ConnectionChange: Equatable {
    enum Extent: Equatable {
        case none
        /// A change of children only: IKE SAs stay.
        case children
        /// Proposals, addresses, authentication, times: everything that IKE SAs were made from.
        case everything
    }

    var extent: Extent
    /// Names of children that are no longer as they were; those that are gone included.
    var endedChildren: Set<String> = []
    /// Children that were not there as they are now: their start actions are due.
    var newChildren: [Child] = []

    /// - Parameter old: nil: the connection is new.
    init(from old: Connection?, to new: Connection) {
        guard let old else {
            extent = .everything
            newChildren = new.children
            return
        }
        var emptied = old
        emptied.children = new.children
        if emptied != new {
            extent = .everything
            endedChildren = Set(old.children.map(\.name))
            newChildren = new.children
            return
        }
        let before = Set(old.children)
        let after = Set(new.children)
        endedChildren = Set(old.children.filter { !after.contains($0) }.map(\.name))
        newChildren = new.children.filter { !before.contains($0) }
        extent = old.children == new.children ? .none : .children
    }
}
