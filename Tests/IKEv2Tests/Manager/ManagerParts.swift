import Cryptography
import IPsec
import Packets

@testable import IKEv2

/// The parts of a manager, each as it is in a manager, for tests of one of them.
final class ManagerParts {
    let output = RecordingOutput()
    let dataplane = FakeDataplane()
    let context: ManagerContext
    let table = SessionTable()
    let connections: Connections
    let requestIDs = RequestIDs()
    let installer: ChildInstaller
    let covers: Covers
    let backoffs = BackoffTable()
    let memory = TunnelMemory()
    let replacements: Replacements
    let attempts: ConnectionAttempts
    let environment: ManagerEnvironment

    init(settings: ProtocolSettings = .impatient) {
        context = ManagerContext(settings: settings, output: output, now: 1_000_000_000_000)
        connections = Connections(output: output)
        installer = ChildInstaller(context: context, table: table, dataplane: dataplane, requestIDs: requestIDs)
        covers = Covers(
            context: context, connections: connections, dataplane: dataplane, requestIDs: requestIDs)
        environment = ManagerEnvironment(
            context: context, table: table, installer: installer, requestIDs: requestIDs, clock: { 0 })
        replacements = Replacements(context: context, table: table, installer: installer)
        attempts = ConnectionAttempts(
            context: context, table: table, connections: connections, backoffs: backoffs, memory: memory,
            replacements: replacements)
    }

    // MARK: Parts that drive sessions

    let peerCalls = PeerCalls()
    let terminations = Terminations()
    private(set) lazy var keepalives = Keepalives(context: context)
    private(set) lazy var admission = Admission(
        context: context, table: table, connections: connections, processorTime: { 0 })
    private(set) lazy var narrowing = Narrowing(
        context: context, table: table, connections: connections, installer: installer, covers: covers,
        backoffs: backoffs)
    private(set) lazy var reports = SessionReports(
        context: context, table: table, connections: connections, installer: installer, admission: admission,
        covers: covers, backoffs: backoffs, narrowing: narrowing, memory: memory, peerCalls: peerCalls,
        terminations: terminations, replacements: replacements, keepalives: keepalives)
    private(set) lazy var driver = SessionDriver(
        environment: environment, context: context, table: table, connections: connections, installer: installer,
        admission: admission,
        reports: reports, attempts: attempts, terminations: terminations, replacements: replacements,
        keepalives: keepalives)
    private(set) lazy var initiator = Initiator(
        context: context, table: table, connections: connections, attempts: attempts, narrowing: narrowing,
        replacements: replacements, driver: driver)
    private(set) lazy var recovery = Recovery(
        context: context, connections: connections, installer: installer, covers: covers, initiator: initiator)
    private(set) lazy var demand = Demand(
        context: context, table: table, connections: connections, installer: installer, covers: covers,
        backoffs: backoffs, memory: memory, peerCalls: peerCalls, attempts: attempts, initiator: initiator)
    private(set) lazy var reauthentication = Reauthentication(
        context: context, table: table, connections: connections, installer: installer, attempts: attempts,
        replacements: replacements, driver: driver, initiator: initiator)
    private(set) lazy var commands = Commands(
        context: context, table: table, connections: connections, installer: installer, backoffs: backoffs,
        memory: memory, peerCalls: peerCalls, attempts: attempts, terminations: terminations, driver: driver,
        initiator: initiator, reauthentication: reauthentication)

    /// Loads connections without what follows from that.
    func load(_ all: [Connection]) {
        connections.set(all)
        _ = covers.connectionsChanged()
        for connection in all { covers.cover(connection) }
    }

    func pass(seconds: Double) { context.advance(to: context.now + .seconds(seconds)) }

    /// A session that we have begun, in the table.
    func begin(
        _ connection: Connection = .moonToSun, at local: String = "192.0.2.1", peer remote: String = "192.0.2.2"
    ) -> SessionRecord {
        let path = Path(local: Endpoint(ip(local), port: 500), remote: Endpoint(ip(remote), port: 500))
        let (session, _) = Session.initiate(
            connection, children: [], hint: nil, pair: nil, path: path, environment: environment)
        let record = SessionRecord(session, beganAt: context.now)
        _ = table.add(record)
        return record
    }

    /// The same, established.
    func establish(
        _ connection: Connection = .moonToSun, at local: String = "192.0.2.1", peer remote: String = "192.0.2.2"
    ) -> SessionRecord {
        let record = begin(connection, at: local, peer: remote)
        table.setEstablished(
            record, between: IdentityPair(local: .domainName("moon"), remote: .domainName("sun")))
        record.establishedAt = context.now
        return record
    }

    /// A CHILD_SA of the child `net`, not installed yet.
    func makeSA(
        to remote: String = "192.0.2.2", sentBy outboundSPI: SPI = 77, of child: Child? = nil,
        for packets: TrafficSelector? = nil
    ) -> ChildSA {
        let spi = (try? dataplane.allocateSPI()) ?? 0
        let path = Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(ip(remote), port: 500))
        return ChildSA(
            id: spi.value, child: child ?? Connection.moonToSun.children[0], connectionName: "sun", inboundSPI: spi,
            outboundSPI: outboundSPI, mode: .tunnel, transform: .aes128GCM16, extendedSequenceNumbers: false,
            keyExchange: nil, inboundKey: SecretBytes(copying: [1]), outboundKey: SecretBytes(copying: [2]),
            selectors: [
                packets ?? TrafficSelector(source: prefix("10.1.0.0/16"), destination: prefix("10.2.0.0/16"))
            ],
            localSelectors: [], remoteSelectors: [], requestID: 1, path: path, isEncapsulated: false,
            establishedAt: context.now, lifetime: .unlimited)
    }
}

/// Remembers what was asked of it.
final class RecordingOutput: ManagerOutput {
    private(set) var notes: [String] = []
    private(set) var questions: [(name: String, request: UInt64)] = []
    private(set) var keepalives = 0
    var source: IPAddress? = ip("192.0.2.1")
    var hasUnknownNeighbours = false

    private(set) var sent = 0

    func send(_ datagram: [UInt8], path: Path) { sent += 1 }
    func sendKeepalive(path: Path) { keepalives += 1 }
    func sourceAddress(towards remote: IPAddress) -> IPAddress? { source }
    func needsNeighbour(_ remote: IPAddress) -> Bool { hasUnknownNeighbours }
    func resolve(_ name: String, request: UInt64) { questions.append((name, request)) }
    private(set) var reported: [ManagerEvent] = []

    func report(_ event: ManagerEvent) {
        reported.append(event)
        if case .note(_, let text) = event.event { notes.append(text) }
    }
    func logKeys(_ line: KeyLogLine) {}
}
