import Configuration
import IKEv2
import Logging
import NIOCore
import Packets

/// IKE as it runs: the session manager with its sockets, its clock and its log. Belongs to one event loop; every call is
/// made there.
package final class IKEService {
    /// Options for setting IKE up. All else is the configuration's.
    package struct Options: Hashable, Sendable {
        package var settings = ProtocolSettings()
        package var ports = IKEPorts()
        /// Local addresses to listen on, at most one of each family; none: all.
        package var addresses: [IPAddress] = []
        /// `--ike-keylog`.
        package var keyLog: String?
        /// `--state`.
        package var stateDirectory: String?
        /// The rules for proposals that come over the control socket.
        package var proposalRules = ProposalRules()

        package init() {}
    }

    package typealias Observer = (ManagerEvent) -> Void
    /// Names an observer.
    package struct ObserverToken: Hashable {
        fileprivate let token: EventObservers.Token
    }

    package let manager: SessionManager
    /// The object that the commands of the control socket work on (`IKECommands.register`).
    package let control: IKEControl
    private let output: IKEOutput
    private let clock: () -> Instant
    private let eventLoop: any EventLoop
    private var knownVersion: UInt64 = 0
    private var knownAt: Instant = 0
    private let tunnelFile: TunnelFile?
    private var rememberedVersion: UInt64 = 0
    /// Called with all addresses of peers that are known, when they change.
    package var knownChanged: (Set<IPAddress>) -> Void = { _ in }

    /// Opens the sockets; datagrams are read from `start` on. Throws when a port or the key log cannot be had.
    ///
    /// - `clock`: the dataplane's.
    /// - `wallClock`: seconds since 1970.
    /// - `interface`: the way out to a peer to which the kernel's routes would lead through a tunnel; 0: they are right.
    /// - `needsNeighbour`: whether an address lies on a link of this host, and is no neighbour that is known.
    package init(
        _ options: Options, dataplane: any ChildDataplane, clock: @escaping () -> Instant,
        wallClock: @escaping () -> Int64, interface: @escaping (IPAddress) -> UInt32 = { _ in 0 },
        needsNeighbour: @escaping (IPAddress) -> Bool = { _ in false }, eventLoop: any EventLoop, logger: Logger
    ) throws {
        let sockets = try IKESockets(
            ports: options.ports, addresses: options.addresses, interface: interface, logger: logger)
        var keyLog: KeyLogFile?
        if let path = options.keyLog {
            keyLog = try KeyLogFile(path: path)
            logger.warning(
                """
                keys of all SAs are written to \(path) and \(path).esp: who reads them can decrypt the tunnels; \
                remove the files, and --ike-keylog, when done
                """)
        }
        self.clock = clock
        self.eventLoop = eventLoop
        tunnelFile = options.stateDirectory.map { TunnelFile(directory: $0, eventLoop: eventLoop, logger: logger) }
        output = IKEOutput(
            sockets: sockets, dataplane: dataplane, keyLog: keyLog, needsNeighbour: needsNeighbour, clock: clock,
            eventLoop: eventLoop, logger: logger)
        manager = SessionManager(
            settings: options.settings, dataplane: dataplane, output: output, now: clock(), wallClock: wallClock)
        if let tunnelFile { manager.restore(tunnelFile.read()) }
        rememberedVersion = manager.rememberedVersion
        control = IKEControl(
            manager: manager, hub: EventHub(on: eventLoop), logger: logger, proposalRules: options.proposalRules,
            clock: clock)
        _ = output.observers.add { [weak control] event in control?.report(event) }
        output.resolved = { [weak self] addresses, request in
            guard let self else { return }
            manager.resolved(addresses, request: request, at: now)
        }
        logger.info("IKE listens", metadata: ["sockets": "\(sockets.names.joined(separator: ", "))"])
    }

    /// The clock that all calls of the manager are to be made with.
    package var now: Instant { clock() }

    /// Datagrams of the sockets.
    package var datagrams: IKEDatagramCounters { output.sockets.counters }

    /// Begins to read datagrams.
    package func start() {
        output.sockets.start(on: eventLoop, clock: clock) { [weak self] message, path in
            guard let self else { return }
            manager.receive(message, path: path, at: now)
        }
        tellKnown()
    }

    /// Tells the kernel whose datagrams come first, when that has changed.
    private func tellKnown() {
        guard manager.knownAddressesVersion != knownVersion else { return }
        knownVersion = manager.knownAddressesVersion
        let known = manager.knownAddresses
        output.sockets.setKnown(known)
        knownChanged(known)
    }

    /// The time between two looks at whose addresses are known: thousands may come at once.
    private static let knownInterval = Duration.milliseconds(100)

    /// Does what is due; called every 10 ms.
    package func tick() {
        let now = now
        if now >= knownAt {
            knownAt = now + Self.knownInterval
            tellKnown()
        }
        keepTunnels()
        guard let deadline = manager.nextDeadline, deadline <= now else { return }
        manager.advance(to: now)
    }

    /// Writes the tunnels that are up down at once, when they have changed: the end may come at any time.
    private func keepTunnels() {
        guard let tunnelFile, manager.rememberedVersion != rememberedVersion,
            tunnelFile.write(manager.rememberedTunnels)
        else { return }
        rememberedVersion = manager.rememberedVersion
    }

    /// Replaces all connections and credentials. What has not changed keeps its SAs; what is refused and has been served goes
    /// on as it was.
    package func load(_ configuration: SwanctlConfiguration) {
        control.load(configuration)
    }

    // MARK: Observers

    /// `observer` gets every event from now on, after the log has it.
    package func addObserver(_ observer: @escaping Observer) -> ObserverToken {
        ObserverToken(token: output.observers.add(observer))
    }

    package func removeObserver(_ token: ObserverToken) { output.observers.remove(token.token) }

    // MARK: The end

    /// Deletes all SAs at their peers. `isIdle` tells when that is done.
    package func shutDown() { manager.shutDown(at: now) }

    /// Whether there is no IKE SA (any more).
    package var isIdle: Bool { manager.counters.sessions == 0 }

    /// Closes the sockets.
    package func stop() {
        output.flush()
        output.sockets.stop()
    }
}

