extension SessionManager {
    /// All that are loaded, in the order in which they came.
    public var connections: [Connection] { connectionTable.all }

    /// Loads connections; one of the same name is replaced. What has not changed keeps its SAs; a child that has changed
    /// or gone loses its SAs, a connection that has its IKE SAs. What children cover stays covered meanwhile, unless they
    /// are gone. What is refused and has been served goes on as it was. Then start actions run.
    /// - Parameter replacingAll: connections that are not among these are unloaded.
    public func load(_ connections: [Connection], replacingAll: Bool, at now: UInt64) {
        run(at: now) {
            guard !isShuttingDown else { return }
            let old = connectionTable
            for connection in connections { noteKept(connection, loaded: old[connection.name]) }
            let connections = connections.map { $0.keeping(old[$0.name]) }
            let given = Set(connections.map(\.name))
            if replacingAll {
                for connection in old.all where !given.contains(connection.name) {
                    endAll(of: connection)
                    backoffs.forget(connection.name)
                }
            }
            let changes = connections.map { ConnectionChange(from: old[$0.name], to: $0) }
            for (connection, change) in zip(connections, changes) {
                endChanged(change, of: connection, loaded: old[connection.name])
            }
            install(connections, replacingAll: replacingAll)
            // Whoever loads a configuration has mended something.
            for name in given { backoffs.forget(name) }
            habits = habits.filter { owner, _ in
                !given.contains(owner.connection) && connectionTable[owner.connection] != nil
            }
            for (connection, change) in zip(connections, changes) {
                // One that is as it was keeps what was done to it by hand.
                for child in change.newChildren {
                    let owner = CoverTable.Owner(connection: connection.name, child: child.name)
                    if child.startAction.traps, connection.hasKnownRemote {
                        covers.trapped.insert(owner)
                    } else {
                        covers.trapped.remove(owner)
                    }
                }
                if change.extent != .none { cover(connection) }
            }
            for (connection, change) in zip(connections, changes) {
                if change.extent == .children {
                    // One that is being negotiated adopts them once it is established.
                    for record in table.sessions(of: connection.name) where record.isEstablished {
                        adopt(connection, in: record)
                    }
                }
                start(change.newChildren, of: connection)
            }
        }
    }

    /// Takes a connection out, with its SAs and traps. False: there is none of that name.
    public func unload(_ name: String, at now: UInt64) -> Bool {
        run(at: now) {
            guard let connection = connectionTable[name] else { return false }
            endAll(of: connection)
            backoffs.forget(name)
            setConnections(connectionTable.all.filter { $0.name != name })
            return true
        }
    }

    private func install(_ connections: [Connection], replacingAll: Bool) {
        var all: [Connection] = []
        var places: [String: Int] = [:]
        for connection in (replacingAll ? [] : connectionTable.all) + connections {
            if let place = places[connection.name] {
                all[place] = connection
            } else {
                places[connection.name] = all.count
                all.append(connection)
            }
        }
        setConnections(all)
    }

    private func setConnections(_ all: [Connection]) {
        connectionTable.set(all)
        candidateCache.removeAll()
        addressChanges &+= 1
        requestIDs.configure(all)
        let patterns = all.flatMap { $0.localAddresses + $0.remoteAddresses }
        let used = Set(patterns.compactMap { if case .name(let name) = $0 { name } else { nil } })
        let outOfOrder = covers.rank(all)
        for owner in Array(covers.covers.keys) where connectionTable.child(owner.child, of: owner.connection) == nil {
            uncover(owner)
        }
        for name in outOfOrder.sorted() { connectionTable[name].map(cover) }
        names.keep(used)
        keepTunnels()
        for name in used.sorted() where names.addresses[name] == nil { resolve(name, for: .recognition) }
    }

    /// Says what goes on although its new configuration is not served.
    private func noteKept(_ connection: Connection, loaded: Connection?) {
        guard let loaded, !loaded.isRefused else { return }
        let what = "goes on as it was before: its new configuration has errors"
        if connection.isRefused {
            note(.warning, "connection \(connection.name) \(what)", connection: connection.name)
            return
        }
        for child in connection.children where child.isRefused {
            guard loaded.children.contains(where: { $0.name == child.name && !$0.isRefused }) else { continue }
            note(.warning, "child \(child.name) \(what)", connection: connection.name)
        }
    }

    private func endAll(of connection: Connection) {
        addressTurns[connection.name] = nil
        for (key, attempt) in attempts where key.connection == connection.name {
            attempts[key] = nil
            giveUp(attempt, Explanation("connection \(connection.name) was unloaded or changed"))
        }
        for record in table.sessions(of: connection.name) { end(record, .terminated) }
    }

    private func endChanged(_ change: ConnectionChange, of connection: Connection, loaded: Connection?) {
        if change.extent == .everything { loaded.map(endAll) }
    }

    /// The connection of an IKE SA has other children now: it goes on with those, and loses its CHILD_SAs of children
    /// that are not there as they were.
    func adopt(_ connection: Connection, in record: SessionRecord) {
        let kept = Set(connection.children)
        for sa in record.session.children where !kept.contains(sa.child) {
            record.begunWith.remove(sa.child.name)
            end(sa, of: record)
        }
        record.session.connection = connection
    }

    /// Ends one CHILD_SA because we want it.
    func end(_ sa: ChildSA, of record: SessionRecord) {
        guard table[record.id] != nil else { return }
        record.unwantedChildren.insert(sa.id)
        apply(record.session.deleteChild(id: sa.id, environment: self), of: record)
    }

    /// Start actions.
    private func start(_ children: [Child], of connection: Connection) {
        if children.contains(where: \.startAction.traps), !connection.hasKnownRemote {
            note(.warning, Explanation.noRemoteAddress(of: connection).description, connection: connection.name)
        }
        let started = children.filter(\.startAction.starts)
        if !started.isEmpty {
            bringUp(connection, started.map { ConnectionAttempt.Wish($0.name) }, isStanding: true, isEndless: true)
        }
        restoreTunnels(children, of: connection)
    }
}
