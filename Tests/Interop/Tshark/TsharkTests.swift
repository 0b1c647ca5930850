import Packets
import TestSupport
import Testing

extension LiveGateways {
    /// tshark, which was not written by us, decrypts what two gateways say to each other and checks every ICV.
    @Suite("tshark", .serialized)
    struct Tshark {
        /// A tunnel and the names that tshark has for its algorithms.
        struct Reading: Sendable, CustomTestStringConvertible {
            var tunnel: ManualTunnel
            var encryption: String
            var integrity = "NULL"
            /// Which of the tunnel's keys is for encryption and which for integrity.
            var encryptionKey: Int?
            var integrityKey: Int?

            var testDescription: String { tunnel.description }

            /// tshark's table entry for the packets that leave one side.
            func entry(_ from: Side) -> String {
                let keys = tunnel.cipher.keys(from).map { "0x" + $0 }
                let columns = [
                    tunnel.outer == .ipv4 ? "IPv4" : "IPv6", from.outer(tunnel.outer), from.other.outer(tunnel.outer),
                    tunnel.spi(from: from).description, encryption,
                    encryptionKey.map { keys[$0] } ?? "", integrity, integrityKey.map { keys[$0] } ?? "",
                ]
                return "uat:esp_sa:" + columns.map { "\"\($0)\"" }.joined(separator: ",")
            }

            private static let gcm = "AES-GCM with 16 octet ICV [RFC4106]"

            static let all = [
                Reading(tunnel: ManualTunnel(.aes128GCM), encryption: gcm, encryptionKey: 0),
                Reading(tunnel: ManualTunnel(.aes256GCM, outer: .ipv6), encryption: gcm, encryptionKey: 0),
                Reading(tunnel: ManualTunnel(.aes128GCM, udpEncapsulation: true), encryption: gcm, encryptionKey: 0),
                Reading(
                    tunnel: ManualTunnel(.aes128CBC), encryption: "AES-CBC [RFC3602]",
                    integrity: "HMAC-SHA-256-128 [RFC4868]", encryptionKey: 1, integrityKey: 0),
                Reading(
                    tunnel: ManualTunnel(.aes256CTR), encryption: "AES-CTR [RFC3686]",
                    integrity: "HMAC-SHA-384-192 [RFC4868]", encryptionKey: 1, integrityKey: 0),
                Reading(
                    tunnel: ManualTunnel(.null), encryption: "NULL", integrity: "HMAC-SHA-512-256 [RFC4868]",
                    integrityKey: 0),
            ]
        }

        @Test("reads our packets and finds every ICV correct", arguments: Reading.all)
        func reads(reading: Reading) throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, reading.tunnel) { _ in
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    let sizes = Array(0...17) + [64, 1000, 1350]
                    try Traffic(network).echo(from: .a, .ipv4, sizes: sizes)
                    try Traffic(network).echo(from: .b, .ipv6, sizes: sizes)
                    try check(capture.stop(), reading, least: sizes.count)
                }
            }
        }

        /// One line per ESP packet from tshark: SPI, good ICV, bad ICV, ICMP type, ICMPv6 type.
        private func check(_ frames: [[UInt8]], _ reading: Reading, least: Int) throws {
            let file = TestRun.current.scratchPath("tshark.pcap")
            try PacketCapture.write(frames, to: file)
            var command = [
                "tshark", "-n", "-r", file, "-o", "esp.enable_encryption_decode:TRUE",
                "-o", "esp.enable_authentication_check:TRUE", "-Y", "esp", "-T", "fields", "-E", "separator=;",
            ]
            for side in Side.allCases { command += ["-o", reading.entry(side)] }
            for field in ["esp.spi", "esp.icv_good", "esp.icv_bad", "icmp.type", "icmpv6.type"] {
                command += ["-e", field]
            }
            let lines = try run(command, timeout: .seconds(120)).split(separator: "\n").map(String.init)
            let encrypted = frames.filter { [.esp, .udpEncapsulatedESP].contains(WireContent($0)) }.count
            #expect(lines.count == encrypted)
            let expected = Set(["0x00001000;1;0;8;", "0x00002000;1;0;0;", "0x00002000;1;0;;128", "0x00001000;1;0;;129"])
            #expect(Set(lines) == expected, "\(Set(lines))")
            for line in expected {
                #expect(lines.filter { $0 == line }.count >= least, "\(line)")
            }
        }
    }
}
