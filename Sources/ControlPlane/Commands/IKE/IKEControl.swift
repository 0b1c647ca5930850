import Configuration
import IKEv2
import Logging
import NIOCore
import Packets

/// The questions and orders of commands to the manager of all IKE SAs. Tests have one that answers as they like.
package protocol SessionControl: AnyObject {
    var now: Instant { get }
    var counters: ManagerCounters { get }
    var connections: [Connection] { get }
    var credentials: Credentials { get set }
    var traps: [ChildCover] { get }

    func statuses() -> [IKESAStatus]
    /// The IKE SAs that a filter is about, as far as it is about IKE SAs.
    func statuses(matching filter: SAFilter) -> [IKESAStatus]
    /// Attempts to bring such an IKE SA up that have no IKE SA at the moment.
    func waitingAttempts(matching filter: SAFilter) -> Int
    func load(_ connections: [Connection], replacingAll: Bool, at now: Instant)
    func unload(_ name: String, at now: Instant) -> Bool
    func initiate(
        connection: String?, child: String?, at now: Instant, outcome: @escaping (Result<Void, Explanation>) -> Void)
    func terminate(
        _ filter: SAFilter, force: Bool, at now: Instant, outcome: @escaping (Result<Int, Explanation>) -> Void)
    func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: Instant) -> Int
    func install(connection: String?, child: String, at now: Instant) -> Result<Void, Explanation>
    func uninstall(connection: String?, child: String, at now: Instant) -> Bool
}

extension SessionControl {
    package func statuses(matching filter: SAFilter) -> [IKESAStatus] {
        statuses().filter(SAFilter(connection: filter.connection, ikeID: filter.ikeID).matches)
    }

    package func waitingAttempts(matching filter: SAFilter) -> Int { 0 }
}

extension SessionManager: SessionControl {}

extension SAFilter {
    /// Whether the filter means this IKE SA, or one of its children.
    func matches(_ ike: IKESAStatus) -> Bool {
        if let connection, connection != ike.connectionName { return false }
        if let ikeID, ikeID != ike.id { return false }
        return !isAboutChildren || ike.children.contains(where: matches)
    }

    /// Whether a child of an IKE SA that matches is meant, as far as the filter is about children.
    func matches(_ status: ChildSAStatus) -> Bool {
        if let child, child != status.sa.child.name { return false }
        if let childID, childID != status.sa.id { return false }
        return true
    }

    /// The number of SAs that the filter means: CHILD_SAs if it is about them, else IKE SAs.
    func count(in statuses: [IKESAStatus]) -> Int {
        let matching = statuses.filter(matches)
        return isAboutChildren
            ? matching.reduce(0) { $0 + $1.children.count(where: matches) } : matching.count
    }
}

