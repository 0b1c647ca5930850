import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// What is between the gateways: a router with a narrow link, one that hides addresses, one that loses packets.
    @Suite("paths", .serialized)
    struct Paths {
        /// Certificates with two long intermediate ones, so that IKE_AUTH has some 8 KB.
        private func longChains() throws -> IKEConfiguration {
            let root = try CertificateAuthority(root: "root", .rsa2048)
            let first = try root.intermediate("first", .rsa2048, padding: 20)
            let second = try first.intermediate("second", .rsa2048, padding: 20)
            var connection = IKEConnection(
                "site",
                .certificates(
                    a: try second.issue(host: "a.chain.test", .rsa2048),
                    b: try second.issue(host: "b.chain.test", .rsa2048)),
                settings: ["encap = yes"])
            connection.identities = [.a: "a.chain.test", .b: "b.chain.test"]
            let chain = [first, second].map(\.authority.certificate)
            connection.intermediates = [.a: chain, .b: chain]
            connection.addresses = [
                .a: (RoutedSites.addressA, Side.b.outer(.ipv4)), .b: (Side.b.outer(.ipv4), RoutedSites.addressA),
            ]
            return IKEConfiguration([connection], authorities: [root])
        }

        @Test("IKE fragments carry long certificate chains over a 1,280-byte path", arguments: Initiator.allCases)
        func fragments(initiator: Initiator) throws {
            let configuration = try longChains()
            try RoutedSites.with(.narrow(mtu: 1280)) { network in
                let strongSwan = try StrongSwan(SwanctlFolder("b", configuration, .b), in: network.gatewayB)
                defer { strongSwan.stop() }
                let capture = try PacketCapture("inner", in: network.router)
                try IKEPair.with(
                    SwanctlFolder("a", configuration, .a), in: network.gatewayA, peer: strongSwan,
                    Traffic(copy network), extra: ["--mtu", "1280"]
                ) { pair in
                    try pair.roles(initiator).first.initiate()
                    for side in Side.allCases { try pair.traffic.echo(from: side, .ipv4, sizes: [56, 1000]) }
                    // strongSwan counts the fragments that it sends and those that it puts together.
                    try strongSwan.awaitLog("generating", "EF(2/")
                    try strongSwan.awaitLog("parsed", "EF(2/")
                }
                let frames = capture.stop()
                #expect(frames.allSatisfy { $0.count <= 1280 + 14 }, "\(frames.map(\.count).max() ?? 0)")
                let pieces = frames.filter { $0[12] == 8 && $0[13] == 0 && ($0[20] & 0x3f != 0 || $0[21] != 0) }
                #expect(pieces.isEmpty, "IP fragments")
            }
        }

        /// Side A is behind the NAT: it knows B's address, B knows nothing of A's.
        private func hidden(settings: [String] = []) -> IKEConfiguration {
            var connection = IKEConnection(settings: settings)
            connection.addresses = [.a: ("%any", Side.b.outer(.ipv4)), .b: (Side.b.outer(.ipv4), "%any")]
            return IKEConfiguration(connection)
        }

        @Test("behind a NAT, Sluice reaches strongSwan")
        func behindNAT() throws {
            try RoutedSites.with(.masquerade) { network in
                let strongSwan = try StrongSwan(SwanctlFolder("b", hidden(), .b), in: network.gatewayB)
                defer { strongSwan.stop() }
                try IKEPair.with(
                    SwanctlFolder("a", hidden(), .a), in: network.gatewayA, peer: strongSwan, Traffic(copy network)
                ) { pair in
                    try pair.sluice.initiate()
                    for side in Side.allCases { try pair.traffic.echo(from: side, .ipv4, sizes: [0, 56, 1000]) }
                    try pair.traffic.transfer(1 << 18, from: .a, .ipv4)
                    #expect(try strongSwan.associations().values("remote-host").contains(RoutedSites.mask))
                    for child in ["child", "ike"] {
                        try pair.sluice.control("--rekey", "--\(child)", child == "ike" ? "site" : "net")
                    }
                    try pair.awaitChildren(1)
                    try pair.traffic.echo(from: .b, .ipv4, sizes: [56])
                }
            }
        }

        @Test("a peer behind a NAT is followed when its mapping changes")
        func mappingChanges() throws {
            try RoutedSites.with(.masquerade) { network in
                let strongSwan = try StrongSwan(SwanctlFolder("a", hidden(), .a), in: network.gatewayA)
                defer { strongSwan.stop() }
                let sluice = try SluiceDaemon(SwanctlFolder("b", hidden(), .b), in: network.gatewayB)
                defer { sluice.stop() }
                try explaining([sluice, strongSwan]) {
                    try strongSwan.initiate()
                    let pair = IKEPair(sluice: sluice, peer: strongSwan, traffic: Traffic(copy network))
                    for side in Side.allCases { try pair.traffic.echo(from: side, .ipv4, sizes: [0, 56, 1000]) }
                    let before = try #require(try sluice.associations().values("remote-port").first)
                    try network.changeMapping(ports: "30000-39999")
                    // The next packet from behind the NAT shows where the peer is now.
                    try pair.awaitTraffic(from: .a)
                    try pair.traffic.echo(from: .b, .ipv4, sizes: [56])
                    try eventually("the new port in the list of SAs") {
                        let port = try sluice.associations().values("remote-port").first.flatMap { Int($0) }
                        return port.map { (30_000...39_999).contains($0) } ?? false
                    }
                    #expect(try sluice.associations().values("remote-port").first != before)
                }
            }
        }

        @Test("a path that loses a third of all IKE messages only takes longer", arguments: Initiator.allCases)
        func loses(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let connection = IKEConnection(settings: ["encap = yes"])
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    let first = pair.roles(initiator).first
                    try network.lose(percent: 33, "udp dport {500, 4500}")
                    try eventually("an IKE SA", within: .seconds(180)) {
                        try first.swanctl(["--initiate", "--child", "net"], within: .seconds(120)).status == 0
                    }
                    try network.restore()
                    try pair.awaitTraffic(from: .a)
                    try pair.awaitTraffic(from: .b)
                }
            }
        }
    }
}
