import Packets

// One attempt of an undertaking: where the peer is → our address towards it → a session. When it fails there may be
// another, by `keyingtries`.
extension SessionManager {
    func attempt(_ undertaking: Undertaking) {
        guard case .waiting = undertaking.state, undertakings[undertaking.key] === undertaking else { return }
        guard let connection = connectionTable[undertaking.key.connection], !isShuttingDown else {
            undertakings[undertaking.key] = nil
            return
        }
        undertaking.explanation = nil
        let destinations = connection.remoteAddresses.filter(\.isDestination)
        undertaking.isUnanswered = false
        if undertaking.tries < .max { undertaking.tries += 1 }
        // Where the peer is known to be now, whichever of its addresses that is.
        if let old = undertaking.predecessor.flatMap({ table[$0] }), !isLost(old) {
            return negotiate(undertaking, connection, with: connection.destination(behind: old.session.path.remote))
        }
        if destinations.isEmpty {
            guard let remote = undertaking.key.remote else {
                return giveUp(undertaking, .noRemoteAddress(of: connection))
            }
            return negotiate(undertaking, connection, with: connection.destination(behind: remote))
        }
        switch destinations[turn(of: connection) % destinations.count] {
        case .range(let range):
            negotiate(undertaking, connection, with: Endpoint(range.first, port: connection.remotePort))
        case .name(let name):
            undertaking.state = .resolving
            resolve(name, for: .undertaking(undertaking.key))
        }
    }

    /// The address of a peer that is known by name.
    func resolved(_ undertaking: Undertaking, name: String, _ addresses: [IPAddress]) {
        guard undertaking.state == .resolving, let connection = connectionTable[undertaking.key.connection] else {
            return
        }
        let reached = addresses.filter { output.sourceAddress(towards: $0) != nil }
        let round = turn(of: connection) / max(connection.remoteAddresses.count(where: \.isDestination), 1)
        guard let address = reached.isEmpty ? addresses.first : reached[round % reached.count] else {
            return findsNoWay(
                undertaking,
                Explanation("there is no address for \(name)", remedy: "check the name and the resolver of this host"))
        }
        negotiate(undertaking, connection, with: Endpoint(address, port: connection.remotePort))
    }

    private func negotiate(_ undertaking: Undertaking, _ connection: Connection, with remote: Endpoint) {
        guard let local = localAddress(of: connection, towards: remote.address) else {
            return findsNoWay(
                undertaking,
                Explanation(
                    "there is no route to \(remote.address)", remedy: "check local_addrs and the host's routes"))
        }
        undertaking.state = .negotiating
        undertaking.looks = 0
        // A NAT has the port: it leads to the peer's 4500, which wants to hear from ours (RFC 7296 section 2.23). So does
        // any port but 500: what is sent from 500 has no non-ESP marker.
        let isToInitialPort = remote.port == Session.initialPort
        let isConfigured = remote.port == connection.remotePort
        let port =
            isConfigured && (isToInitialPort || connection.localPort != Session.initialPort)
            ? connection.localPort : Session.encapsulationPort
        let path = Path(local: Endpoint(local, port: port), remote: remote)
        undertaking.path = path
        let (children, calls) = beginning(undertaking, connection, path)
        let first = children.first.flatMap { calls[$0.name] }
        let (session, actions) = Session.initiate(
            connection, children: children, hint: first?.hint, pair: first?.manner.pair, path: path, environment: self)
        let record = SessionRecord(session)
        guard table.add(record) else { return failed(undertaking, Explanation("the random generator repeats itself")) }
        count.initiated += 1
        record.beganAt = now
        record.undertaking = undertaking
        undertaking.sessionID = record.id
        record.predecessor = undertaking.predecessor
        record.begunWith = Set(children.map(\.name))
        record.awaitedChildren = record.begunWith
        record.calls = calls
        apply(actions, of: record)
        scheduleNudge(record)
    }

    /// The children that a negotiation begins with, and how they are asked for: the first goes along with IKE_AUTH in its
    /// own form, those behind it follow in the ordinary one. The others wait for the IKE SA.
    private func beginning(
        _ undertaking: Undertaking, _ connection: Connection, _ path: Path
    ) -> (children: [Child], calls: [String: ChildCall]) {
        var children: [Child] = []
        var calls: [String: ChildCall] = [:]
        for wish in undertaking.wishes {
            guard let child = connection.negotiated.first(where: { $0.name == wish.child }) else { continue }
            var call = call(for: wish, child, of: connection, on: path, in: nil)
            if !children.isEmpty {
                if call.manner.pair != nil { continue }
                call.manner = .plain
            }
            children.append(child)
            calls[child.name] = call
        }
        return (children, calls)
    }

