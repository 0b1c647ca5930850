import Packets

/// Brings IKE SAs and children up: in the IKE SA that is there, or in a new one. The way of a try: where the peer is → our
/// address towards it → a session with its first children → the other children, once it is established. When it fails there
/// may be another, by `keyingtries`.
///
/// Of a peer that does not answer nobody knows when it, or the way to it, is back. The ordinary repetitions of a request get
/// rarer and rarer, and so do tries; who uses a tunnel should not have to wait for the next one. So while a tunnel is
/// wanted its first requests (IKE_SA_INIT and IKE_AUTH) go out every few seconds, within a limit for all of them.
final class Initiator {
    /// Seconds that one of several addresses of a peer has to answer the first request.
    private static let patienceWithAddress: UInt64 = 8

    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let attempts: ConnectionAttempts
    private let narrowing: Narrowing
    private let replacements: Replacements
    private let driver: SessionDriver
    /// First requests beyond their ordinary repetitions, and tries before their time.
    private var nudges = RateLimiter(perSecond: 50, burst: 200)

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, attempts: ConnectionAttempts,
        narrowing: Narrowing, replacements: Replacements, driver: SessionDriver
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.attempts = attempts
        self.narrowing = narrowing
        self.replacements = replacements
        self.driver = driver
    }

    // MARK: What is wanted

    /// Sees to it that children of a connection come up: in the IKE SA that is there, or in a new one.
    /// - Parameters:
    ///   - remote: where the peer is, when the connection does not say.
    ///   - isUrgent: not to wait for the time of the next try.
    ///   - afterAPause: to wait before the first try.
    ///   - isStanding: the configuration wants it.
    ///   - isEndless: until it is up, where the configuration says where the peer is.
    func bringUp(
        _ connection: Connection, _ wishes: [ConnectionAttempt.Wish], towards remote: Endpoint? = nil,
        isUrgent: Bool = false, afterAPause: Bool = false, isStanding: Bool = false, isEndless: Bool = false
    ) {
        guard !context.isShuttingDown else { return }
        let isEndless = isEndless && connection.hasKnownRemote
        let key = ConnectionAttempt.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : remote)
        let record = usableSession(of: connection, at: key.remote)
        // What is to replace an IKE SA is no concern of who can have that.
        if let attempt = attempts[key], !attempts.isReplacing(attempt) || record == nil {
            attempt.join(wishes, isStanding: isStanding, isEndless: isEndless)
            if isUrgent { hurry(attempt) }
        } else if let record {
            ask(wishes, in: record)
        } else {
            let attempt = ConnectionAttempt(key, wishes, isStanding: isStanding, isEndless: isEndless)
            guard afterAPause else { return begin(attempt) }
            attempts.add(attempt)
            attempts.pause(attempt)
        }
    }

    func begin(_ attempt: ConnectionAttempt) {
        attempts.add(attempt)
        tryNow(attempt)
    }

    /// The newest IKE SA of the connection that can take on children.
    func usableSession(of connection: Connection, at remote: Endpoint?) -> SessionRecord? {
        table.newestSession(of: connection.name) { record in
            record.isEstablished && !record.isUnwanted && record.session.isInUse
                && record.session.connection == connection
                && (remote == nil || record.session.path.remote.address == remote?.address)
        }
    }

    // MARK: A try

    /// The time of the next try has come.
    func tryIfDue(_ key: ConnectionAttempt.Key) {
        if let attempt = attempts[key], attempt.isDue(at: context.now) { tryNow(attempt) }
    }

    private func tryNow(_ attempt: ConnectionAttempt) {
        guard attempt.isWaiting, attempts.isCurrent(attempt) else { return }
        guard let connection = connections[attempt.key.connection], !context.isShuttingDown else {
            return attempts.remove(attempt)
        }
        attempt.beginTry()
        // Where the peer is known to be now, whichever of its addresses that is.
        if let old = attempt.predecessor.flatMap({ table[$0] }), !replacements.isLost(old) {
            return negotiate(attempt, connection, with: connection.destination(behind: old.session.path.remote))
        }
        let destinations = connection.remoteAddresses.filter(\.isDestination)
        if destinations.isEmpty {
            guard let remote = attempt.key.remote else {
                return attempts.giveUp(attempt, .noRemoteAddress(of: connection))
            }
            return negotiate(attempt, connection, with: connection.destination(behind: remote))
        }
        switch destinations[connections.turn(of: connection) % destinations.count] {
        case .range(let range):
            negotiate(attempt, connection, with: Endpoint(range.first, port: connection.remotePort))
        case .name(let name):
            attempt.resolve()
            connections.resolve(name, for: .attempt(attempt.key))
        }
    }

    /// The address of a peer that is known by name.
    func resolved(_ key: ConnectionAttempt.Key, name: String, _ addresses: [IPAddress]) {
        guard let attempt = attempts[key], attempt.state == .resolving,
            let connection = connections[attempt.key.connection]
        else { return }
        let reached = addresses.filter { context.output.sourceAddress(towards: $0) != nil }
        let round =
            connections.turn(of: connection) / max(connection.remoteAddresses.count(where: \.isDestination), 1)
        guard let address = reached.isEmpty ? addresses.first : reached[round % reached.count] else {
            return attempts.findsNoWay(
                attempt,
                Explanation("there is no address for \(name)", remedy: "check the name and the resolver of this host"))
        }
        negotiate(attempt, connection, with: Endpoint(address, port: connection.remotePort))
    }

    private func negotiate(_ attempt: ConnectionAttempt, _ connection: Connection, with remote: Endpoint) {
        guard let local = connections.localAddress(of: connection, towards: remote.address) else {
            return attempts.findsNoWay(
                attempt,
                Explanation(
                    "there is no route to \(remote.address)", remedy: "check local_addrs and the host's routes"))
        }
        let path = Path(local: Endpoint(local, port: connection.sourcePort(towards: remote)), remote: remote)
        attempt.negotiate(on: path)
        let (children, calls) = beginning(attempt, connection, path)
        let first = children.first.flatMap { calls[$0.name] }
        let (session, actions) = Session.initiate(
            connection, children: children, hint: first?.hint, pair: first?.manner.pair, path: path,
            environment: driver.environment)
        let record = SessionRecord(session, beganAt: context.now)
        guard table.add(record) else {
            return attempts.failed(attempt, Explanation("the random generator repeats itself"))
        }
        context.count.initiated += 1
        record.attempt = attempt
        attempt.began(record.id)
        record.replacement.predecessor = attempt.predecessor
        attempt.predecessor.flatMap { table[$0] }?.replacement.successor = record.id
        record.asked.begin(calls)
        driver.apply(actions, of: record)
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
            var call = narrowing.call(for: wish, child, of: connection, on: path, in: nil)
            if !children.isEmpty {
                if call.manner.pair != nil { continue }
                call.manner = .plain
            }
            children.append(child)
            calls[child.name] = call
        }
        return (children, calls)
    }

    // MARK: The outcome of a try

    /// Established: what the session was not told at its beginning follows.
    func established(_ record: SessionRecord) {
        guard let attempt = record.attempt else { return }
        record.attempt = nil
        attempts.remove(attempt)
        ask(attempt.wishes.filter { !record.asked.beganWith($0.child) }, in: record)
    }

    /// The session is over: the next try, or bad news for those who waited.
    func closed(_ record: SessionRecord, _ reason: CloseReason) {
        if let attempt = record.attempt {
            record.attempt = nil
            attempt.ended(isUnanswered: reason == .peerDead)
            return attempts.failed(attempt, attempt.explanation ?? reason.explanation)
        }
        let name = record.session.connection?.name ?? ""
        for child in record.asked.awaited {
            attempts.settle(connection: name, child: child, .failure(reason.explanation))
        }
        if let predecessor = record.replacement.predecessor { replacements.failed(predecessor) }
    }

    // MARK: Children of an IKE SA that is there

    /// Negotiates children in an established IKE SA, those left out that are under way already.
    func ask(_ wishes: [ConnectionAttempt.Wish], in record: SessionRecord) {
        for wish in wishes {
            guard let connection = record.session.connection, record.session.isInUse,
                let child = connection.negotiated.first(where: { $0.name == wish.child }),
                record.asked.want(wish.child)
            else { continue }
            ask(
                narrowing.call(for: wish, child, of: connection, on: record.session.path, in: record), child, in: record
            )
        }
    }

    /// Sends a question for a child that is awaited.
    func ask(_ call: ChildCall, _ child: Child, in record: SessionRecord) {
        guard table[record.id] != nil else { return }
        record.asked.ask(child.name, call)
        driver.apply(
            record.session.create(child, hint: call.hint, pair: call.manner.pair, environment: driver.environment),
            of: record)
    }

    /// A child came up that was asked for so. True: the peer is asked for more.
    func cameUp(_ call: ChildCall, _ sa: ChildSA, in record: SessionRecord) -> Bool {
        let (ended, sequel) = narrowing.cameUp(call, sa, in: record)
        if let ended { driver.end(ended, of: record) }
        switch sequel {
        case .none: return false
        case .ask(let next, let child):
            record.asked.askAgain(child.name, next)
            ask(next, child, in: record)
        case .askLater(let next, let child):
            record.asked.askAgain(child.name, next)
            context.later(.ask(next, child, record))
        }
        return true
    }

    // MARK: Peers that do not answer

    /// For the try that has just begun.
    private func scheduleNudge(_ record: SessionRecord) {
        guard let attempt = record.attempt, record.session.awaitsNegotiation else { return }
        let hasOthers = connections[attempt.key.connection].map { connections.destinations(of: $0) > 1 } ?? false
        guard attempt.isEndless || hasOthers else { return }
        let next = record.lastSentAt + .seconds(ConnectionAttempt.nudgeInSeconds)
        context.wake(
            .nudge(record.id),
            at: next > context.now ? next : context.after(seconds: ConnectionAttempt.nudgeInSeconds))
    }

    /// A first request may be due once more.
    func lookAfterFirstRequest(_ record: SessionRecord) {
        guard let attempt = record.attempt, record.session.awaitsNegotiation,
            let connection = connections[attempt.key.connection]
        else { return }
        if connections.destinations(of: connection) > 1, record.session.awaitsFirstAnswer,
            context.now - record.beganAt >= .seconds(Self.patienceWithAddress)
        {
            return driver.apply(record.session.abandon(.peerDead, environment: driver.environment), of: record)
        }
        nudge(record)
        scheduleNudge(record)
    }

    /// Somebody wants the tunnel: its first request goes out once more, unless it did a moment ago.
    /// - Parameter isThere: the peer was heard: an attempt that waits for its time begins.
    func nudge(_ connection: Connection, isThere: Bool = false) {
        guard let attempt = attempts[ConnectionAttempt.Key(connection: connection.name, remote: nil)] else { return }
        switch attempt.state {
        case .negotiating: nudge(attempt)
        case .waiting: if isThere, attempt.isUnanswered, nudges.allow(at: context.now) { tryNow(attempt) }
        case .resolving: break
        }
    }

    private func nudge(_ attempt: ConnectionAttempt) {
        if let record = attempt.sessionID.flatMap({ table[$0] }) { nudge(record) }
    }

    private func nudge(_ record: SessionRecord) {
        guard record.session.awaitsNegotiation,
            context.now - record.lastSentAt >= .seconds(ConnectionAttempt.nudgeInSeconds),
            nudges.allow(at: context.now)
        else { return }
        driver.apply(record.session.repeatEarly(environment: driver.environment), of: record)
    }

    /// An operator wants it, now: what waits begins, and what is under way is no longer waited for in vain.
    private func hurry(_ attempt: ConnectionAttempt) {
        switch attempt.state {
        case .waiting: tryNow(attempt)
        case .negotiating:
            attempt.oweTry()
            nudge(attempt)
        case .resolving: break
        }
    }

    /// The network has changed: whatever waits for a way, or for an answer, is tried at once.
    func networkChanged() {
        for attempt in attempts.all {
            switch attempt.state {
            case .waiting where attempt.looks > 0: tryNow(attempt)
            case .waiting where attempt.isStanding && attempt.isUnanswered:
                if nudges.allow(at: context.now) { tryNow(attempt) }
            case .negotiating where attempt.isStanding: nudge(attempt)
            default: break
            }
        }
    }

    /// A name is known now: who waits for it goes on.
    func nameResolved(_ name: String) {
        for connection in connections.using(name) {
            for attempt in attempts.all(of: connection.name) where attempt.isLookingForWay { tryNow(attempt) }
        }
    }
}

extension Connection {
    /// The end at which to begin anew with a peer that was at `endpoint`: at the ordinary port, unless a NAT has chosen another.
    fileprivate func destination(behind endpoint: Endpoint) -> Endpoint {
        [IPsecPort.keyExchange, IPsecPort.encapsulation].contains(endpoint.port)
            ? Endpoint(endpoint.address, port: remotePort) : endpoint
    }

    /// Ours for the first request. A NAT has the peer's port when it is not the configured one: it leads to the peer's 4500,
    /// which wants to hear from ours (RFC 7296 section 2.23). So does any port but 500: what is sent from 500 has no non-ESP
    /// marker.
    fileprivate func sourcePort(towards remote: Endpoint) -> UInt16 {
        let isToInitialPort = remote.port == Session.initialPort
        let isConfigured = remote.port == remotePort
        return isConfigured && (isToInitialPort || localPort != Session.initialPort)
            ? localPort : Session.encapsulationPort
    }
}

extension Explanation {
    static func noRemoteAddress(of connection: Connection) -> Explanation {
        Explanation(
            "connection \(connection.name) does not say where the peer is",
            remedy: "set remote_addrs to an address or a name, or wait for the peer to initiate")
    }
}
