import TestSupport
import Testing

extension LiveGateways {
    /// The network around a gateway changes while it runs.
    @Suite("Changes around a running gateway", .serialized)
    struct Changes {
        /// Runs `body` with a tunnel that has carried something.
        private func withTunnel(
            _ mode: String = "auto", _ body: (TwoGateways, borrowing TunnelBetween, Traffic) throws -> Void
        ) throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel(), GatewayOptions(mode: mode)) { gateways in
                    let traffic = Traffic(network)
                    try traffic.echoEveryWay(sizes: [56, 1000])
                    try body(copy network, gateways, traffic)
                }
            }
        }

        /// Waits until echoes pass again both ways; what was lost meanwhile is lost.
        private func awaitRecovery(_ network: TwoGateways, _ version: IPVersion) throws {
            for side in Side.allCases {
                let client = try EchoClient(
                    from: network.lan(side), to: side.other.host(version), version, dontFragment: false)
                // An entry of the kernel may count as reachable for 45 s before it is verified (RFC 4861 section 6.3.2).
                try eventually("\(version) echo from \(side)", within: .seconds(180)) {
                    client.echo(payload: 200, attempts: 1, within: .milliseconds(300)) == .reply
                }
            }
        }

        @Test("a link goes down and comes up again", arguments: ["wan0", "lan0"], ["native", "generic"])
        func link(port: String, mode: String) throws {
            try withTunnel(mode) { network, gateways, traffic in
                let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                try network.gatewayA.ip("link set \(port) down")
                #expect(client.echo(payload: 56, attempts: 2, within: .milliseconds(200)) == .lost)
                try network.gatewayA.ip("link set \(port) up")
                // The kernel forgets IPv6 addresses of a link that goes down.
                let address = port == "wan0" ? Side.a.outer(.ipv6) : Side.a.router(.ipv6)
                try network.gatewayA.ip("addr replace \(address)/64 dev \(port) nodad")
                try awaitRecovery(network, .ipv4)
                try awaitRecovery(network, .ipv6)
                try traffic.transfer(1 << 20, from: .a, .ipv4)
                #expect(gateways.a.isAlive && gateways.b.isAlive)
            }
        }

        @Test("the peer's hardware address changes and the peer says so")
        func peerAddressAnnounced() throws {
            try withTunnel { network, gateways, traffic in
                try network.gatewayB.sysctl("net.ipv4.conf.wan0.arp_notify=1")
                try network.gatewayB.ip(
                    "link set wan0 down", "link set wan0 address 02:00:00:00:99:77", "link set wan0 up",
                    "addr replace \(Side.b.outer(.ipv6))/64 dev wan0 nodad")
                try awaitRecovery(network, .ipv4)
                try awaitRecovery(network, .ipv6)
                try traffic.transfer(1 << 20, from: .b, .ipv4)
            }
        }

        /// The kernel sees none of the packets that go through AF_XDP, so it takes the neighbour for unused; the gateway
        /// has to keep asking, or it would send to the old address for ever.
        @Test("the peer's hardware address changes and nobody says so")
        func peerAddressSilent() throws {
            try withTunnel { network, gateways, traffic in
                try network.gatewayA.sysctl(
                    "net.ipv4.neigh.wan0.base_reachable_time_ms=1000", "net.ipv4.neigh.wan0.delay_first_probe_time=1",
                    "net.ipv4.neigh.wan0.retrans_time_ms=200")
                try network.gatewayB.sysctl("net.ipv4.conf.wan0.arp_notify=0")
                try network.gatewayB.ip("link set wan0 address 02:00:00:00:99:78")
                try awaitRecovery(network, .ipv4)
                try traffic.transfer(1 << 20, from: .b, .ipv4)
            }
        }

        @Test("a host on the LAN changes its hardware address")
        func hostAddress() throws {
            try withTunnel { network, gateways, traffic in
                try network.lanB.sysctl("net.ipv4.conf.eth0.arp_notify=1")
                try network.lanB.ip(
                    "link set eth0 down", "link set eth0 address 02:00:00:00:02:77", "link set eth0 up",
                    "addr replace \(Side.b.host(.ipv6))/64 dev eth0 nodad",
                    "route replace default via \(Side.b.router(.ipv4))",
                    "route replace ::/0 via \(Side.b.router(.ipv6))")
                try awaitRecovery(network, .ipv4)
                try awaitRecovery(network, .ipv6)
            }
        }

        @Test("keyed by hand, nothing leaves from an address that the host has lost, and all is well when it is back")
        func ownAddress() throws {
            try withTunnel { network, gateways, traffic in
                let outer = Side.a.outer(.ipv4)
                let client = try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
                try network.gatewayA.ip("addr del \(outer)/24 dev wan0", "addr add 10.99.0.77/24 dev wan0")
                try eventually("status says so", within: .seconds(10)) {
                    try gateways.a.status()["security_associations"].array.contains {
                        $0["events"].array.contains { $0.string == "no-source-address" }
                    }
                }
                let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                #expect(client.echo(payload: 56, attempts: 3, within: .milliseconds(200)) == .lost)
                let source = outer.split(separator: ".").compactMap { UInt8($0) }
                let frames = capture.stop().filter { $0.count > 34 && Array($0[26..<30]) == source && $0[12] == 8 }
                #expect(frames.isEmpty, "\(frames.count) frames from \(outer)")
                try network.gatewayA.ip("addr add \(outer)/24 dev wan0")
                try awaitRecovery(network, .ipv4)
                try traffic.transfer(1 << 20, from: .a, .ipv4)
            }
        }
    }
}
