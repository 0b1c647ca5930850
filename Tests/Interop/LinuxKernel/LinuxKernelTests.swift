import TestSupport
import Testing

extension LiveGateways {
    /// A site-to-site tunnel whose other end is the Linux kernel's ESP, both ends told by the same `ip xfrm` lines.
    @Suite("Linux kernel's ESP", .serialized, BootedLinux())
    struct LinuxKernel {
        static let tunnels = [
            ManualTunnel(.aes128GCM),
            ManualTunnel(.aes256GCM),
            ManualTunnel(.aes128GCM, extendedSequenceNumbers: true),
            ManualTunnel(.aes128CBC),
            ManualTunnel(.aes128CBC, extendedSequenceNumbers: true),
            ManualTunnel(.aes128CBC96),
            ManualTunnel(.aes128GCM, firstSPI: 0x21),
            ManualTunnel(.chaCha20Poly1305),
            ManualTunnel(.aes256CTR),
            ManualTunnel(.aes256GMAC),
            ManualTunnel(.null),
            ManualTunnel(.aes128GCM, udpEncapsulation: true),
            ManualTunnel(.aes256GCM, outer: .ipv6),
            ManualTunnel(.aes128CBC, outer: .ipv6, extendedSequenceNumbers: true),
        ]

        @Test("carries pings and a file both ways", arguments: tunnels)
        func bothWays(tunnel: ManualTunnel) throws {
            let laboratory = try #require(BootedLinux.current)
            try laboratory.linux.configure(tunnel)
            let gateway = try SluiceGateway(tunnel.batch(.a), in: laboratory.network.gateway)
            defer { gateway.process.terminate() }
            let traffic = Traffic(laboratory.network)
            try explaining(gateway, laboratory.linux) {
                // Linux fragments a large IPv4 packet without DF after it has encrypted it, so IPv4 goes up to the largest that always fits.
                let sizes = [0, 1, 2, 3, 56, 1000] + Array(1358...1378)
                for side in Side.allCases {
                    try traffic.echo(from: side, .ipv4, sizes: sizes)
                    try traffic.echo(from: side, .ipv6, sizes: sizes + [1452, 1453, 4000])
                }
                for version in IPVersion.allCases {
                    for side in Side.allCases { try traffic.transfer(1 << 20, from: side, version) }
                }
            }
        }

        /// Runs `body`; when it fails, the error tells what both ends saw.
        private func explaining(_ gateway: SluiceGateway, _ linux: LinuxPeer, _ body: () throws -> Void) throws {
            do { try SluiceGateway.explaining([gateway], body) } catch {
                let counters = (try? linux.errorCounters()) ?? "no counters"
                throw NeverHappened(description: "\(error)\n=== Linux\n\(counters)")
            }
        }
    }
}