    /// Ours towards a peer.
    func localAddress(of connection: Connection, towards remote: IPAddress) -> IPAddress? {
        connection.localAddress(towards: remote, source: output.sourceAddress)
    }

    /// There is no way to the peer, yet: at a start routes and resolver may be late, and a link may be down. That counts as
    /// no attempt, and is looked at again when the network changes or the name is known, else in 1, 2 and then every 3 seconds.
    private func findsNoWay(_ undertaking: Undertaking, _ explanation: Explanation) {
        guard undertakings[undertaking.key] === undertaking, undertaking.isStanding, !isReplacing(undertaking),
            let connection = connectionTable[undertaking.key.connection], !isShuttingDown
        else { return failed(undertaking, explanation) }
        undertaking.tries -= 1
        if undertaking.looks < .max { undertaking.looks += 1 }
        takeNextTurn(of: connection)
        disappoint(undertaking, explanation)
        pause(undertaking)
        note(
            undertaking.looks == 1 ? .warning : .debug, "waits for a way to the peer: \(explanation)",
            connection: undertaking.key.connection)
    }

    /// The attempt came to nothing.
    func failed(_ undertaking: Undertaking, _ explanation: Explanation) {
        guard undertakings[undertaking.key] === undertaking else { return }
        // A reauthentication leaves the IKE SA that is there.
        if !isReplacing(undertaking) {
            undertaking.backoffInSeconds = backoffs.failed(undertaking.key.connection, explanation.cause, at: now)
        }
        connectionTable[undertaking.key.connection].map(takeNextTurn)
        if undertaking.isOwedAttempt, undertaking.isUnanswered, !isShuttingDown {
            undertaking.isOwedAttempt = false
            return pause(undertaking)
        }
        guard let connection = connectionTable[undertaking.key.connection], !isShuttingDown,
            undertaking.isEndless || hasTries(of: connection, after: undertaking.tries), !isReplacing(undertaking)
        else { return giveUp(undertaking, explanation) }
        // Who waits is not kept waiting forever.
        if undertaking.isEndless || connection.keyingTries == 0 { disappoint(undertaking, explanation) }
        pause(undertaking)
        note(
            .info, "attempt \(undertaking.tries) failed, the next one comes in \(undertaking.pauseInSeconds) s",
            connection: connection.name, path: undertaking.path)
    }

    /// Puts the next attempt off.
    func pause(_ undertaking: Undertaking) {
        let time = after(seconds: undertaking.pauseInSeconds)
        undertaking.state = .waiting(until: time)
        timers.add(.undertaking(undertaking.key), at: time)
    }

    func giveUp(_ undertaking: Undertaking, _ explanation: Explanation) {
        undertakings[undertaking.key] = nil
        if let predecessor = undertaking.predecessor { leaveUnreplaced(predecessor) }
        let isCalled = undertaking.wishes.contains { $0.hint != nil }
        let pause = undertaking.backoffInSeconds.flatMap { isCalled ? "; packets ask again in \($0) s" : nil } ?? ""
        let attempts = undertaking.tries == 1 ? "1 attempt" : "\(undertaking.tries) attempts"
        forgetUnreached(undertaking)
        note(
            .warning, "given up after \(attempts): \(explanation)\(pause)", connection: undertaking.key.connection,
            path: undertaking.path)
        disappoint(undertaking, explanation)
    }

    private func disappoint(_ undertaking: Undertaking, _ explanation: Explanation) {
        settle(connection: undertaking.key.connection, child: nil, .failure(explanation))
        for wish in undertaking.wishes {
            settle(connection: undertaking.key.connection, child: wish.child, .failure(explanation))
        }
    }
}

extension Connection {
    /// Where to begin anew with a peer that was at `endpoint`: at the ordinary port, unless a NAT has chosen another.
    fileprivate func destination(behind endpoint: Endpoint) -> Endpoint {
        [500, 4500].contains(endpoint.port) ? Endpoint(endpoint.address, port: remotePort) : endpoint
    }
}

extension Explanation {
    static func noRemoteAddress(of connection: Connection) -> Explanation {
        Explanation(
            "connection \(connection.name) does not say where the peer is",
            remedy: "set remote_addrs to an address or a name, or wait for the peer to initiate")
    }
}
