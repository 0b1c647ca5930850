import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// On a host that forwards, as routers do: what a configured child covers does not leave in clear, whatever is missing.
    @Suite("closed without a tunnel", .serialized)
    struct Closed {
        struct Case: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var local = Side.a.outer(.ipv4)
            var remote = Side.b.outer(.ipv4)
            var settings: [String]
        }

        /// The peer does not run.
        static let cases = [
            Case(testDescription: "nothing starts it", settings: ["start_action = none"]),
            Case(testDescription: "started, and the peer is silent", settings: ["start_action = start"]),
            Case(
                testDescription: "a trap, and no route to the peer", local: "%any", remote: "203.0.113.7",
                settings: ["start_action = trap"]),
            Case(
                testDescription: "a trap, and a name that does not resolve", local: "%any", remote: "peer.invalid",
                settings: ["start_action = trap"]),
            Case(
                testDescription: "a peer that may be anywhere", local: "%any", remote: "%any",
                settings: ["start_action = none"]),
        ]

        @Test("no packet of the child leaves in clear", arguments: cases)
        func nothingInClear(item: Case) throws {
            try TwoGateways.with { network in
                try network.gatewayA.sysctl("net.ipv4.ip_forward=1")
                try network.gatewayA.ip("route add \(Side.b.prefix(.ipv4)) via \(Side.b.outer(.ipv4))")
                #expect(try plainFrames(network) > 0, "without a gateway the host forwards")

                var connection = IKEConnection(children: [IKEChild(settings: item.settings)])
                connection.addresses[.a] = (item.local, item.remote)
                let folder = try SwanctlFolder("a", IKEConfiguration(connection), .a)
                let gateway = try SluiceDaemon(folder, in: network.gatewayA)
                defer { gateway.stop() }
                try explaining([gateway]) {
                    #expect(try plainFrames(network) == 0)
                    // The way to the peer appears, and another file is loaded.
                    try network.gatewayA.ip("route add default via \(Side.b.outer(.ipv4))")
                    #expect(try plainFrames(network) == 0)
                    connection.settings = ["dpd_delay = 30s"]
                    try folder.write(IKEConfiguration(connection), .a)
                    gateway.gateway.process.signal(SIGHUP)
                    try gateway.awaitLog("configuration reloaded")
                    #expect(try plainFrames(network) == 0)
                }
            }
        }

        /// Echoes from one LAN to the other that are seen on the wire as they are.
        private func plainFrames(_ network: borrowing TwoGateways) throws -> Int {
            let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
            let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
            _ = client.echo(payload: 100, attempts: 5, within: .milliseconds(100))
            // Echo requests: an error that the silent peer's kernel sends is none.
            return capture.stop().filter { WireContent($0) == .other("protocol 1") && $0.dropFirst(34).first == 8 }
                .count
        }
    }
}
