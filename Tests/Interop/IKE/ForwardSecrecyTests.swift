import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Whether CHILD_SAs have key exchanges of their own: the default serves peers that demand one and peers that want none.
    @Suite("forward secrecy", .serialized)
    struct ForwardSecrecy {
        @Test(
            "the default against strongSwan: rekeyed from both ends",
            arguments: ["aes256gcm16-ecp384", "aes128-sha256-modp3072", "aes256gcm16", "aes128gcm16-x25519-none"])
        func theDefault(proposals: String) throws {
            try TwoGateways.with { network in
                func configuration(_ proposals: String) -> IKEConfiguration {
                    IKEConfiguration(
                        IKEConnection(children: [IKEChild(proposals: proposals)], settings: ["encap = yes"]))
                }
                try IKEPair.with(network, configuration("default"), configuration(proposals)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    for initiator in [Initiator.sluice, .peer, .sluice, .peer] {
                        let before = Set(try pair.sluice.associations().inboundSPIs)
                        try pair.roles(initiator).first.control("--rekey", "--child", "net")
                        try eventually("a rekey, by \(initiator)", within: .seconds(30), every: .milliseconds(20)) {
                            let list = try pair.sluice.associations()
                            return list.count("INSTALLED") == 1 && before.isDisjoint(with: list.inboundSPIs)
                        }
                        try pair.awaitChildren(1)
                        for side in Side.allCases { try pair.traffic.echo(from: side, .ipv4, sizes: [56, 1300]) }
                    }
                }
            }
        }

        /// RFC 8247: MUST-, and what old peers have.
        @Test("SHA-1 for IKE, and weak groups where they are allowed", arguments: Initiator.allCases)
        func legacy(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let connections = ["modp2048", "modp1024", "modp1536"].map { group in
                    IKEConnection(
                        group, proposals: "aes128-sha1-\(group)",
                        children: [IKEChild(proposals: "aes128-sha1-\(group)")],
                        settings: ["encap = yes"])
                }
                let all = IKEConnection(
                    "all", proposals: connections.map(\.proposals).joined(separator: ","),
                    children: [IKEChild(proposals: connections.map(\.proposals).joined(separator: ","))],
                    settings: ["encap = yes"])
                try IKEPair.with(network, IKEConfiguration([all] + connections), extra: ["--allow-weak"]) { pair in
                    for connection in connections { try pair.upAndDown(connection.name, initiator, bytes: 1 << 16) }
                }
            }
        }
    }
}
