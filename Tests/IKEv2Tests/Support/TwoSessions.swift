import Cryptography
import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Two ends of an IKE SA, a network between them, and a clock that moves when the test says so.
///
///     let bench = TwoSessions()
///     bench.initiate()
///     bench.run()                       // until nothing is under way and nobody waits for an answer
///     #expect(bench.trace == ["IKE_SA_INIT request 0 [SA KEi Ni …] -->", …])
final class TwoSessions {
    let west: TestHost
    let east: TestHost
    var network = TestNetwork()
    private(set) var now: Instant = 1_000_000_000
    /// One line for each message: "IKE_AUTH request 1 [SK { IDi AUTH SA TSi TSr }] -->", westward "<-- …". Repetitions
    /// and faults are named behind it.
    private(set) var trace: [String] = []
    /// All datagrams as they were sent.
    private(set) var datagrams: [[UInt8]] = []
    /// Changes a datagram before it is sent; nil: it is not.
    var tamper: (_ bytes: [UInt8], _ number: Int) -> [UInt8]? = { bytes, _ in bytes }

    /// Connections as `Connection.test` makes them: the west's towards the east, and the other way round.
    var connection: Connection
    init(family: AddressFamily = .ipv4) {
        west = TestHost("west", seed: 1, endpoint: Endpoint(.test(family, 1), port: 500))
        east = TestHost("east", seed: 2, endpoint: Endpoint(.test(family, 2), port: 500))
        connection = .test(name: "to-east", local: "west", remote: "east", network: 1, remoteNetwork: 2)
        east.connections = [.test(name: "to-west", local: "east", remote: "west", network: 2, remoteNetwork: 1)]
        for host in [west, east] {
            host.environment.now = now
            host.environment.credentials.sharedKeys = [
                Credentials.SharedKey(name: "ike-1", owners: [], secret: SecretBytes(copying: Array("secret".utf8)))
            ]
        }
        west.send = { [unowned self] in send($0, .eastward) }
        east.send = { [unowned self] in send($0, .westward) }
    }

    /// As the west sees it.
    var path: Path { Path(local: west.endpoint, remote: east.endpoint) }

    func initiate(children: [Child]? = nil, hint: TrafficSelector? = nil) {
        west.begin(
            Session.initiate(
                connection, children: children ?? connection.children, hint: hint, path: path,
                environment: west.environment))
    }

    // MARK: - Time

    /// Runs until nothing is under way and no request waits for an answer; at most `seconds`.
    func run(seconds: UInt64 = 300) {
        let end = now + .seconds(seconds)
        while let next = nextEvent(), next <= end, isBusy { move(to: next) }
    }

    /// Lets exactly so much time go by.
    func pass(milliseconds: UInt64) {
        let end = now + .milliseconds(milliseconds)
        while let next = nextEvent(), next <= end { move(to: next) }
        move(to: end)
    }

    func pass(seconds: UInt64) { pass(milliseconds: seconds * 1000) }

    private var isBusy: Bool {
        network.nextArrival != nil || (west.sessions + east.sessions).contains { $0.window.outstanding != nil }
    }

    private func nextEvent() -> Instant? {
        [network.nextArrival, west.nextDeadline, east.nextDeadline].compactMap { $0 }.min().map { max($0, now) }
    }

    private func move(to time: Instant) {
        now = time
        west.environment.now = now
        east.environment.now = now
        for datagram in network.arrivals(at: now) {
            (datagram.direction == .eastward ? east : west).receive(datagram.bytes, path: datagram.path)
        }
        west.advance()
        east.advance()
    }

    // MARK: - Messages

    private func send(_ message: OutgoingMessage, _ direction: TestNetwork.Direction) {
        var fates: [String] = []
        for (index, bytes) in message.datagrams.enumerated() {
            datagrams.append(bytes)
            guard let bytes = tamper(bytes, datagrams.count) else {
                fates.append("not sent")
                continue
            }
            if let fault = network.send(bytes, path: message.path, direction: direction, at: now) {
                fates.append(message.datagrams.count > 1 ? "fragment \(index + 1) \(fault)" : "\(fault)")
            }
        }
        let isAgain = message.line.retransmission > 0
        let remarks = (isAgain ? ["again"] : []) + fates
        let text = Self.text(message.line) + (remarks.isEmpty ? "" : " (\(remarks.joined(separator: ", ")))")
        trace.append(direction == .eastward ? "\(text) -->" : "<-- \(text)")
    }