/// The state that the commands of IKE work on, and the way of the manager's events to the clients of the control socket.
///
/// Whoever runs the manager makes one with it, hands it every `ManagerEvent` (`report`), and loads configurations through
/// it; `IKECommands.register` makes it reachable. For the control event loop only.
package final class IKEControl {
    let manager: any SessionControl
    let hub: EventHub
    /// All credentials in use; every change goes to the manager at once.
    var credentials = CredentialStore() {
        didSet { manager.credentials = credentials.merged }
    }
    /// Reads the configuration file again, as SIGHUP does, and on another thread: files may be large or far away. nil:
    /// there is none.
    package var reload: (() -> EventLoopFuture<Void>)?
    /// The limits of proposals that come over the control socket.
    let proposalRules: ProposalRules
    /// The faults of the configuration.
    package internal(set) var faults = ConfigurationFaults()
    var counters = ExchangeCounters()
    /// Connections that came over the control socket, and that the configuration file does not have.
    private var ownConnections: Set<String> = []
    /// The connections of the configuration file.
    private var fileConnections: Set<String> = []
    private var watchers: [UInt64: Watcher] = [:]
    private var lastWatcher: UInt64 = 0
    private let logger: Logger?
    private let clock: () -> Instant

    /// - `logger`: gets what commands do; what the manager reports is logged by others.
    /// - `proposalRules`: what proposals may name that come over the control socket.
    /// - `clock`: the manager's.
    package init(
        manager: any SessionControl, hub: EventHub, logger: Logger? = nil,
        proposalRules: ProposalRules = ProposalRules(), clock: @escaping () -> Instant
    ) {
        self.proposalRules = proposalRules
        self.manager = manager
        self.hub = hub
        self.logger = logger
        self.clock = clock
    }

    var now: Instant { clock() }

    /// Replaces all connections and credentials of the configuration file. What came over the control socket stays, unless
    /// the file has the same. What has not changed keeps its SAs; where some of the file's credentials cannot be read, those of
    /// before are kept beside the others.
    package func load(_ configuration: SwanctlConfiguration) {
        faults = ConfigurationFaults(file: configuration.errors)
        let keeps = configuration.lacksCredentials && !credentials.isEmpty
        credentials.replaceFile(with: configuration.credentials, keepingOthers: keeps)
        if keeps { log(0, "secrets, keys and certificates of before are kept too, as some of the file cannot be read") }
        fileConnections = Set(configuration.connections.map(\.name))
        ownConnections.subtract(fileConnections)
        let kept = manager.connections.filter { ownConnections.contains($0.name) }
        manager.load(configuration.connections + kept, replacingAll: true, at: now)
    }

    /// The file could not be read again: all stays as it was.
    package func keep(for errors: ConfigurationErrors) { faults.file = errors.errors }

    /// Loads a connection as it came over the control socket; throws its errors, which are kept.
    func load(_ outcome: ConnectionTranslation.Outcome) throws(Problem) {
        let connection = outcome.connection
        faults.set(outcome.errors, connection: connection.name)
        if !fileConnections.contains(connection.name) { ownConnections.insert(connection.name) }
        manager.load([connection], replacingAll: false, at: now)
        guard !outcome.errors.isEmpty else {
            log(1, "connection \(connection.name) is loaded over the control socket")
            return
        }
        let refused = [connection].refusedParts.joined(separator: ", ")
        for error in outcome.errors { log(0, "\(error)") }
        log(0, "not served for these errors: \(refused)")
        throw Problem(
            "\(ConfigurationErrors(outcome.errors))\nnot served for these errors, and closed or as before: \(refused)")
    }

    /// False: there is none of that name.
    func unload(_ name: String) -> Bool {
        ownConnections.remove(name)
        faults.remove(connection: name)
        return manager.unload(name, at: now)
    }

    /// Passes on what the manager reports; called with everything.
    package func report(_ event: ManagerEvent) {
        counters.count(event, knownConnections: manager.connections)
        if let (name, message) = SessionEvents.message(event, now: now) {
            hub.broadcast(name, message)
        }
        watchers = watchers.filter { $0.value.session.isConnected }
        guard !watchers.isEmpty || hub.isWanted(EventLine.event) else { return }
        for line in EventLine.lines(event) {
            for watcher in watchers.values where watcher.wants(line, of: event.ike) {
                watcher.session.emit(EventLine.controlEvent, line.message)
            }
            publish(line)
        }
    }

    /// A line of the daemon itself: what a command does, or with level 0, a warning.
    package func log(_ level: Int, _ text: String) {
        logger?.log(level: level == 0 ? .warning : .info, "\(text)")
        publish(EventLine(group: .configuration, level: level, text: text))
    }

    /// Debugging lines are not for everybody: they are too many.
    private func publish(_ line: EventLine) {
        if line.level <= 1 { hub.broadcast(EventLine.event, line.message) }
    }

    // MARK: - Running commands

    /// A command that waits, and shows its client what happens meanwhile.
    struct Watcher {
        var session: VICISession
        /// The highest level of lines that the client wants.
        var level: Int
        /// Whether an IKE SA is what the command is about.
        var isAbout: (IKESAStatus) -> Bool

        func wants(_ line: EventLine, of ike: IKESAStatus) -> Bool { line.level <= level && isAbout(ike) }
    }

    /// Begins to stream `control-log`; the number is for `unwatch`.
    func watch(_ watcher: Watcher) -> UInt64 {
        lastWatcher += 1
        watchers[lastWatcher] = watcher
        return lastWatcher
    }

    var watcherCount: Int { watchers.count }

    func unwatch(_ number: UInt64) {
        watchers[number] = nil
    }
}

/// The faults of the loaded configuration: errors of the file, and of connections that came over the control socket
/// since.
package struct ConfigurationFaults: Sendable {
    var file: [Problem]
    private var connections: [(name: String, errors: [Problem])] = []

    init(file: [Problem] = []) { self.file = file }

    /// The faults in the order in which they came.
    package var errors: [Problem] { file + connections.flatMap(\.errors) }

    /// Replaces the errors of a connection that came over the control socket.
    mutating func set(_ errors: [Problem], connection: String) {
        remove(connection: connection)
        if !errors.isEmpty { connections.append((connection, errors)) }
    }

    mutating func remove(connection: String) { connections.removeAll { $0.name == connection } }
}
