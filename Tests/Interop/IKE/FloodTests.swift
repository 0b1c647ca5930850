import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Strangers that send first requests as fast as they can, while tunnels are up.
    ///
    /// `SLUICE_FLOOD_TUNNELS`, `SLUICE_FLOOD_SECONDS` and `SLUICE_FLOOD_RATE` (frames a second, 0: as many as the machine
    /// gives) make it larger.
    @Suite("under a flood", .serialized)
    struct Flood {
        private static func setting(_ name: String, _ preset: Int) -> Int {
            ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? preset
        }

        private static let tunnels = setting("SLUICE_FLOOD_TUNNELS", 10)
        private static let seconds = setting("SLUICE_FLOOD_SECONDS", 10)
        private static let rate = setting("SLUICE_FLOOD_RATE", 100_000)

        /// Many sites behind gateway B, one of which carries traffic and one comes late; and anybody, with MODP-4096.
        private static var configuration: IKEConfiguration {
            var connections = [IKEConnection("site", settings: ["dpd_delay = 2s"])]
            connections += (1..<max(tunnels, 1)).map { named("other\($0)", network: $0) }
            connections.append(named("late", network: 0))
            var anybody = named("anybody", network: 255)
            anybody.proposals = "aes256gcm16-prfsha256-modp4096"
            anybody.addresses[.a] = (Side.a.outer(.ipv4), "%any")
            connections.append(anybody)
            return IKEConfiguration(connections)
        }

        private static func named(_ name: String, network: Int) -> IKEConnection {
            var child = IKEChild(inner: [])
            child.settings = [
                "local_ts = 172.16.\(network).0/24", "remote_ts = 172.17.\(network).0/24", "start_action = none",
            ]
            var connection = IKEConnection(name, children: [child], settings: ["dpd_delay = 2s"])
            connection.identities = [.a: "a.\(name).sluice.test", .b: "b.\(name).sluice.test"]
            return connection
        }

        /// The text of one end, with the selectors of the other mirrored.
        private static func folder(_ side: Side) throws -> SwanctlFolder {
            var configuration = configuration
            guard side == .b else { return try SwanctlFolder("a", configuration, .a) }
            for index in configuration.connections.indices {
                for child in configuration.connections[index].children.indices {
                    let settings = configuration.connections[index].children[child].settings
                    configuration.connections[index].children[child].settings = settings.map {
                        $0.hasPrefix("local_ts")
                            ? $0.replacing("local_ts", with: "remote_ts")
                            : $0.replacing("remote_ts", with: "local_ts")
                    }
                }
            }
            return try SwanctlFolder("b", configuration, .b)
        }

        /// Gateway A, that is flooded, and gateway B, both with all tunnels up. Answers to made-up addresses find their way
        /// to the switch.
        private func with(_ body: (borrowing TwoGateways, IKEPair) throws -> Void) throws {
            try TwoGateways.with { network in
                try network.wire.ip("addr add 10.99.0.254/24 dev br0")
                try network.gatewayA.ip("route add default via 10.99.0.254")
                let twin = try SluiceDaemon(Self.folder(.b), in: network.gatewayB)
                defer { twin.stop() }
                try IKEPair.with(Self.folder(.a), in: network.gatewayA, peer: twin, Traffic(copy network)) { pair in
                    try pair.peer.initiate(of: "site")
                    for number in 1..<max(Self.tunnels, 1) { try pair.peer.initiate(of: "other\(number)") }
                    try pair.awaitChildren(Self.tunnels)
                    try pair.awaitTraffic()
                    try body(network, pair)
                }
            }
        }

        private func flood(
            _ network: borrowing TwoGateways, _ mode: String, from prefix: String, _ number: Int, seconds: Int
        ) throws -> PythonPeer {
            try PythonPeer(
                "ike_flood.py",
                [
                    mode, TwoGateways.portA, Side.a.wanHardwareAddress, Side.a.outer(.ipv4), prefix, "\(number)",
                    "\(seconds)",
                ], in: network.wire)
        }

        @Test(
            "tunnels stay, nothing is lost, and a configured peer comes in within two seconds", .timeLimit(.minutes(3)))
        func strangers() throws {
            try with { network, pair in
                let before = try pair.sluice.associations()
                let load = try CountedLoad(
                    from: network.lanA, to: network.lanB, address: Side.b.host(.ipv4), rate: 200)
                let floods = [
                    try flood(network, "cookies", from: "198.51.100.0/24", 64, seconds: Self.seconds),
                    try flood(network, "spoofed", from: "203.0.112.0/20", Self.rate, seconds: Self.seconds),
                ]
                Thread.sleep(forTimeInterval: Double(Self.seconds) / 3)
                let clock = ContinuousClock()
                let time = try clock.measure { try pair.peer.initiate(of: "late") }
                #expect(time < .seconds(2), "\(time)")
                for flood in floods { _ = flood.process.wait(atMost: .seconds(Self.seconds + 20)) }
                let count = load.stop()
                let summary = floods.map { $0.process.output.split(separator: "\n").last ?? "" }
                print("flood: \(summary), late peer up after \(time), load \(count)")
                #expect(count.lost == 0, "\(count)")
                try pair.awaitChildren(Self.tunnels + 1, within: .seconds(5))
                let after = try pair.sluice.associations()
                #expect(Set(before.ikeSPIs).isSubset(of: Set(after.ikeSPIs)))
                #expect(Set(before.inboundSPIs).isSubset(of: Set(after.inboundSPIs)))
            }
        }

        /// Every answer to an address of our own link makes the kernel look for a neighbour, and its table is everybody's.
        @Test("strangers of our own link do not fill the table of neighbours", .timeLimit(.minutes(2)))
        func neighbours() throws {
            try with { network, pair in
                try network.gatewayA.ip("route add 10.99.0.0/16 dev wan0")
                let load = try CountedLoad(
                    from: network.lanA, to: network.lanB, address: Side.b.host(.ipv4), rate: 200)
                let flood = try flood(network, "spoofed", from: "10.99.16.0/20", 2_000, seconds: 8)
                _ = flood.process.wait(atMost: .seconds(30))
                let neighbours = try run(["ip", "-n", network.gatewayA.name, "neigh", "show", "nud", "all"])
                    .split(separator: "\n").filter { $0.contains("10.99.") }
                let count = load.stop()
                print("flood: \(neighbours.count) neighbours, load \(count)")
                #expect(neighbours.count < 120)
                #expect(count.lost == 0, "\(count)")
                try pair.awaitChildren(Self.tunnels, within: .seconds(5))
            }
        }
    }
}
