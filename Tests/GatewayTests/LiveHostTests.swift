import Foundation
import TestSupport
import Testing

/// What a gateway host sends and receives itself, through a live tunnel between two gateways.
@Suite("The gateway's own packets", .serialized) struct LiveHostTests {
    private func interfaces(_ namespace: NetworkNamespace) throws -> [String] {
        try JSON(run(["ip", "-n", namespace.name, "-j", "link", "show"])).array.compactMap { $0["ifname"].string }
    }

    @Test("reach the other gateway and its hosts, and leave nothing behind", arguments: IPVersion.allCases)
    func tunnelled(version: IPVersion) throws {
        try TwoGateways.with { network in
            let a = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
            let b = try SluiceGateway(ManualTunnel().batch(.b), in: network.gatewayB)
            defer {
                a.process.terminate()
                b.process.terminate()
            }
            try SluiceGateway.explaining([a, b]) {
                for destination in [Side.b.router(version), Side.b.host(version)] {
                    let client = try EchoClient(
                        from: network.gatewayA, to: destination, version, dontFragment: false)
                    for size in [56, 1300] {
                        guard client.echo(payload: size) == .reply else {
                            throw NeverHappened(description: "\(size) bytes to \(destination)")
                        }
                    }
                }
                let counters = try a.status()["workers"][0]["counters"].array
                func counted(_ name: String) -> Int {
                    counters.first { $0["name"].string == name }?["packets"].int ?? 0
                }
                guard counted("fromHost") >= 4, counted("toHost") >= 4 else {
                    throw NeverHappened(description: "not through the slow path")
                }
            }
            #expect(try interfaces(network.gatewayA).contains { $0.hasPrefix("sluice") })
            #expect(a.process.terminate() == .exited(0))
            #expect(try !interfaces(network.gatewayA).contains { $0.hasPrefix("sluice") })
            let routes = try run(["ip", "-n", network.gatewayA.name, "route", "show", "proto", "173"])
            #expect(routes.isEmpty)
        }
    }

    @Test("a second gateway is refused while the first answers on the control socket")
    func controlSocketInUse() throws {
        try TwoGateways.with { network in
            let first = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
            defer { first.process.terminate() }
            let file = try TestRun.current.scratchFile("second.xfrm", ManualTunnel().batch(.b))
            let second = try attempt(
                [
                    SluiceGateway.binary, "run", "--xfrm-batch", file, "--lan", "lan0", "--wan", "wan0", "--control",
                    first.controlSocket,
                ], in: network.gatewayB)
            #expect(second.status == 1)
            #expect(second.errors.contains("another sluice answers there"))
            #expect(try first.status()["gateway"]["version"].string != nil)
        }
    }

    @Test("status says what there is, as text and as JSON")
    func status() throws {
        try TwoGateways.with { network in
            let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
            defer { gateway.process.terminate() }
            let status = try gateway.status()
            #expect(status["ports"].array.map { $0["name"].string } == ["lan0", "wan0"])
            #expect(status["ports"][1]["roles"][0].string == "wan")
            #expect(status["security_associations"].array.count == 2)
            #expect(status["policies"].array.count == 6)
            #expect(status["peers"][0]["address"].string == Side.b.outer(.ipv4))
            let text = try run(
                [SluiceGateway.binary, "status", "--control", gateway.controlSocket], in: network.gatewayA)
            for word in ["Port lan0", "Port wan0", "Workers", "Security associations", "Policies", "aes128gcm16"] {
                #expect(text.contains(word), "no \(word) in \(text)")
            }
            #expect(!text.contains(ManualTunnel().cipher.keys(.a)[0]))
            #expect(!gateway.process.errors.contains(ManualTunnel().cipher.keys(.a)[0]))
        }
    }

    @Test("the control socket answers swanctl's own commands")
    func strongSwanClient() throws {
        try TwoGateways.with { network in
            let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
            defer { gateway.process.terminate() }
            let uri = "unix://" + gateway.controlSocket
            // swanctl's --version is about itself; the daemon's comes with --daemon.
            #expect(try run(["swanctl", "--version", "--daemon", "--uri", uri]).contains("sluice"))
            #expect(try run(["swanctl", "--stats", "--uri", uri]).contains("worker threads: 1 total"))
        }
    }
}