/// The outside of the session manager: datagrams, names, log, observers.
final class IKEOutput: ManagerOutput {
    let sockets: IKESockets
    var observers = EventObservers()
    /// Gives the addresses of a name back to the manager.
    var resolved: (([IPAddress], UInt64) -> Void)?
    private let dataplane: any ChildDataplane
    private let eventLoop: any EventLoop
    /// Messages of this round of the event loop. They are sent together at its end, so that the SAs that they announce
    /// become live together before that.
    private var waiting: [(message: [UInt8], path: Path)] = []
    private let resolver: NameResolver
    private let isUnknownNeighbour: (IPAddress) -> Bool
    private let log: EventLog
    private let keyLog: KeyLogFile?

    init(
        sockets: IKESockets, dataplane: any ChildDataplane, keyLog: KeyLogFile?,
        needsNeighbour: @escaping (IPAddress) -> Bool = { _ in false }, clock: @escaping () -> Instant,
        eventLoop: any EventLoop, logger: Logger
    ) {
        isUnknownNeighbour = needsNeighbour
        self.sockets = sockets
        self.dataplane = dataplane
        self.eventLoop = eventLoop
        self.keyLog = keyLog
        resolver = NameResolver(eventLoop: eventLoop)
        log = EventLog(logger: logger, clock: clock)
    }

    func send(_ datagram: [UInt8], path: Path) {
        waiting.append((datagram, path))
        guard waiting.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.flush() }
    }

    /// Sends what waits, once all workers have what it announces.
    func flush() {
        guard !waiting.isEmpty else { return }
        dataplane.settle()
        let messages = waiting
        waiting = []
        for (message, path) in messages { sockets.send(message, path: path) }
    }

    func sendKeepalive(path: Path) { sockets.sendKeepalive(path: path) }

    func sourceAddress(towards remote: IPAddress) -> IPAddress? { sockets.sourceAddress(towards: remote) }

    func needsNeighbour(_ remote: IPAddress) -> Bool { isUnknownNeighbour(remote) }

    func resolve(_ name: String, request: UInt64) {
        resolver.resolve(name) { [weak self] addresses in self?.resolved?(addresses, request) }
    }

    func report(_ event: ManagerEvent) {
        log.write(event)
        observers.tell(event)
    }

    var logsKeys: Bool { keyLog != nil }

    func logKeys(_ line: KeyLogLine) { keyLog?.write(line) }
}

/// The observers of every event, in the order in which they came.
struct EventObservers {
    /// Names an observer, so that it can leave again.
    struct Token: Hashable {
        fileprivate let number: Int
    }

    private var observers: [(token: Token, observe: (ManagerEvent) -> Void)] = []
    private var next = 0

    mutating func add(_ observe: @escaping (ManagerEvent) -> Void) -> Token {
        let token = Token(number: next)
        next += 1
        observers.append((token, observe))
        return token
    }

    mutating func remove(_ token: Token) { observers.removeAll { $0.token == token } }

    /// An observer that comes or goes meanwhile does so from the next event on.
    func tell(_ event: ManagerEvent) {
        for (_, observe) in observers { observe(event) }
    }
}
