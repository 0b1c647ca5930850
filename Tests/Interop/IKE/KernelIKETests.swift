import Foundation
import TestSupport
import Testing

extension LiveIKE {
    /// strongSwan in User Mode Linux with that kernel's ESP: protocol 50, extended sequence numbers, both families.
    @Suite("IKEv2 with the Linux kernel's ESP", .serialized, BootedLinux())
    struct Kernel {
        /// Sluice and strongSwan with these configurations on the booted machine.
        private func with(
            _ ours: IKEConfiguration, _ theirs: IKEConfiguration? = nil,
            _ body: (IKEPair, KernelStrongSwan) throws -> Void
        ) throws {
            let laboratory = try #require(BootedLinux.current)
            let strongSwan = try KernelStrongSwan(SwanctlFolder("b", theirs ?? ours, .b), in: laboratory.linux)
            defer { try? strongSwan.stop() }
            try IKEPair.with(
                SwanctlFolder("a", ours, .a), in: laboratory.network.gateway, peer: strongSwan,
                Traffic(laboratory.network)
            ) { try body($0, strongSwan) }
        }

        @Test("protocol 50, extended sequence numbers, fresh keys for the child", arguments: Initiator.allCases)
        func algorithms(initiator: Initiator) throws {
            let rows = AlgorithmRow.kernel
            try with(AlgorithmRow.configuration(rows)) { pair, strongSwan in
                for row in rows {
                    try pair.roles(initiator).first.initiate(of: row.name)
                    try pair.awaitChildren(1)
                    for side in Side.allCases { try pair.traffic.echo(from: side, .ipv4, sizes: [0, 56, 1000]) }
                    try pair.traffic.transfer(1 << 18, from: .a, .ipv4)
                    let states = try strongSwan.kernelStates()
                    #expect(!states.contains("espinudp"), "\(states)")
                    #expect(states.contains("esn") == row.esp.hasSuffix("-esn"), "\(row.name): \(states)")
                    try pair.roles(initiator).first.terminate(row.name)
                    try pair.awaitChildren(0)
                }
            }
        }

        @Test("a certificate, a TCP stream of iperf3", arguments: Initiator.allCases)
        func stream(initiator: Initiator) throws {
            let root = try CertificateAuthority(root: "root")
            var connection = IKEConnection(
                "site",
                .certificates(a: try root.issue(host: "a.sluice.test"), b: try root.issue(host: "b.sluice.test")))
            connection.identities = [.a: "a.sluice.test", .b: "b.sluice.test"]
            try with(IKEConfiguration([connection], authorities: [root])) { pair, _ in
                try pair.roles(initiator).first.initiate()
                try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                #expect(try pair.traffic.stream(from: .a, seconds: 2) > 1 << 20)
                #expect(try pair.traffic.stream(from: .b, seconds: 2) > 1 << 20)
            }
        }

        @Test("IKE and ESP over IPv6, both families inside", arguments: Initiator.allCases)
        func overIPv6(initiator: Initiator) throws {
            var connection = IKEConnection(children: [IKEChild(inner: [.ipv4, .ipv6])])
            connection.useIPv6()
            try with(IKEConfiguration(connection)) { pair, _ in
                try pair.roles(initiator).first.initiate()
                for side in Side.allCases {
                    for version in IPVersion.allCases {
                        try pair.traffic.echo(from: side, version, sizes: [0, 56, 1000])
                    }
                }
            }
        }

        /// A way to make child keys, and how often they are made anew.
        struct Load: Sendable, CustomTestStringConvertible {
            var proposals: String
            var children: Int
            var ikes: Int
            var testDescription: String { "\(proposals): \(children) CHILD_SAs, \(ikes) IKE SAs" }
        }

        static let loads = [
            Load(proposals: "default", children: 100, ikes: 20),
            Load(proposals: "aes256gcm16-x25519-esn", children: 10, ikes: 2),
        ]

        @Test("rekey under load, from both ends, without a lost packet", arguments: loads)
        func rekey(load: Load) throws {
            let connection = IKEConnection(children: [IKEChild(proposals: load.proposals)])
            try with(IKEConfiguration(connection)) { pair, _ in
                try pair.sluice.initiate()
                try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                let counts = try LoadedRekey(pair: pair, rate: 300).run(children: load.children, ikes: load.ikes)
                for count in counts {
                    guard count.lost == 0 && count.doubled == 0 else { throw NeverHappened(description: "\(count)") }
                }
            }
        }

        @Test("the peer's machine loses its power, and the tunnel comes back with it")
        func powerFailure() throws {
            let vigilant = IKEConnection(
                children: [IKEChild(settings: ["dpd_action = restart"])],
                settings: ["dpd_delay = 1s", "keyingtries = 0"])
            try with(IKEConfiguration(vigilant), IKEConfiguration(IKEConnection())) { pair, strongSwan in
                try pair.sluice.initiate()
                try pair.awaitTraffic()
                let old = try pair.sluice.associations().inboundSPIs
                try strongSwan.kill()
                try eventually("the SAs are given up", within: .seconds(60)) {
                    try pair.sluice.associations().inboundSPIs.filter(old.contains).isEmpty
                }
                try strongSwan.start()
                try pair.awaitTraffic()
            }
        }

        @Test("AH is refused by NO_PROPOSAL_CHOSEN")
        func authenticationHeader() throws {
            var theirs = IKEConnection()
            theirs.children = [IKEChild(proposals: "", settings: ["ah_proposals = sha256"])]
            try with(IKEConfiguration(IKEConnection()), IKEConfiguration(theirs)) { pair, strongSwan in
                let result = try strongSwan.swanctl(
                    ["--initiate", "--child", "net", "--timeout", "30"], within: .seconds(60))
                #expect(result.status != 0)
                try strongSwan.awaitLog("parsed IKE_AUTH response", "N(NO_PROP)")
                try pair.sluice.awaitLog("no proposal chosen")
                #expect(try pair.sluice.associations().inboundSPIs.isEmpty)
            }
        }

        @Test("transport mode between the gateways themselves is refused by TS_UNACCEPTABLE")
        func transportMode() throws {
            var theirs = IKEConnection()
            theirs.children = [IKEChild(inner: [], settings: ["mode = transport"])]
            try with(IKEConfiguration(IKEConnection()), IKEConfiguration(theirs)) { pair, strongSwan in
                let result = try strongSwan.swanctl(
                    ["--initiate", "--child", "net", "--timeout", "30"], within: .seconds(60))
                #expect(result.status != 0)
                try strongSwan.awaitLog("parsed IKE_AUTH response", "N(TS_UNACCEPT)")
                #expect(try pair.sluice.associations().inboundSPIs.isEmpty)
            }
        }
    }
}
