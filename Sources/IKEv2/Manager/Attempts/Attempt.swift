import Packets

// One try of an attempt: where the peer is → our address towards it → a session. When it fails there may be
// another, by `keyingtries`.
extension SessionManager {
    func tryNow(_ attempt: ConnectionAttempt) {
        guard case .waiting = attempt.state, attempts[attempt.key] === attempt else { return }
        guard let connection = connectionTable[attempt.key.connection], !isShuttingDown else {
            attempts[attempt.key] = nil
            return
        }
        attempt.explanation = nil
        let destinations = connection.remoteAddresses.filter(\.isDestination)
        attempt.isUnanswered = false
        if attempt.tries < .max { attempt.tries += 1 }
        // Where the peer is known to be now, whichever of its addresses that is.
        if let old = attempt.predecessor.flatMap({ table[$0] }), !isLost(old) {
            return negotiate(attempt, connection, with: connection.destination(behind: old.session.path.remote))
        }
        if destinations.isEmpty {
            guard let remote = attempt.key.remote else {
                return giveUp(attempt, .noRemoteAddress(of: connection))
            }
            return negotiate(attempt, connection, with: connection.destination(behind: remote))
        }
        switch destinations[turn(of: connection) % destinations.count] {
        case .range(let range):
            negotiate(attempt, connection, with: Endpoint(range.first, port: connection.remotePort))
        case .name(let name):
            attempt.state = .resolving
            resolve(name, for: .tryNow(attempt.key))
        }
    }

    /// The address of a peer that is known by name.
    func resolved(_ attempt: ConnectionAttempt, name: String, _ addresses: [IPAddress]) {
        guard attempt.state == .resolving, let connection = connectionTable[attempt.key.connection] else {
            return
        }
        let reached = addresses.filter { output.sourceAddress(towards: $0) != nil }
        let round = turn(of: connection) / max(connection.remoteAddresses.count(where: \.isDestination), 1)
        guard let address = reached.isEmpty ? addresses.first : reached[round % reached.count] else {
            return findsNoWay(
                attempt,
                Explanation("there is no address for \(name)", remedy: "check the name and the resolver of this host"))
        }
        negotiate(attempt, connection, with: Endpoint(address, port: connection.remotePort))
    }

    private func negotiate(_ attempt: ConnectionAttempt, _ connection: Connection, with remote: Endpoint) {
        guard let local = localAddress(of: connection, towards: remote.address) else {
            return findsNoWay(
                attempt,
                Explanation(
                    "there is no route to \(remote.address)", remedy: "check local_addrs and the host's routes"))
        }
        attempt.state = .negotiating
        attempt.looks = 0
        // A NAT has the port: it leads to the peer's 4500, which wants to hear from ours (RFC 7296 section 2.23). So does
        // any port but 500: what is sent from 500 has no non-ESP marker.
        let isToInitialPort = remote.port == Session.initialPort
        let isConfigured = remote.port == connection.remotePort
        let port =
            isConfigured && (isToInitialPort || connection.localPort != Session.initialPort)
            ? connection.localPort : Session.encapsulationPort
        let path = Path(local: Endpoint(local, port: port), remote: remote)
        attempt.path = path
        let (children, calls) = beginning(attempt, connection, path)
        let first = children.first.flatMap { calls[$0.name] }
        let (session, actions) = Session.initiate(
            connection, children: children, hint: first?.hint, pair: first?.manner.pair, path: path, environment: self)
        let record = SessionRecord(session)
        guard table.add(record) else { return failed(attempt, Explanation("the random generator repeats itself")) }
        count.initiated += 1
        record.beganAt = now
        record.attempt = attempt
        attempt.sessionID = record.id
        record.predecessor = attempt.predecessor
        record.begunWith = Set(children.map(\.name))
        record.awaitedChildren = record.begunWith
        record.calls = calls
        apply(actions, of: record)
        scheduleNudge(record)
    }

    /// The children that a negotiation begins with, and how they are asked for: the first goes along with IKE_AUTH in its
    /// own form, those behind it follow in the ordinary one. The others wait for the IKE SA.
    private func beginning(
        _ attempt: ConnectionAttempt, _ connection: Connection, _ path: Path
    ) -> (children: [Child], calls: [String: ChildCall]) {
        var children: [Child] = []
        var calls: [String: ChildCall] = [:]
        for wish in attempt.wishes {
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
    private func findsNoWay(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        guard attempts[attempt.key] === attempt, attempt.isStanding, !isReplacing(attempt),
            let connection = connectionTable[attempt.key.connection], !isShuttingDown
        else { return failed(attempt, explanation) }
        attempt.tries -= 1
        if attempt.looks < .max { attempt.looks += 1 }
        takeNextTurn(of: connection)
        disappoint(attempt, explanation)
        pause(attempt)
        note(
            attempt.looks == 1 ? .warning : .debug, "waits for a way to the peer: \(explanation)",
            connection: attempt.key.connection)
    }

    /// The attempt came to nothing.
    func failed(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        guard attempts[attempt.key] === attempt else { return }
        // A reauthentication leaves the IKE SA that is there.
        if !isReplacing(attempt) {
            attempt.backoffInSeconds = backoffs.failed(attempt.key.connection, explanation.cause, at: now)
        }
        connectionTable[attempt.key.connection].map(takeNextTurn)
        if attempt.isOwedAttempt, attempt.isUnanswered, !isShuttingDown {
            attempt.isOwedAttempt = false
            return pause(attempt)
        }
        guard let connection = connectionTable[attempt.key.connection], !isShuttingDown,
            attempt.isEndless || hasTries(of: connection, after: attempt.tries), !isReplacing(attempt)
        else { return giveUp(attempt, explanation) }
        // Who waits is not kept waiting forever.
        if attempt.isEndless || connection.keyingTries == 0 { disappoint(attempt, explanation) }
        pause(attempt)
        note(
            .info, "attempt \(attempt.tries) failed, the next one comes in \(attempt.pauseInSeconds) s",
            connection: connection.name, path: attempt.path)
    }

    /// Puts the next attempt off.
    func pause(_ attempt: ConnectionAttempt) {
        let time = after(seconds: attempt.pauseInSeconds)
        attempt.state = .waiting(until: time)
        timers.add(.tryNow(attempt.key), at: time)
    }

    func giveUp(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        attempts[attempt.key] = nil
        if let predecessor = attempt.predecessor { leaveUnreplaced(predecessor) }
        let isCalled = attempt.wishes.contains { $0.hint != nil }
        let pause = attempt.backoffInSeconds.flatMap { isCalled ? "; packets ask again in \($0) s" : nil } ?? ""
        let attempts = attempt.tries == 1 ? "1 attempt" : "\(attempt.tries) attempts"
        forgetUnreached(attempt)
        note(
            .warning, "given up after \(attempts): \(explanation)\(pause)", connection: attempt.key.connection,
            path: attempt.path)
        disappoint(attempt, explanation)
    }

    private func disappoint(_ attempt: ConnectionAttempt, _ explanation: Explanation) {
        settle(connection: attempt.key.connection, child: nil, .failure(explanation))
        for wish in attempt.wishes {
            settle(connection: attempt.key.connection, child: wish.child, .failure(explanation))
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
