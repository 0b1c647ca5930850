import TestSupport
import Testing

extension LiveGateways {
    /// What happens to packets that do not fit once ESP is around them (RFC 4301 section 8, RFC 1191, RFC 8201).
    @Suite("Packets too big for the tunnel", .serialized)
    struct PathMTU {
        /// Bytes of IP and ICMP header in front of an echo's payload.
        private static func headers(_ version: IPVersion) -> Int { version == .ipv4 ? 28 : 48 }

        /// The MTU that the kernel of host A has learned for host B; nil when none.
        private func learnedMTU(_ host: NetworkNamespace, _ version: IPVersion) throws -> Int? {
            let words = try run(["ip", "-n", host.name, "route", "get", Side.b.host(version)])
                .split(whereSeparator: \.isWhitespace)
            return words.firstIndex(of: "mtu").flatMap { Int(words[$0 + 1]) }
        }

        @Test(
            "are answered with the size that fits, which then passes", arguments: IPVersion.allCases, IPVersion.allCases
        )
        func learned(inner: IPVersion, outer: IPVersion) throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel(outer: outer)) { gateways in
                    let mtu = try #require(try gateways.a.status().tunnelMTU)
                    #expect((1380...1460).contains(mtu))
                    try checkLearning(network, inner, mtu: mtu)
                }
            }
        }

        /// Host A sends too much, learns `mtu`, and can then use every byte of it but not one more.
        private func checkLearning(_ network: borrowing TwoGateways, _ inner: IPVersion, mtu: Int) throws {
            // An IPv6 host fragments its echoes to what it has learned; DF exists in IPv4 alone.
            let client = try EchoClient(
                from: network.lanA, to: Side.b.host(inner), inner, dontFragment: true)
            try eventually("path MTU learned by host A") {
                _ = client.echo(payload: 1500 - Self.headers(inner), attempts: 1, within: .milliseconds(300))
                return try learnedMTU(network.lanA, inner) == mtu
            }
            try #require(client.echo(payload: mtu - Self.headers(inner)) == .reply)
            if inner == .ipv4 {
                #expect(client.echo(payload: mtu - Self.headers(inner) + 1) == .tooBig)
            } else {
                #expect(client.echo(payload: mtu - Self.headers(inner) + 1) == .reply)
            }
        }

        @Test("are fragmented before encryption when they may be")
        func fragmented() throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel()) { gateways in
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    try Traffic(network).echo(from: .a, .ipv4, sizes: [1450, 1472, 1473, 3000, 8000, 30000, 65507 - 8])
                    let frames = capture.stop()
                    // No outer fragments: the gateway at the other end would have to put them together.
                    let fragments = frames.filter { WireContent($0) == .esp && ($0[20] & 0x3f != 0 || $0[21] != 0) }
                    #expect(fragments.isEmpty)
                    #expect(frames.allSatisfy { $0.count <= 1514 })
                    #expect(try learnedMTU(network.lanA, .ipv4) == nil)
                }
            }
        }

        /// Every link has to carry IPv6 packets of 1280 bytes (RFC 8200 section 5): sealed they are larger than the path, and
        /// go in outer fragments.
        @Test("pass a path of 1280 bytes in IPv6, in fragments", arguments: IPVersion.allCases, [false, true])
        func narrowPath(outer: IPVersion, udp: Bool) throws {
            try TwoGateways.with { network in
                for gateway in [network.gatewayA, network.gatewayB] { try gateway.ip("link set wan0 mtu 1280") }
                try TunnelBetween.with(network, ManualTunnel(outer: outer, udpEncapsulation: udp)) { gateways in
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    let traffic = Traffic(network)
                    for side in Side.allCases {
                        try traffic.echo(from: side, .ipv6, sizes: [56, 1150, 1200, 1231, 1232, 1233, 1400, 3000])
                        try traffic.transfer(1 << 20, from: side, .ipv6)
                    }
                    try traffic.transfer(1 << 20, from: .a, .ipv4)
                    #expect(try learnedMTU(network.lanA, .ipv6) == 1280)
                    let frames = capture.stop()
                    #expect(frames.allSatisfy { $0.count <= 1294 })
                    let fragments = frames.filter { frame in
                        outer == .ipv4 ? frame[20] & 0x3F != 0 || frame[21] != 0 : frame[20] == 44
                    }
                    #expect(fragments.count > 1000)
                }
            }
        }

        @Test("follow a change of the WAN's MTU")
        func changed() throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel()) { gateways in
                    let traffic = Traffic(network)
                    try traffic.echo(from: .a, .ipv4, sizes: [56, 1400])
                    let before = try #require(try gateways.a.status().tunnelMTU)
                    try network.gatewayA.ip("link set wan0 mtu 1400")
                    try network.gatewayB.ip("link set wan0 mtu 1400")
                    try eventually("smaller tunnel MTU") {
                        guard let now = try gateways.a.status().tunnelMTU else { return false }
                        return now < before && now >= before - 104
                    }
                    let mtu = try #require(try gateways.a.status().tunnelMTU)
                    try checkLearning(network, .ipv4, mtu: mtu)
                    try checkLearning(network, .ipv6, mtu: mtu)
                    for version in IPVersion.allCases { try traffic.transfer(1 << 20, from: .a, version) }
                }
            }
        }
    }
}