    /// "IKE_AUTH request 1 [SK { IDi … }]" of "sent IKE_AUTH request 1 to 192.0.2.1:500, 123 bytes: SK { IDi … }".
    private static func text(_ line: MessageLine) -> String {
        let whole = line.description
        let words = whole.split(separator: " ").dropFirst().prefix(3).joined(separator: " ")
        let contents = whole.split(separator: " bytes", maxSplits: 1).last.map(String.init) ?? ""
        let payloads = contents.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? ""
        return "\(words) [\(payloads)]"
    }

    func forgetTrace() { trace = [] }

    // MARK: - Outcomes

    /// Both ends have one IKE SA that is up, and the same children, installed in both directions, which fit.
    func expectJoined(children: Int = 1, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        for host in [west, east] {
            #expect(host.sessions.count == 1, comment, sourceLocation: sourceLocation)
            #expect(host.session?.isEstablished == true, comment, sourceLocation: sourceLocation)
            #expect(host.session?.children.count == children, comment, sourceLocation: sourceLocation)
            #expect(host.inbound.count == children, comment, sourceLocation: sourceLocation)
            #expect(host.outbound.count == children, comment, sourceLocation: sourceLocation)
            #expect(host.environment.pendingSPIs.isEmpty, comment, sourceLocation: sourceLocation)
        }
        for sa in west.outbound.values {
            let other = east.inbound[sa.outboundSPI]
            #expect(other?.outboundSPI == sa.inboundSPI, comment, sourceLocation: sourceLocation)
            #expect(other?.inboundKey == sa.outboundKey, comment, sourceLocation: sourceLocation)
            #expect(other?.outboundKey == sa.inboundKey, comment, sourceLocation: sourceLocation)
            #expect(other?.transform == sa.transform, comment, sourceLocation: sourceLocation)
            #expect(other?.selectors.map(\.reversed) == sa.selectors, comment, sourceLocation: sourceLocation)
        }
    }

    /// Neither end has anything left.
    func expectNothingLeft(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        for host in [west, east] {
            #expect(host.sessions.isEmpty, comment, sourceLocation: sourceLocation)
            #expect(host.inbound.isEmpty, comment, sourceLocation: sourceLocation)
            #expect(host.outbound.isEmpty, comment, sourceLocation: sourceLocation)
            #expect(host.environment.pendingSPIs.isEmpty, comment, sourceLocation: sourceLocation)
        }
    }
}

// MARK: - Samples

extension IPAddress {
    /// 192.0.2.n or 2001:db8::n.
    static func test(_ family: AddressFamily, _ number: UInt8) -> IPAddress {
        family == .ipv4
            ? IPAddress(ipv4: 0xc000_0200 | UInt32(number))
            : IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: UInt64(number))
    }
}

extension Child {
    /// 10.n.0.0/16 here, 10.m.0.0/16 there.
    static func test(_ name: String = "net", network: UInt8, remoteNetwork: UInt8) -> Child {
        func side(_ number: UInt8) -> SelectorSide {
            SelectorSide(
                addresses: AddressRange(IPPrefix(address: IPAddress(ipv4: 10 << 24 | UInt32(number) << 16), length: 16))
            )
        }
        var child = Child(
            name: name, proposals: [ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)])])
        child.localSelectors = [side(network)]
        child.remoteSelectors = [side(remoteNetwork)]
        return child
    }
}

extension Connection {
    /// Shared keys, names as identities, X25519, one child, no times that come by themselves.
    static func test(name: String, local: String, remote: String, network: UInt8, remoteNetwork: UInt8) -> Connection {
        var connection = Connection(
            name: name,
            proposals: [
                IKEProposal(
                    encryption: [.aesGCM16(keyBits: 128)], functions: [.hmacSHA256], keyExchanges: [.x25519, .ecp256])
            ],
            local: LocalAuthentication(method: .preSharedKey, identity: .domainName(local)),
            remote: RemoteAuthentication(method: .preSharedKey, identity: .domainName(remote)))
        var child = Child.test(network: network, remoteNetwork: remoteNetwork)
        child.time = Child.Limit()
        connection.children = [child]
        connection.rekeyTime = 0
        return connection
    }
}
