import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Keys, ciphers and identities with strongSwan, many connections of one pair of daemons.
    @Suite("algorithms and identities", .serialized)
    struct Algorithms {
        @Test("every key exchange group and every ESP cipher, by pre-shared key", arguments: Initiator.allCases)
        func algorithms(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let rows = AlgorithmRow.userSpace
                try IKEPair.with(network, AlgorithmRow.configuration(rows, settings: ["encap = yes"])) { pair in
                    for row in rows { try pair.upAndDown(row.name, initiator) }
                }
            }
        }

        /// A connection for each kind of key, whose identities are the certificates' names.
        private func certified() throws -> IKEConfiguration {
            let elliptic = try CertificateAuthority(root: "elliptic-root", .p384)
            let classic = try CertificateAuthority(root: "classic-root", .rsa2048)
            let edwards = try CertificateAuthority(root: "edwards-root", .ed448)
            let kinds: [(String, KeyKind, CertificateAuthority)] = [
                ("p256", .p256, elliptic), ("p384", .p384, elliptic), ("p521", .p521, elliptic),
                ("ed25519", .ed25519, elliptic), ("ed448", .ed448, edwards),
                ("rsa2048", .rsa2048, classic), ("rsa4096", .rsa4096, classic),
            ]
            // What both ends demand of the other's chain, and get.
            let demands = ["p384": "ecdsa-384-sha384", "p521": "ecdsa-384-ike:pubkey-sha512", "rsa4096": "rsa-2048"]
            let connections = try kinds.map { name, kind, authority in
                let hosts = (a: "\(name).a.test", b: "\(name).b.test")
                var connection = IKEConnection(
                    name,
                    .certificates(
                        a: try authority.issue(host: hosts.a, kind), b: try authority.issue(host: hosts.b, kind)),
                    settings: ["encap = yes"])
                connection.identities = [.a: hosts.a, .b: hosts.b]
                connection.demand = demands[name]
                return connection
            }
            return IKEConfiguration(connections, authorities: [elliptic, classic, edwards])
        }

        @Test("ECDSA, Ed25519, Ed448 and RSA certificates", arguments: Initiator.allCases)
        func certificates(initiator: Initiator) throws {
            let configuration = try certified()
            try TwoGateways.with { network in
                try IKEPair.with(network, configuration) { pair in
                    for connection in configuration.connections {
                        try pair.upAndDown(connection.name, initiator, bytes: 1 << 16)
                    }
                }
            }
        }

        /// We name no identities: ours is the subject of our certificate, and the peer's that of its own, which it hears.
        @Test("a peer that is known by its certificate alone", arguments: Initiator.allCases)
        func certificatesWithoutIdentities(initiator: Initiator) throws {
            let root = try CertificateAuthority(root: "unnamed-root")
            let (a, b) = (try root.issue(host: "unnamed.a.test"), try root.issue(host: "unnamed.b.test"))
            var theirs = IKEConnection("unnamed", .certificates(a: a, b: b), settings: ["encap = yes"])
            theirs.identities = [
                .a: "C=CH, O=Sluice test, CN=unnamed.a.test", .b: "C=CH, O=Sluice test, CN=unnamed.b.test",
            ]
            var ours = theirs
            ours.identities = [.a: "", .b: ""]
            ours.remoteSettings = ["certs = \(b.certificate)"]
            try TwoGateways.with { network in
                try IKEPair.with(
                    network, IKEConfiguration(ours, authorities: [root]), IKEConfiguration(theirs, authorities: [root]),
                    extra: ["--replay-window", "64"]
                ) { pair in
                    try pair.roles(initiator).first.initiate(of: "unnamed")
                    try pair.awaitChildren(1)
                    // The flag is for negotiated SAs too.
                    let windows = try pair.sluice.gateway.status()["security_associations"].array
                        .compactMap { $0["replay_window"].int }
                    #expect(windows == [64])
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                }
            }
        }

        /// Neither end has a certificate (RFC 7670).
        @Test("raw public keys", arguments: Initiator.allCases)
        func rawPublicKeys(initiator: Initiator) throws {
            let kinds: [(String, KeyKind)] = [
                ("p256", .p256), ("ed25519", .ed25519), ("ed448", .ed448), ("rsa", .rsa2048),
            ]
            let connections = try kinds.map { name, kind in
                var connection = IKEConnection(
                    "raw-\(name)",
                    .rawKeys(a: try RawKey("raw-\(name)-a", kind), b: try RawKey("raw-\(name)-b", kind)),
                    settings: ["encap = yes"])
                connection.identities = [.a: "\(name).a.test", .b: "\(name).b.test"]
                return connection
            }
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(connections)) { pair in
                    for connection in connections { try pair.upAndDown(connection.name, initiator, bytes: 1 << 16) }
                }
            }
        }

        @Test("a TCP stream of iperf3, by the default proposals", arguments: Initiator.allCases)
        func stream(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let connection = IKEConnection(settings: ["encap = yes"])
                try IKEPair.with(network, IKEConfiguration(connection)) { pair in
                    try pair.roles(initiator).first.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    try pair.traffic.echo(from: .b, .ipv4, sizes: [56])
                    #expect(try pair.traffic.stream(from: .a, seconds: 2) > 1 << 20)
                    #expect(try pair.traffic.stream(from: .b, seconds: 2) > 1 << 20)
                }
            }
        }
    }
}
