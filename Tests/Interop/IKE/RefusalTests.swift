import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Negotiations that must fail, and what Sluice says about them.
    @Suite("refusals explain themselves", .serialized)
    struct Refusals {
        /// A negotiation that both ends must agree to fail, and words of one record in Sluice's log.
        struct Case: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var ours: IKEConnection
            var theirs: IKEConnection
            /// When Sluice answered, and when it began.
            var asResponder: [String]
            var asInitiator: [String]
        }

        /// Initiates each case, which must fail, and looks for the explanation in what Sluice logged meanwhile.
        private func refuse(
            _ cases: [Case], _ initiator: Initiator, authorities: [CertificateAuthority] = [],
            revocationLists: [String] = []
        ) throws {
            var ours = IKEConfiguration(cases.map(\.ours), authorities: authorities)
            ours.revocationLists = revocationLists
            var theirs = IKEConfiguration(cases.map(\.theirs), authorities: authorities)
            theirs.revocationLists = revocationLists
            try TwoGateways.with { network in
                // The notifications of both ends are in the lines of messages.
                try IKEPair.with(network, ours, theirs, extra: ["--log-level", "debug"]) { pair in
                    for example in cases {
                        let offset = pair.sluice.log.count
                        let name = (initiator == .sluice ? example.ours : example.theirs).name
                        let result = try pair.roles(initiator).first.swanctl(
                            ["--initiate", "--ike", name, "--child", "net", "--timeout", "30"], within: .seconds(90))
                        #expect(result.status != 0, "\(example.testDescription): \(result.all)")
                        let words = initiator == .sluice ? example.asInitiator : example.asResponder
                        try eventually("\(example.testDescription): a record with \(words)", within: .seconds(20)) {
                            let text = pair.sluice.log.dropFirst(offset)
                            return words.allSatisfy { text.localizedCaseInsensitiveContains($0) }
                        }
                        // An IKE SA whose child was refused stays (RFC 7296 section 1.2).
                        #expect(try pair.sluice.associations().inboundSPIs.isEmpty)
                    }
                }
            }
        }

        /// A connection by pre-shared key with identities of its own, as connections are told apart by them.
        private func keyed(_ name: String) -> IKEConnection {
            var connection = IKEConnection(name, settings: ["encap = yes"])
            connection.identities = [.a: "\(name).a.test", .b: "\(name).b.test"]
            return connection
        }

        @Test("wrong pre-shared key, wrong identity", arguments: Initiator.allCases)
        func sharedKeys(initiator: Initiator) throws {
            let key = keyed("key")
            var otherKey = key
            otherKey.authentication = .preSharedKey("another one altogether")
            let identity = keyed("identity")
            var otherIdentity = identity
            otherIdentity.identities[.b] = "somebody-else.test"
            try refuse(
                [
                    Case(
                        testDescription: "wrong key", ours: key, theirs: otherKey,
                        asResponder: ["authentication failed", "identity tried: key.b.test", "secrets.ike-key"],
                        asInitiator: ["AUTHENTICATION_FAILED"]),
                    Case(
                        testDescription: "wrong identity", ours: identity, theirs: otherIdentity,
                        asResponder: ["somebody-else.test"], asInitiator: ["AUTHENTICATION_FAILED"]),
                ], initiator)
        }

        @Test("expired and revoked certificates, an unknown authority", arguments: Initiator.allCases)
        func certificates(initiator: Initiator) throws {
            let root = try CertificateAuthority(root: "root")
            let stranger = try CertificateAuthority(root: "stranger")
            let revoked = try root.issue(host: "revoked.b.test")
            func connection(_ name: String, _ theirs: IssuedCertificate) throws -> IKEConnection {
                var connection = keyed(name)
                connection.authentication = .certificates(a: try root.issue(host: "\(name).a.test"), b: theirs)
                connection.remoteSettings = ["revocation = ifuri"]
                return connection
            }
            let connections = [
                try connection("expired", root.issue(host: "expired.b.test", .p256, .expired)),
                try connection("revoked", revoked),
                try connection("unknown", stranger.issue(host: "unknown.b.test")),
            ]
            let words = ["expired at 2020-02-01", "was revoked at", "not among the trusted authorities"]
            try refuse(
                zip(connections, words).map { connection, word in
                    Case(
                        testDescription: connection.name, ours: connection, theirs: connection,
                        asResponder: ["authentication failed", word], asInitiator: ["authentication failed", word])
                }, initiator, authorities: [root], revocationLists: [try root.revocationList([revoked])])
        }

        @Test("a raw public key that is not the one we know", arguments: Initiator.allCases)
        func anotherRawKey(initiator: Initiator) throws {
            let (own, known) = (try RawKey("raw-own", .ed25519), try RawKey("raw-known", .ed25519))
            var ours = keyed("raw")
            ours.authentication = .rawKeys(a: own, b: known)
            var theirs = ours
            theirs.authentication = .rawKeys(a: own, b: try RawKey("raw-unknown", .ed25519))
            let words = ["authentication failed", "identity tried: raw.b.test", "the signature does not verify"]
            try refuse(
                [
                    Case(
                        testDescription: "another key", ours: ours, theirs: theirs, asResponder: words,
                        asInitiator: words)
                ], initiator)
        }

        @Test("keys and signatures of the peer's chain that are weaker than we demand", arguments: Initiator.allCases)
        func weakChains(initiator: Initiator) throws {
            let root = try CertificateAuthority(root: "p384-root", .p384)
            let middle = try root.intermediate("p256-middle", .p256)
            func example(_ demand: String, _ theirs: IssuedCertificate, _ words: [String]) throws -> Case {
                let name = "demand-\(demand.filter(\.isNumber))"
                var connection = keyed(name)
                connection.authentication = .certificates(a: try root.issue(host: "\(name).a.test", .p384), b: theirs)
                connection.intermediates = [.b: [middle.authority.certificate]]
                var ours = connection
                ours.demand = demand
                let words = ["authentication failed", "connections.\(name).remote.auth = \(demand)"] + words
                return Case(
                    testDescription: demand, ours: ours, theirs: connection, asResponder: words, asInitiator: words)
            }
            try refuse(
                [
                    example(
                        "ecdsa-384", middle.issue(host: "demand-384.b.test", .p384),
                        ["CN=p256-middle\" is ECDSA with 256 bits", "keys accepted: ECDSA from 384 bits"]),
                    example(
                        "ecdsa-521", root.issue(host: "demand-521.b.test", .p384),
                        ["CN=demand-521.b.test\" is ECDSA with 384 bits", "keys accepted: ECDSA from 521 bits"]),
                    example(
                        "ecdsa-sha512-ike:pubkey", root.issue(host: "demand-512.b.test", .p384),
                        ["is signed by ECDSA with sha384", "signatures accepted: ECDSA with sha512"]),
                ], initiator, authorities: [root])
        }

        /// Each of these has daemons of its own: a responder finds a connection for IKE_SA_INIT by its address alone.
        static let disagreements: [Case] = {
            let plain = IKEConnection(settings: ["encap = yes"])
            var exchange = plain
            exchange.proposals = "aes256-sha256-modp2048"
            var strict = plain
            strict.proposals = "aes256gcm16-prfsha384-ecp384"
            var cipher = plain
            cipher.children = [IKEChild(proposals: "aes128-sha256")]
            var otherCipher = plain
            otherCipher.children = [IKEChild(proposals: "aes256gcm16")]
            var selectors = plain
            selectors.children = [
                IKEChild(inner: [], settings: ["local_ts = 172.20.0.0/16", "remote_ts = 172.21.0.0/16"])
            ]
            return [
                Case(
                    testDescription: "no common IKE proposal", ours: strict, theirs: exchange,
                    asResponder: ["NO_PROPOSAL_CHOSEN", "aes256gcm16-prfsha384-ecp384", "connections.site.proposals"],
                    asInitiator: ["NO_PROPOSAL_CHOSEN", "aes256gcm16-prfsha384-ecp384", "connections.site.proposals"]),
                Case(
                    testDescription: "no common ESP proposal", ours: otherCipher, theirs: cipher,
                    asResponder: ["NO_PROPOSAL_CHOSEN", "AES_CBC-128", "aes256gcm16", "children.net.esp_proposals"],
                    asInitiator: ["NO_PROPOSAL_CHOSEN", "aes256gcm16", "children.net.esp_proposals"]),
                Case(
                    testDescription: "no common traffic", ours: plain, theirs: selectors,
                    asResponder: ["TS_UNACCEPTABLE", "172.20.0.0/16", "children.net.remote_ts"],
                    asInitiator: ["TS_UNACCEPTABLE", "192.168.2.0/24", "children.net.remote_ts"]),
            ]
        }()

        @Test("nothing in common", arguments: disagreements, Initiator.allCases)
        func disagree(example: Case, initiator: Initiator) throws { try refuse([example], initiator) }

        @Test("`sluice initiate` shows the negotiation, and fails with the reason")
        func client() throws {
            try TwoGateways.with { network in
                let connection = IKEConnection(settings: ["encap = yes"])
                var other = connection
                other.authentication = .preSharedKey("another one altogether")
                try IKEPair.with(network, IKEConfiguration(connection), IKEConfiguration(other)) { pair in
                    let failed = try pair.sluice.sluice("initiate", "--child", "net")
                    #expect(failed.status != 0)
                    #expect(failed.all.contains("AUTHENTICATION_FAILED"), "\(failed.all)")
                }
                try IKEPair.with(network, IKEConfiguration(connection)) { pair in
                    let made = try pair.sluice.sluice("initiate", "--child", "net")
                    #expect(made.status == 0, "\(made.all)")
                    #expect(made.all.contains("IKE_SA_INIT") && made.all.contains("IKE_AUTH"), "\(made.all)")
                    try pair.awaitChildren(1)
                }
            }
        }
    }
}
