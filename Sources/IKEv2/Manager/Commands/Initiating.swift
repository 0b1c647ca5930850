extension SessionManager {
    /// Negotiates a CHILD_SA, or, without a child's name, an IKE SA. With a child's name only, the first connection that
    /// has it is meant. `outcome` is called once: when it is up (at once when it is already), or with the reason why it
    /// is not. With endless `keyingtries` the first failure is the outcome, and the attempts go on.
    public func initiate(
        connection: String?, child: String?, at now: UInt64, outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        run(at: now) {
            switch find(connection: connection, child: child) {
            case .failure(let why): outcome(.failure(why))
            case .success((let connection, let child)):
                if isShuttingDown { return outcome(.failure(Explanation("the gateway is shutting down"))) }
                peerCalls.allow(connection.name, child?.name)
                backoffs.forget(connection.name)
                if let child, let record = sessionWith(child, of: connection) {
                    return complete(child, of: connection, in: record, outcome)
                }
                if child == nil, isUp(connection, nil) { return outcome(.success(())) }
                waiters[Waiter(connection: connection.name, child: child?.name), default: []].append(outcome)
                bringUp(connection, child.map { [ConnectionAttempt.Wish($0.name)] } ?? [], isUrgent: true)
            }
        }
    }

    /// A child that is up is wanted: what its SAs leave out of its selectors is negotiated.
    private func complete(
        _ child: Child, of connection: Connection, in record: SessionRecord,
        _ outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        let path = record.session.path
        let up = table.sessions(of: connection.name).flatMap { live(child, in: $0) }.flatMap(\.selectors)
        let missing = child.pairs(on: path).filter { pair in
            pair.selector(on: path).map { pair in !up.contains { $0.contains(pair) } } ?? false
        }
        guard let call = ChildCall(pairs: missing) else {
            note(.info, "child \(child.name) is up already", connection: connection.name, path: path)
            return outcome(.success(()))
        }
        let shown = missing.prefix(8).map(\.description).joined(separator: ", ") + (missing.count > 8 ? ", …" : "")
        note(
            .info, "child \(child.name) is up, but without \(shown); that is negotiated now",
            connection: connection.name, path: path)
        waiters[Waiter(connection: connection.name, child: child.name), default: []].append(outcome)
        if record.awaitedChildren.insert(child.name).inserted { ask(call, for: child, in: record) }
    }

    /// The newest IKE SA of a connection that has a CHILD_SA of a child, both to stay.
    private func sessionWith(_ child: Child, of connection: Connection) -> SessionRecord? {
        table.sessions(of: connection.name).last { record in
            record.isEstablished && !record.isUnwanted && record.session.connection == connection
                && !live(child, in: record).isEmpty
        }
    }

    /// Begins to rekey all SAs that match, or to reauthenticate their IKE SAs; the number of them.
    public func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: UInt64) -> Int {
        run(at: now) {
            var number = 0
            for record in matching(filter) where record.isEstablished && !record.isUnwanted {
                if reauthenticate {
                    if self.reauthenticate(record) { number += 1 }
                } else if filter.isAboutChildren {
                    for sa in liveChildren(of: record) where filter.matches(sa) {
                        number += 1
                        apply(record.session.rekeyChild(id: sa.id, environment: self), of: record)
                    }
                } else {
                    number += 1
                    apply(record.session.rekeyIKE(environment: self), of: record)
                }
            }
            return number
        }
    }

    /// Deletes all SAs at their peers; nothing new begins. What children cover stays covered to the end. Over when `counters.sessions` is 0.
    public func shutDown(at now: UInt64) {
        run(at: now) {
            isShuttingDown = true
            for attempt in Array(attempts.values) {
                giveUp(attempt, Explanation("the gateway is shutting down"))
            }
            for record in table.all { end(record, .terminated) }
        }
    }

    /// All IKE SAs. What is left of a peer that was refused is none.
    public func statuses() -> [IKESAStatus] { table.all.filter { !$0.session.isRefused }.map(status(of:)) }

    /// The same of those that a filter is about, as far as it is about sessions.
    public func statuses(matching filter: SAFilter) -> [IKESAStatus] { matching(filter).map(status(of:)) }

    /// Attempts that a filter is about and that have no session: they wait for their time, or for a name.
    public func waitingAttempts(matching filter: SAFilter) -> Int {
        attempts.values.count { $0.state != .negotiating && isMeant($0, by: filter) }
    }

    /// Whether a filter is about an attempt, or about one of its children.
    func isMeant(_ attempt: ConnectionAttempt, by filter: SAFilter) -> Bool {
        guard filter.ikeID == nil, filter.childID == nil else { return false }
        return filter.connection ?? attempt.key.connection == attempt.key.connection
            && (filter.child == nil || attempt.wishes.contains { $0.child == filter.child })
    }

    /// Sessions that a filter is about, as far as it is about sessions.
    func matching(_ filter: SAFilter) -> [SessionRecord] {
        table.all.filter { !$0.session.isRefused && filter.matches($0.session) }
    }

    /// CHILD_SAs of a session that carry traffic, or will.
    func liveChildren(of record: SessionRecord) -> [ChildSA] {
        record.session.children.filter { children[$0.inboundSPI]?.isUp == true }
    }

    /// What a name, or two, stand for.
    func find(
        connection: String?, child: String?
    ) -> Result<(connection: Connection, child: Child?), Explanation> {
        if let connection {
            guard let found = connectionTable[connection] else {
                return .failure(
                    Explanation(
                        "there is no connection \(connection)", remedy: Self.choice(connectionTable.all.map(\.name))))
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
        guard let child, let found = connectionTable.firstConnection(withChild: child) else {
            let what = child.map { "child \($0)" } ?? "connection without a name"
            let names = connectionTable.all.flatMap { connection in
                connection.negotiated.map { "\($0.name) (of \(connection.name))" }
            }
            return .failure(Explanation("there is no \(what)", remedy: Self.choice(names)))
        }
        return .success((found, found.children.first { $0.name == child }))
    }

    /// What could have been meant, as far as it is good to read.
    private static func choice(_ names: [String]) -> String {
        let shown = 10
        if names.isEmpty { return "none is loaded" }
        let more = names.count > shown ? ", and \(names.count - shown) more" : ""
        return "there are " + names.prefix(shown).joined(separator: ", ") + more
    }

    /// Whether an IKE SA of the connection is there and stays, with a CHILD_SA of the child if one is given.
    func isUp(_ connection: Connection, _ child: Child?) -> Bool {
        table.sessions(of: connection.name).contains { record in
            guard record.isEstablished, !record.isUnwanted, record.session.connection == connection else {
                return false
            }
            guard let child else { return true }
            return liveChildren(of: record).contains {
                $0.child.name == child.name && !record.unwantedChildren.contains($0.id)
            }
        }
    }
}
