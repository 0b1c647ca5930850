import Foundation
import Synchronization
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Either end dies at any instant, without a word, and is started again at once; packets come from one side only.
    ///
    /// SLUICE_RESTARTS is the number of instants for each end and direction, which are tried side by side: they mostly wait.
    @Suite("restart of either end", .serialized)
    struct Restart {
        enum Peer: String, CaseIterable {
            case sluice = "Sluice"
            case strongSwan
        }

        /// Who dies, who talks, and who is at the other end.
        struct Case: CustomTestStringConvertible {
            let peer: Peer
            let diesHere: Bool
            let sender: Side
            var rounds = Restart.rounds

            /// strongSwan takes seconds to start, so two pairs of gateways share the instants.
            var shares: [Case] {
                guard peer == .strongSwan && !diesHere else { return [self] }
                return [rounds / 2, rounds - rounds / 2].map {
                    var share = self
                    share.rounds = $0
                    return share
                }
            }

            var testDescription: String {
                "\(diesHere ? "Sluice" : peer.rawValue) dies, \(diesHere ? peer.rawValue : "Sluice") at the other end, "
                    + "packets from \((sender == .a) == diesHere ? "the one that dies" : "the other one")"
            }
        }

        /// What was seen of one case.
        private struct Outcome: Sendable {
            var rounds = 0
            /// The longest time without an answer, seconds, from the death and from the time when both ends ran again.
            var sinceDeath = 0.0
            var sinceStart = 0.0
            var failure: String?
        }

        static let rounds = ProcessInfo.processInfo.environment["SLUICE_RESTARTS"].flatMap { Int($0) } ?? 50
        /// Seconds from the time when both ends run again.
        private static let limit = 2.0

        /// Nothing but the restart itself is to bring the tunnel back: liveness checks come too late. strongSwan's ESP in
        /// user space has no traps, so it begins itself where the packets are its own, and does nothing where they are ours.
        private func configuration(_ start: String) -> IKEConfiguration {
            IKEConfiguration(
                IKEConnection(
                    children: [IKEChild(settings: ["start_action = \(start)", "dpd_action = \(start)"])],
                    settings: ["encap = yes", "dpd_delay = 30s"]))
        }

        @Test("kill -9 at any instant: packets pass again within two seconds")
        func killed() throws {
            let cases = Peer.allCases.flatMap { peer in
                [true, false].flatMap { here in
                    Side.allCases.flatMap { Case(peer: peer, diesHere: here, sender: $0).shares }
                }
            }
            let outcomes = Mutex<[(what: Case, outcome: Outcome)]>([])
            DispatchQueue.concurrentPerform(iterations: cases.count) { index in
                let outcome = outcome(of: cases[index])
                outcomes.withLock { $0.append((cases[index], outcome)) }
            }
            for (what, outcome) in outcomes.withLock(\.self) {
                let figures = [outcome.sinceDeath, outcome.sinceStart].map { String(format: "%.2f", $0) }
                print(
                    "restart: \(what.testDescription): worst of \(outcome.rounds) is \(figures[0]) s, "
                        + "\(figures[1]) s after the start")
                #expect(outcome.failure == nil, "\(what.testDescription)")
                #expect(outcome.rounds == what.rounds && outcome.sinceStart < Self.limit, "\(what.testDescription)")
            }
        }

        private func outcome(of what: Case) -> Outcome {
            var outcome = Outcome()
            do {
                try TwoGateways.with { network in
                    let peer = try peer(of: what, network)
                    defer { try? peer.kill() }
                    let ours = try sluice(.a, network.gatewayA)
                    defer { ours.stop() }
                    try explaining([ours, peer]) {
                        let pings = try Pings(from: network.lan(what.sender), to: what.sender.other.host(.ipv4))
                        defer { pings.stop() }
                        for _ in 0..<what.rounds {
                            try round(pings, victim: what.diesHere ? ours : peer, &outcome)
                        }
                    }
                }
            } catch {
                outcome.failure = "\(error)"
            }
            return outcome
        }

        private func round(_ pings: Pings, victim: any IKEDaemon, _ outcome: inout Outcome) throws {
            try pings.awaitFlow()
            Thread.sleep(forTimeInterval: .random(in: 0..<1))
            try victim.kill()
            let killed = Pings.now
            try victim.start()
            let ready = Pings.now
            let back = try pings.first(sentAfter: killed)
            outcome.rounds += 1
            outcome.sinceDeath = max(outcome.sinceDeath, back - killed)
            outcome.sinceStart = max(outcome.sinceStart, back - ready)
        }

        private func peer(of what: Case, _ network: borrowing TwoGateways) throws -> any IKEDaemon {
            switch what.peer {
            case .sluice: return try sluice(.b, network.gatewayB)
            case .strongSwan:
                let theirs = IKEConfiguration(
                    IKEConnection(
                        children: [IKEChild(settings: ["start_action = \(what.sender == .a ? "none" : "start")"])],
                        settings: ["encap = yes", "dpd_delay = 30s"]))
                return try StrongSwan(SwanctlFolder("b", theirs, .b), in: network.gatewayB)
            }
        }

        private func sluice(_ side: Side, _ namespace: NetworkNamespace) throws -> SluiceDaemon {
            let state = TestRun.current.scratchPath("state-\(side)")
            try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
            return try SluiceDaemon(
                SwanctlFolder("\(side)", configuration("trap"), side), in: namespace, extra: ["--state", state])
        }

        @Test(
            "a tunnel that was up comes up again after a restart, whatever start_action says", arguments: [true, false])
        func remembered(orderly: Bool) throws {
            try TwoGateways.with { network in
                let state = TestRun.current.scratchPath("state")
                try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
                let configuration = IKEConfiguration(IKEConnection(settings: ["encap = yes"]))
                try IKEPair.with(network, configuration, extra: ["--state", state]) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitTraffic()
                    try eventually("the tunnel is written down") {
                        content(state).contains("site\tnet")
                    }
                    if orderly { pair.sluice.stop() } else { pair.sluice.kill() }
                    try pair.sluice.start()
                    try pair.awaitChildren(1, within: .seconds(10))
                    try pair.awaitTraffic(from: .b)
                    // What an operator ends stays down.
                    try pair.sluice.terminate("site")
                    try eventually("the file is empty") {
                        content(state) == "sluice tunnels 1\n"
                    }
                    pair.sluice.kill()
                    try pair.sluice.start()
                    Thread.sleep(forTimeInterval: 2)
                    #expect(try pair.sluice.associations().count("ESTABLISHED") == 0)
                }
            }
        }

        private func content(_ directory: String) -> String {
            (try? String(contentsOfFile: directory + "/tunnels", encoding: .utf8)) ?? ""
        }

        @Test("the host gets another address: the tunnel follows at once, and nothing leaves from the old one")
        func anotherAddress() throws {
            try TwoGateways.with { network in
                func configuration(_ side: Side) -> IKEConfiguration {
                    var connection = IKEConnection(
                        children: [IKEChild(settings: ["start_action = \(side == .a ? "trap" : "none")"])],
                        settings: ["encap = yes"])
                    connection.addresses = [
                        .a: ("%any", Side.b.outer(.ipv4)), .b: (Side.b.outer(.ipv4), "%any"),
                    ]
                    return IKEConfiguration(connection)
                }
                try IKEPair.with(network, configuration(.a), configuration(.b)) { pair in
                    try pair.awaitTraffic()
                    let old = Side.a.outer(.ipv4)
                    try network.gatewayA.ip("addr del \(old)/24 dev wan0", "addr add 10.99.0.77/24 dev wan0")
                    Thread.sleep(forTimeInterval: 0.2)
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    try pair.awaitTraffic(within: .seconds(5))
                    Thread.sleep(forTimeInterval: 1)
                    let source = old.split(separator: ".").compactMap { UInt8($0) }
                    let frames = capture.stop().filter { $0.count > 34 && Array($0[26..<30]) == source && $0[12] == 8 }
                    #expect(frames.isEmpty, "\(frames.count) frames from \(old)")
                    try pair.awaitChildren(1)
                }
            }
        }

        @Test("the second address of a peer is tried when the first does not answer", arguments: ["trap", "start"])
        func secondAddress(start: String) throws {
            try TwoGateways.with { network in
                var connection = IKEConnection(
                    children: [IKEChild(settings: ["start_action = \(start)"])], settings: ["encap = yes"])
                connection.addresses = [
                    .a: (Side.a.outer(.ipv4), "10.99.0.99, \(Side.b.outer(.ipv4))"),
                    .b: (Side.b.outer(.ipv4), Side.a.outer(.ipv4)),
                ]
                let patient = IKEConfiguration(IKEConnection(settings: ["encap = yes"]))
                try IKEPair.with(network, IKEConfiguration(connection), patient) { pair in
                    try pair.awaitTraffic(within: .seconds(20))
                }
            }
        }
    }
}

