import Cryptography
import IPsec
import Packets

@testable import IKEv2

/// The parts of a manager below those that drive sessions, each as it is in a manager, for tests of one of them.
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
    let environment = TestEnvironment(seed: 7)

    init(settings: ProtocolSettings = .impatient) {
        context = ManagerContext(settings: settings, output: output, now: 1_000_000_000_000)
        connections = Connections(output: output)
        installer = ChildInstaller(context: context, table: table, dataplane: dataplane, requestIDs: requestIDs)
        covers = Covers(
            context: context, connections: connections, dataplane: dataplane, requestIDs: requestIDs)
        replacements = Replacements(context: context, table: table, installer: installer)
        attempts = ConnectionAttempts(
            context: context, table: table, connections: connections, backoffs: backoffs, memory: memory,
            replacements: replacements)
    }

    func pass(seconds: Double) { context.advance(to: context.now + UInt64(seconds * 1e9)) }

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
        to remote: String = "192.0.2.2", sentBy outboundSPI: UInt32 = 77, of child: Child? = nil,
        for packets: TrafficSelector? = nil
    ) -> ChildSA {
        let spi = (try? dataplane.allocateSPI()) ?? 0
        let path = Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(ip(remote), port: 500))
        return ChildSA(
            id: spi, child: child ?? Connection.moonToSun.children[0], connectionName: "sun", inboundSPI: spi,
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

    func send(_ datagram: [UInt8], path: Path) {}
    func sendKeepalive(path: Path) { keepalives += 1 }
    func sourceAddress(towards remote: IPAddress) -> IPAddress? { source }
    func needsNeighbour(_ remote: IPAddress) -> Bool { hasUnknownNeighbours }
    func resolve(_ name: String, request: UInt64) { questions.append((name, request)) }
    func report(_ event: ManagerEvent) {
        if case .note(_, let text) = event.event { notes.append(text) }
    }
    func logKeys(_ line: KeyLogLine) {}
}
