import IPsec
import Packets
import Platform

/// All IKE SAs of the gateway, and what starts, finds and ends them. Pure: datagrams, events and a clock go in, calls of
/// `ChildDataplane` and `ManagerOutput` come out. Used on one thread.
///
/// This is the table of contents: every entry sets the clock, hands the event to the part that it is for, and then does what
/// follows from it.
///
///     a datagram             Receiver ─► Admission, Session ─► SessionDriver ─► ChildInstaller, SessionReports
///     a time                 the part whose timer it is
///     an event of packets    Demand (there is no SA), Doubts (nothing comes back), Session (limits, addresses)
///     a configuration        ConnectionLoader ─► Covers, Initiator
///     a command              Commands ─► ConnectionAttempts, Initiator, SessionDriver
///
/// Each part knows only those that it calls, which never call it back: what concerns parts above is left as a `FollowUp`.
package final class SessionManager {
    let table = SessionTable()
    let attempts: ConnectionAttempts
    let terminations = Terminations()
    private let context: ManagerContext
    let environment: ManagerEnvironment
    private let knownConnections: Connections
    let installer: ChildInstaller
    private let covers: Covers
    private let admission: Admission
    private let memory = TunnelMemory()
    private let reports: SessionReports
    private let driver: SessionDriver
    private let replacements: Replacements
    private let keepalives: Keepalives
    private let initiator: Initiator
    private let doubts: Doubts
    private let receiver: Receiver
    private let demand: Demand
    private let recovery: Recovery
    private let reauthentication: Reauthentication
    private let loader: ConnectionLoader
    private let commands: Commands
    /// Entries under way: outcomes of commands may lead to other commands.
    private var depth = 0

    /// - `now`: the moment of the call, as in all calls.
    /// - `wallClock`: seconds since 1970, for certificates.
    /// - `processorTime`: nanoseconds that the calling thread has worked; what strangers cost is measured by it.
    package init(
        settings: ProtocolSettings, dataplane: any ChildDataplane, output: any ManagerOutput, now: Instant,
        wallClock: @escaping () -> Int64, processorTime: @escaping () -> UInt64 = SystemClock.ofThread
    ) {
        let requestIDs = RequestIDs(reserved: dataplane.reservedRequestIDs)
        let backoffs = BackoffTable()
        let peerCalls = PeerCalls()
        context = ManagerContext(settings: settings, output: output, now: now)
        knownConnections = Connections(output: output)
        installer = ChildInstaller(context: context, table: table, dataplane: dataplane, requestIDs: requestIDs)
        covers = Covers(
            context: context, connections: knownConnections, dataplane: dataplane, requestIDs: requestIDs)
        environment = ManagerEnvironment(
            context: context, table: table, installer: installer, requestIDs: requestIDs, clock: wallClock)
        admission = Admission(
            context: context, table: table, connections: knownConnections, processorTime: processorTime)
        keepalives = Keepalives(context: context)
        replacements = Replacements(context: context, table: table, installer: installer)
        attempts = ConnectionAttempts(
            context: context, table: table, connections: knownConnections, backoffs: backoffs, memory: memory,
            replacements: replacements)
        let narrowing = Narrowing(
            context: context, table: table, connections: knownConnections, installer: installer, covers: covers,
            backoffs: backoffs)
        reports = SessionReports(
            context: context, table: table, connections: knownConnections, installer: installer,
            admission: admission, covers: covers, backoffs: backoffs, narrowing: narrowing, memory: memory,
            peerCalls: peerCalls, terminations: terminations, replacements: replacements, keepalives: keepalives)
        driver = SessionDriver(
            environment: environment, context: context, table: table, connections: knownConnections,
            installer: installer, admission: admission, reports: reports, attempts: attempts,
            terminations: terminations, replacements: replacements, keepalives: keepalives)
        initiator = Initiator(
            context: context, table: table, connections: knownConnections, attempts: attempts,
            narrowing: narrowing, replacements: replacements, driver: driver)
        doubts = Doubts(context: context, table: table, installer: installer, driver: driver)
        receiver = Receiver(
            context: context, table: table, connections: knownConnections, admission: admission, driver: driver,
            doubts: doubts)
        demand = Demand(
            context: context, table: table, connections: knownConnections, installer: installer, covers: covers,
            backoffs: backoffs, memory: memory, peerCalls: peerCalls, attempts: attempts, initiator: initiator)
        recovery = Recovery(
            context: context, connections: knownConnections, installer: installer, covers: covers,
            initiator: initiator)
        reauthentication = Reauthentication(
            context: context, table: table, connections: knownConnections, installer: installer,
            attempts: attempts, replacements: replacements, driver: driver, initiator: initiator)
        loader = ConnectionLoader(
            context: context, table: table, connections: knownConnections, requestIDs: requestIDs, covers: covers,
            backoffs: backoffs, narrowing: narrowing, memory: memory, peerCalls: peerCalls, attempts: attempts,
            driver: driver, initiator: initiator, recovery: recovery)
        commands = Commands(
            context: context, table: table, connections: knownConnections, installer: installer,
            backoffs: backoffs, memory: memory, peerCalls: peerCalls, attempts: attempts,
            terminations: terminations, driver: driver, initiator: initiator, reauthentication: reauthentication)
    }

    package var settings: ProtocolSettings { context.settings }
    var leases: AddressLeases { context.leases }
    package var now: Instant { context.now }

    package var credentials: Credentials {
        get { environment.credentials }
        set {
            environment.credentials = newValue
            knownConnections.credentialsChanged()
        }
    }

    // MARK: - Messages

    /// One IKE message as it arrived, without a non-ESP marker.
    package func receive(_ datagram: [UInt8], path: Path, at now: Instant) {
        run(at: now) { receiver.receive(datagram, path: path) }
    }

    /// The answer to a question that `ManagerOutput.ask` was given.
    package func answered(_ id: QuestionID, _ answer: Answer, at now: Instant) {
        run(at: now) { driver.answered(id, answer) }
    }

    /// Whether messages from an address come before those of strangers.
    package func isKnown(_ address: IPAddress) -> Bool { admission.standing(of: address) == .known }

    /// All addresses that are known, in no order.
    package var knownAddresses: Set<IPAddress> { knownConnections.namedAddresses.union(table.establishedAddresses) }

    /// Changes whenever `knownAddresses` may have changed.
    package var knownAddressesVersion: UInt64 { knownConnections.version &+ table.addressChanges }

    // MARK: - Time

    /// Does what is due. To be called at `nextDeadline`, or every 10 ms: it costs nothing when nothing is due.
    package func advance(to now: Instant) {
        run(at: now) {
            while let timer = context.nextDueTimer() { fire(timer) }
        }
    }

    /// The time at which there is something to do next; nil: when something comes.
    package var nextDeadline: Instant? { context.nextDeadline }

    var timerCount: Int { context.timerCount }

    private func fire(_ timer: ManagerTimer) {
        switch timer {
        case .session(let id): table[id].map(driver.deadlineReached)
        case .keepalive(let id): table[id].map(keepalives.isDue)
        case .reauthenticate(let id): table[id].map(reauthentication.isDue)
        case .supersede(let id): if let record = table[id] { driver.end(record, .superseded) }
        case .drain(let spi): driver.drained(spi)
        case .takeOver(let spi): driver.takeOver(spi)
        case .addresses: covers.lookForAddresses()
        case .nudge(let id): table[id].map(initiator.lookAfterFirstRequest)
        case .doubt(let id):
            if let record = table[id], let since = doubts.look(at: record) {
                reauthentication.replaceSilent(record, since: since)
            }
        case .restart(let name, let remote): recovery.restart(name, towards: remote)
        case .attempt(let key): initiator.tryIfDue(key)
        }
    }

    /// Sessions that are gone leave their timers behind. They are swept out when they are most of the queue.
    private func sweepTimers() {
        guard context.timerCount > 1024, context.timerCount > 8 * (table.count + installer.count) else { return }
        context.keepTimers { timer in
            switch timer {
            case .session(let id), .keepalive(let id), .reauthenticate(let id), .supersede(let id), .nudge(let id),
                .doubt(let id):
                table[id] != nil
            case .drain(let spi), .takeOver(let spi): installer.isInstalled(spi)
            case .attempt(let key): attempts[key] != nil
            case .restart(let name, _): recovery.isWaiting(name)
            case .addresses: true
            }
        }
    }

    // MARK: - Events of packets, network and names

    /// The dataplane wants something.
    package func handle(_ event: DataplaneEvent, at now: Instant) {
        run(at: now) {
            switch event {
            case .acquire(let requestID, let packet): demand.acquire(requestID, packet)
            case .softLimit(let spi):
                guard let (sa, record) = installer.find(spi) else { return }
                driver.apply(
                    record.session.rekeyChild(id: sa.id, isDue: true, environment: environment), of: record)
            case .hardLimit(let spi):
                guard let (sa, record) = installer.find(spi) else { return }
                let text = "CHILD_SA \(sa.child.name) has reached a hard limit and is deleted"
                context.report(ManagerEvent(ike: record.brief, event: .note(.warning, text)))
                driver.apply(record.session.expireChild(id: sa.id, environment: environment), of: record)
            case .mappingChanged(let spi, let remote):
                guard let (sa, record) = installer.find(spi), record.session.path.remote != remote else { return }
                var path = Path(local: sa.path.local, remote: remote)
                // A peer that has kept IKE on port 500 sends ESP in UDP to 4500 all the same.
                if path.local.port == Session.initialPort { path.local.port = Session.encapsulationPort }
                driver.apply(record.session.follow(path, environment: environment), of: record)
            case .unknownSPI(_, let address): demand.unknownESP(from: address)
            case .unanswered(let spi):
                if let (_, record) = installer.find(spi) { doubts.packetsAreUnanswered(record) }
            }
        }
    }

    /// The host's addresses or routes have changed: what waited for that is tried again.
    /// - `localAddresses`: all of the host's; nil: not known.
    package func networkChanged(_ localAddresses: Set<IPAddress>? = nil, at now: Instant) {
        run(at: now) {
            covers.networkChanged()
            if let localAddresses { reauthentication.replaceLostAddresses(localAddresses) }
            initiator.networkChanged()
        }
    }

    /// The answer to `ManagerOutput.resolve`; empty: there is none.
    package func resolved(_ addresses: [IPAddress], request: UInt64, at now: Instant) {
        run(at: now) {
            guard let answer = knownConnections.answer(request, addresses) else { return }
            if !addresses.isEmpty {
                covers.nameResolved(answer.name)
                initiator.nameResolved(answer.name)
            }
            if case .attempt(let key) = answer.purpose {
                initiator.resolved(key, name: answer.name, addresses)
            }
        }
    }

    // MARK: - Configuration

    /// All that are loaded, in the order in which they came.
    package var connections: [Connection] { knownConnections.all }

    /// Loads connections; one of the same name is replaced. What has not changed keeps its SAs.
    /// - `replacingAll`: connections that are not among these are unloaded.
    package func load(_ connections: [Connection], replacingAll: Bool, at now: Instant) {
        run(at: now) { loader.load(connections, replacingAll: replacingAll) }
    }

    /// Takes a connection out, with its SAs and traps. False: there is none of that name.
    package func unload(_ name: String, at now: Instant) -> Bool { run(at: now) { loader.unload(name) } }

    /// The covers of children with traps.
    package var traps: [ChildCover] { covers.traps }

    /// Lets packets of a child call for it, as `start_action = trap` does.
    package func install(connection: String?, child: String, at now: Instant) -> Result<Void, Explanation> {
        run(at: now) {
            switch knownConnections.find(connection: connection, child: child) {
            case .failure(let why): .failure(why)
            case .success((let connection, let child?)): covers.setTrap(child, of: connection)
            case .success: .failure(Explanation("there is no child \(child)"))
            }
        }
    }

    /// Takes the traps of a child away; what it covers stays covered. False: there was none.
    package func uninstall(connection: String?, child: String, at now: Instant) -> Bool {
        run(at: now) { covers.removeTraps(connection: connection, child: child) }
    }

    /// The tunnels that are up, or are to come up again, for whoever keeps them over a restart.
    package var rememberedTunnels: Set<RememberedTunnel> { memory.tunnels }

    /// Changes with them.
    package var rememberedVersion: UInt64 { memory.version }

    /// Takes the tunnels that were up when the gateway ended. Each is set up again when its connection is loaded, whatever
    /// `start_action` says.
    package func restore(_ tunnels: [RememberedTunnel]) { memory.restore(tunnels) }

    /// The configuration is complete: what it does not name has no tunnel to come back.
    package func forgetUnloadedTunnels(at now: Instant) {
        run(at: now) {
            memory.keep { knownConnections.child($0.child, of: $0.connection) != nil }
        }
    }

    // MARK: - Commands

    /// Negotiates a CHILD_SA, or, without a child's name, an IKE SA. With a child's name only, the first connection that
    /// has it is meant. `outcome` is called once: when it is up (at once when it is already), or with the reason why it
    /// is not. With endless `keyingtries` the first failure is the outcome, and the tries go on.
    package func initiate(
        connection: String?, child: String?, at now: Instant, outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        run(at: now) { commands.initiate(connection: connection, child: child, outcome) }
    }

    /// Ends all SAs that match. `outcome` is called once, with their number, when they are gone. Attempts to bring such
    /// an IKE SA up end too.
    /// - `force`: without waiting for the peers' answers.
    package func terminate(
        _ filter: SAFilter, force: Bool, at now: Instant, outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        run(at: now) { commands.terminate(filter, force: force, outcome) }
    }

    /// Begins to rekey all SAs that match, or to reauthenticate their IKE SAs; the number of them.
    package func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: Instant) -> Int {
        run(at: now) { commands.rekey(filter, reauthenticate: reauthenticate) }
    }

    /// Deletes all SAs at their peers; nothing new begins. What children cover stays covered to the end. Over when
    /// `counters.sessions` is 0.
    package func shutDown(at now: Instant) { run(at: now) { commands.shutDown() } }

    package var counters: ManagerCounters {
        var counters = context.count
        counters.halfOpen = table.halfOpen.total
        counters.sessions = table.count
        return counters
    }

    /// All IKE SAs. What is left of a peer that was refused is none.
    package func statuses() -> [IKESAStatus] { statuses(matching: SAFilter()) }

    /// The same of those that a filter is about, as far as it is about sessions.
    package func statuses(matching filter: SAFilter) -> [IKESAStatus] {
        commands.matching(filter).map(reports.status(of:))
    }

    /// Attempts that a filter is about and that have no session: they wait for their time, or for a name.
    package func waitingAttempts(matching filter: SAFilter) -> Int { commands.waitingAttempts(matching: filter) }

    // MARK: - What follows

    /// Every entry runs in this: the clock is set, and what follows from sessions' actions is done once the actions
    /// themselves are.
    private func run<Result>(at time: Instant, _ body: () -> Result) -> Result {
        context.advance(to: time)
        depth += 1
        let result = body()
        if depth == 1 {
            var next = context.takeFollowUps()
            while !next.isEmpty {
                for followUp in next { perform(followUp) }
                next = context.takeFollowUps()
            }
            sweepTimers()
        }
        depth -= 1
        return result
    }

    private func perform(_ followUp: FollowUp) {
        switch followUp {
        case .established(let record, let earlier, let initialContact):
            guard table[record.id] != nil, loader.adopt(record) else { return }
            reauthentication.replaceEarlier(earlier, by: record, initialContact: initialContact)
            initiator.established(record)
            attempts.settle(connection: record.session.connection?.name ?? "", child: nil, .success(()))
            reauthentication.finish(record)
        case .closed(let record, let reason):
            reauthentication.closed(record, reason)
            initiator.closed(record, reason)
        case .childUp(let sa, let record, let call):
            if call.map({ initiator.cameUp($0, sa, in: record) }) != true {
                let outcome = call?.failure.map { Result<Void, Explanation>.failure($0) } ?? .success(())
                attempts.settle(connection: sa.connectionName, child: sa.child.name, outcome)
            }
            // The configuration of the child may have changed while the SA was negotiated.
            if knownConnections[sa.connectionName]?.children.contains(sa.child) == false {
                driver.end(sa, of: record)
            }
            reauthentication.finish(record)
        case .childFailed(let name, let outcome, let record):
            attempts.settle(connection: record.session.connection?.name ?? "", child: name, outcome)
            reauthentication.finish(record)
        case .childClosed(let sa, let child, let record): recovery.childClosed(sa, child, of: record)
        case .childLost(let sa, let record, let reason): recovery.sessionClosed(sa, of: record, reason)
        case .notInstalled(let sa, let record, let why): driver.notInstalled(sa, of: record, why)
        case .endChild(let sa, let record): driver.end(sa, of: record)
        case .end(let record): driver.end(record, .terminated)
        case .ask(let call, let child, let record): initiator.ask(call, child, in: record)
        case .successorWanted(let record, let names):
            reauthentication.successorIsWanted(of: record, children: names)
        }
    }
}