/// Echo requests every 50 ms, and when those went out that were answered.
private final class Pings: @unchecked Sendable {
    /// Seconds; used by the thread alone.
    private let client: EchoClient
    private let answered = Mutex<[Double]>([])
    private let isStopped = Atomic(false)

    static var now: Double { ProcessInfo.processInfo.systemUptime }

    init(from host: NetworkNamespace, to destination: String) throws {
        client = try EchoClient(from: host, to: destination, .ipv4, dontFragment: false)
        Thread { [self] in
            while !isStopped.load(ordering: .relaxed) {
                let sent = Self.now
                if client.echo(payload: 56, attempts: 1, within: .milliseconds(50)) == .reply {
                    answered.withLock { $0.append(sent) }
                }
                let rest = sent + 0.05 - Self.now
                if rest > 0 { Thread.sleep(forTimeInterval: rest) }
            }
        }.start()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// The first that was sent after some time and answered.
    func first(sentAfter time: Double) throws -> Double {
        var found: Double?
        try eventually("an answer", within: .seconds(90)) {
            found = answered.withLock { $0.first { $0 >= time } }
            return found != nil
        }
        return found ?? .infinity
    }

    /// Waits until all are answered for a while.
    func awaitFlow() throws {
        try eventually("answers without a gap", within: .seconds(90)) {
            let since = Self.now - 0.5
            return answered.withLock { $0.count { $0 > since } } >= 8
        }
    }
}
