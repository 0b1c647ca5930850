import Foundation
import TestSupport
import Testing

/// IKEv2 live: Sluice against strongSwan and against itself, over real sockets.
///
/// Its two halves, namespaces and User Mode Linux, run side by side; in each of them one test at a time.
@Suite("IKEv2 live")
enum LiveIKE {
    /// In network namespaces; strongSwan does ESP itself, in UDP.
    @Suite("IKEv2 in namespaces", .serialized)
    enum Namespaces {}
}

/// Who sends the first message.
enum Initiator: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case sluice = "Sluice initiates"
    case peer = "the peer initiates"
    var testDescription: String { rawValue }
}

/// Sluice as side A, something else as side B, and the LANs behind them.
struct IKEPair {
    let sluice: SluiceDaemon
    let peer: any IKEDaemon
    let traffic: Traffic

    /// Sluice and strongSwan in the two gateways of a topology, each with its own configuration. Hands them to `body` and
    /// ends them; when `body` fails, the error has both logs.
    static func with<T>(
        _ network: borrowing TwoGateways, _ ours: IKEConfiguration, _ theirs: IKEConfiguration? = nil,
        extra: [String] = [], _ body: (IKEPair) throws -> T
    ) throws -> T {
        let strongSwan = try StrongSwan(SwanctlFolder("b", theirs ?? ours, .b), in: network.gatewayB)
        defer { strongSwan.stop() }
        return try with(
            SwanctlFolder("a", ours, .a), in: network.gatewayA, peer: strongSwan, Traffic(copy network),
            extra: extra, body)
    }

    /// Two Sluices.
    static func twins<T>(
        _ network: borrowing TwoGateways, _ configuration: IKEConfiguration, _ body: (IKEPair) throws -> T
    ) throws -> T {
        let twin = try SluiceDaemon(SwanctlFolder("b", configuration, .b), in: network.gatewayB)
        defer { twin.stop() }
        return try with(
            SwanctlFolder("a", configuration, .a), in: network.gatewayA, peer: twin, Traffic(copy network), body)
    }

    /// Sluice with this folder, and a peer that runs already.
    static func with<T>(
        _ folder: SwanctlFolder, in namespace: NetworkNamespace, peer: any IKEDaemon, _ traffic: Traffic,
        extra: [String] = [], _ body: (IKEPair) throws -> T
    ) throws -> T {
        let sluice = try SluiceDaemon(folder, in: namespace, extra: extra)
        defer { sluice.stop() }
        let pair = IKEPair(sluice: sluice, peer: peer, traffic: traffic)
        return try explaining([sluice, peer]) { try body(pair) }
    }

    /// The daemon that begins, and the other one.
    func roles(_ initiator: Initiator) -> (first: any IKEDaemon, second: any IKEDaemon) {
        initiator == .sluice ? (sluice, peer) : (peer, sluice)
    }

    /// Waits until each end has so many CHILD_SAs.
    func awaitChildren(_ count: Int, within limit: Duration = .seconds(60)) throws {
        for daemon in [sluice as any IKEDaemon, peer] {
            try eventually("\(count) CHILD_SAs at \(daemon.label)", within: limit, every: .milliseconds(100)) {
                try daemon.associations().count("INSTALLED") == count
            }
        }
    }

    /// Waits until an echo comes back, through whatever has to be negotiated first; what was lost meanwhile is lost.
    func awaitTraffic(from side: Side = .a, within limit: Duration = .seconds(120)) throws {
        let host = side == .a ? traffic.lanA : traffic.lanB
        let client = try EchoClient(from: host, to: side.other.host(.ipv4), .ipv4, dontFragment: false)
        try eventually("echo from \(side)", within: limit) {
            client.echo(payload: 100, attempts: 1, within: .milliseconds(500)) == .reply
        }
    }

    /// Nothing passes.
    func expectNoTraffic(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let client = try EchoClient(from: traffic.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
        let outcome = client.echo(payload: 100, attempts: 2, within: .milliseconds(200))
        #expect(outcome == .lost, sourceLocation: sourceLocation)
    }

    /// One connection up, seen by both ends, with something carried each way, and down again.
    func upAndDown(_ connection: String, _ initiator: Initiator, bytes: Int = 1 << 18) throws {
        let (first, _) = roles(initiator)
        try first.initiate(of: connection)
        try awaitChildren(1)
        for side in Side.allCases { try traffic.echo(from: side, .ipv4, sizes: [0, 56, 1000, 1300]) }
        try traffic.transfer(bytes, from: .a, .ipv4)
        try first.terminate(connection)
        try awaitChildren(0)
    }
}
