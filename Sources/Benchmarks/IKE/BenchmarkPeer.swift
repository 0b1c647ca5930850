import IKEv2
import IKEv2Messages
import IPsec
import Packets

/// A peer of the measured gateway: one session as the initiator, and nothing around it.
final class BenchmarkPeer: SessionEnvironment {
    let settings = ProtocolSettings()
    let credentials = BenchmarkPlan.credentials
    let wallClock: Int64 = 0
    var now: Instant = 1_000_000_000
    private(set) var path: Path
    /// Why it is not established.
    private(set) var trouble = "no answer"
    private let connection: Connection
    private let dataplane = BenchmarkDataplane()
    private var session: Session?
    private var outgoing: [[UInt8]] = []
    private var lastID: UInt32 = 0
    private var generator = SystemRandomNumberGenerator()

    init(number: Int, gateway: IPAddress) {
        let address = BenchmarkPlan.address(ofPeer: number)
        path = Path(
            local: Endpoint(address, port: IPsecPort.keyExchange),
            remote: Endpoint(gateway, port: IPsecPort.keyExchange))
        connection = BenchmarkPlan.connection(
            local: .address(address), remote: .domainName("gateway.example"))
    }

    static func number(of address: IPAddress) -> Int { Int(address.low &- 0x0A00_0000) }

    var isEstablished: Bool { session?.isEstablished == true && session?.children.count == 1 }

    func begin() {
        let (session, actions) = Session.initiate(
            connection, children: connection.children, path: path, environment: self)
        self.session = session
        apply(actions)
    }

    func receive(_ bytes: [UInt8]) {
        guard let session, let message = try? ReceivedMessage(decoding: bytes) else { return }
        apply(session.receive(message, path: path, environment: self))
        path = session.path
    }

    func takeDatagram() -> [UInt8]? { outgoing.isEmpty ? nil : outgoing.removeFirst() }

    private func apply(_ actions: [SessionAction]) {
        for action in actions {
            switch action {
            case .send(let message): outgoing += message.datagrams
            case .report(.failed(let why)), .report(.childFailed(_, let why)): trouble = why.description
            default: break
            }
        }
    }

    func random(count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
    func uniqueID() -> UInt32 {
        lastID += 1
        return lastID
    }
    func allocateSPI() throws(InstallationError) -> SPI { try dataplane.allocateSPI() }
    func requestID(
        connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity
    ) -> UInt32 { 1 }
    func usage(of sa: ChildSA) -> ChildUsage? { nil }
    func isFirstContact(local: Identity, remote: Identity) -> Bool { false }
    func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool { false }
    func logKeys(_ line: @autoclosure () -> KeyLogLine) {}
}
