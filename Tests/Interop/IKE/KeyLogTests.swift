import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// `--ike-keylog`: tshark, which was not written by us, reads with it what two gateways say to each other.
    @Suite("key log", .serialized)
    struct KeyLog {
        @Test("tshark reads IKE and ESP with it", arguments: ["aes256gcm16-prfsha384-x25519", "aes128-sha256-ecp256"])
        func tshark(proposal: String) throws {
            try TwoGateways.with { network in
                let keys = TestRun.current.scratchPath("\(proposal).keys")
                let child = proposal.contains("gcm") ? "aes256gcm16" : "aes128-sha256"
                let configuration = IKEConfiguration(
                    IKEConnection(proposals: proposal, children: [IKEChild(proposals: child)]))
                let twin = try SluiceDaemon(SwanctlFolder("b", configuration, .b), in: network.gatewayB)
                defer { twin.stop() }
                try IKEPair.with(
                    SwanctlFolder("a", configuration, .a), in: network.gatewayA, peer: twin, Traffic(copy network),
                    extra: ["--ike-keylog", keys]
                ) { pair in
                    try pair.sluice.awaitLog("warning", "keys of all SAs are written to \(keys)")
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56, 1000])
                    try pair.sluice.control("--rekey", "--child", "net")
                    try pair.sluice.awaitLog("CHILD_SA was rekeyed")
                    try pair.traffic.echo(from: .b, .ipv4, sizes: [56])
                    try check(capture.stop(), keys)
                }
            }
        }

        private func check(_ frames: [[UInt8]], _ keys: String) throws {
            let file = TestRun.current.scratchPath("keylog.pcap")
            try PacketCapture.write(frames, to: file)
            var options = ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
            for (table, path) in [("ikev2_decryption_table", keys), ("esp_sa", keys + ".esp")] {
                let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
                // One IKE SA; a CHILD_SA and the one that replaced it, both directions.
                try #require(lines.count == (table == "esp_sa" ? 4 : 1), "\(lines.count) lines")
                for line in lines { options += ["-o", "uat:\(table):\(line)"] }
            }
            func fields(_ filter: String, _ names: String...) throws -> [String] {
                let command =
                    ["tshark", "-n", "-r", file] + options + ["-Y", filter, "-T", "fields", "-E", "separator=;"]
                return try run(command + names.flatMap { ["-e", $0] }, timeout: .seconds(120))
                    .split(separator: "\n").map(String.init)
            }
            // The identities are in what is encrypted.
            let identities = try fields("isakmp.exchangetype == 35", "isakmp.id.data.fqdn")
            #expect(identities.contains { $0.contains("a.sluice.test") }, "\(identities)")
            #expect(identities.contains { $0.contains("b.sluice.test") }, "\(identities)")
            let packets = try fields("esp", "esp.icv_good", "esp.icv_bad", "icmp.type")
            #expect(packets.count >= 6)
            #expect(Set(packets) == ["1;0;8", "1;0;0"], "\(Set(packets))")
        }
    }
}
