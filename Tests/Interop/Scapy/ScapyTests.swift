import Foundation
import TestSupport
import Testing

extension LiveGateways {
    /// scapy, an implementation of ESP in Python, as the other end of the tunnel.
    @Suite("scapy's ESP", .serialized)
    struct Scapy {
        static let tunnels = [
            ManualTunnel(.aes128GCM),
            ManualTunnel(.aes256GCM, extendedSequenceNumbers: true),
            ManualTunnel(.aes256GMAC),
            ManualTunnel(.chaCha20Poly1305),
            ManualTunnel(.aes128CBC),
            ManualTunnel(.aes256CTR),
            ManualTunnel(.null),
            ManualTunnel(.aes128GCM, udpEncapsulation: true),
            ManualTunnel(.aes128GCM, outer: .ipv6),
        ]

        @Test("opens our packets, and we open scapy's", arguments: tunnels)
        func bothWays(tunnel: ManualTunnel) throws {
            try GatewayAndPeer.with(.program) { network in
                let peer = try PythonPeer("esp_peer.py", ["uwan", Self.settings(tunnel)], in: network.peer)
                defer { peer.process.kill() }
                let gateway = try SluiceGateway(tunnel.batch(.a), in: network.gateway)
                defer { gateway.process.terminate() }
                try SluiceGateway.explaining([gateway]) {
                    try peer.explaining {
                        // Every length of padding, for blocks of 4 and of 16 bytes, and the largest packets.
                        let sizes = Array(0...17) + [64, 100, 512, 1000, 1300, 1350]
                        for version in IPVersion.allCases {
                            try Traffic(network).echo(from: .a, version, sizes: sizes)
                        }
                        #expect(!peer.process.output.contains("refused"), "\(peer.process.output)")
                    }
                }
            }
        }

        /// What `esp_peer.py` has to know to be side B.
        static func settings(_ tunnel: ManualTunnel) throws -> String {
            func direction(_ from: Side) -> [String: Any] {
                ["spi": Int(tunnel.spi(from: from).value), "keys": tunnel.cipher.keys(from)]
            }
            let settings: [String: Any] = [
                "outer": tunnel.outer.rawValue, "local": Side.b.outer(tunnel.outer),
                "remote": Side.a.outer(tunnel.outer), "udp": tunnel.udpEncapsulation,
                "esn": tunnel.extendedSequenceNumbers, "cipher": tunnel.cipher.description,
                "in": direction(.a), "out": direction(.b),
            ]
            return String(decoding: try JSONSerialization.data(withJSONObject: settings), as: UTF8.self)
        }
    }
}
