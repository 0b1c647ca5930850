import Glibc
import TestSupport
import Testing

extension LiveGateways {
    /// What is for the gateway's host itself.
    @Suite("Packets for the gateway itself", .serialized)
    struct Host {
        /// Policies of the whole network hold the gateway's own address as well.
        @Test("are answered through the tunnel", arguments: IPVersion.allCases, IPVersion.allCases)
        func echo(inner: IPVersion, outer: IPVersion) throws {
            try TwoGateways.with { network in
                try TunnelBetween.with(network, ManualTunnel(outer: outer)) { _ in
                    for side in Side.allCases {
                        let client = try EchoClient(
                            from: network.lan(side), to: side.other.router(inner), inner, dontFragment: false)
                        for size in [0, 56, 1000, 1300, 1400, 4000] {
                            #expect(client.echo(payload: size) == .reply, "\(size) bytes from \(side)")
                        }
                    }
                }
            }
        }

        /// Policies of a network that holds both sites and the outer addresses: all goes through the tunnel but what is between the
        /// gateways themselves, and of that only IKE and ESP leave: the rest should be protected, and is dropped.
        @Test("are answered when the policies hold the peer as well")
        func wholeNetwork() throws {
            let tunnel = ManualTunnel(outer: .ipv6)
            func batch(_ side: Side) -> String {
                tunnel.states
                    + ["out", "in", "fwd"].map { direction in
                        let from = direction == "out" ? side : side.other
                        return "xfrm policy add src fd00::/16 dst fd00::/16 dir \(direction) "
                            + "tmpl src \(from.outer(.ipv6)) dst \(from.other.outer(.ipv6)) proto esp reqid 1 mode tunnel\n"
                    }.joined()
            }
            try TwoGateways.with { network in
                let a = try SluiceGateway(batch(.a), in: network.gatewayA)
                defer { a.process.terminate() }
                let b = try SluiceGateway(batch(.b), in: network.gatewayB)
                defer { b.process.terminate() }
                try SluiceGateway.explaining([a, b]) {
                    for side in Side.allCases {
                        for target in [side.other.host(.ipv6), side.other.router(.ipv6)] {
                            let client = try EchoClient(from: network.lan(side), to: target, .ipv6, dontFragment: false)
                            #expect(client.echo(payload: 100) == .reply, "\(target) from \(side)")
                        }
                    }
                    let outer = try EchoClient(
                        from: network.gatewayA, to: Side.b.outer(.ipv6), .ipv6, dontFragment: false)
                    #expect(outer.echo(payload: 100, attempts: 2, within: .milliseconds(300)) == .lost)
                }
            }
        }

        /// Site A's whole Internet goes through B, its gateway's own protected address too; IKE and ESP do not.
        @Test("are answered when a policy is for everything", arguments: IPVersion.allCases)
        func everything(inner: IPVersion) throws {
            let tunnel = ManualTunnel(outer: .ipv4)
            let all = inner == .ipv4 ? "0.0.0.0/0" : "::/0"
            func batch(_ side: Side) -> String {
                tunnel.states
                    + ["out", "in", "fwd"].map { direction in
                        let isFromA = (direction == "out") == (side == .a)
                        let (from, to) = direction == "out" ? (side, side.other) : (side.other, side)
                        let selectors = isFromA ? (Side.a.prefix(inner), all) : (all, Side.a.prefix(inner))
                        return "xfrm policy add src \(selectors.0) dst \(selectors.1) dir \(direction) "
                            + "tmpl src \(from.outer(.ipv4)) dst \(to.outer(.ipv4)) proto esp reqid 1 mode tunnel\n"
                    }.joined()
            }
            try TwoGateways.with { network in
                let a = try SluiceGateway(batch(.a), in: network.gatewayA)
                defer { a.process.terminate() }
                let b = try SluiceGateway(batch(.b), in: network.gatewayB)
                defer { b.process.terminate() }
                try SluiceGateway.explaining([a, b]) {
                    for target in [Side.a.host(inner), Side.a.router(inner)] {
                        let client = try EchoClient(from: network.lanB, to: target, inner, dontFragment: false)
                        #expect(client.echo(payload: 100) == .reply, "\(target)")
                    }
                    // Its neighbours on the LAN are none of the tunnel's business.
                    let near = try EchoClient(from: network.lanA, to: Side.a.router(inner), inner, dontFragment: false)
                    #expect(near.echo(payload: 100) == .reply)
                }
            }
        }

        /// RFC 3948 section 2.3: a NAT keepalive is ignored by who receives it, whether or not IKE is there.
        @Test("are swallowed when they are NAT keepalives", arguments: IPVersion.allCases)
        func keepalive(version: IPVersion) throws {
            try GatewayAndPeer.with(.program) { network in
                let gateway = try SluiceGateway(
                    ManualTunnel(outer: version, udpEncapsulation: true).batch(.a), in: network.gateway)
                defer { gateway.process.terminate() }
                try SluiceGateway.explaining([gateway]) {
                    let keepalive = try answer(to: [0xFF], from: network.peer, version, port: 4500)
                    #expect(keepalive == 0)
                    let other = try answer(to: [0xFF], from: network.peer, version, port: 4501)
                    #expect(other == ECONNREFUSED)
                }
            }
        }

        /// Sends a datagram to gateway A; the error that comes back as ICMP within a second, 0 for none.
        private func answer(
            to payload: [UInt8], from namespace: NetworkNamespace, _ version: IPVersion, port: UInt16
        ) throws -> Int32 {
            let socket = try DatagramSocket(from: namespace, to: Side.a.outer(version), port: port, version)
            // The first may wait for the hardware address.
            for _ in 0..<3 {
                let error = socket.exchange(payload, within: .milliseconds(400))
                if error != 0 { return error }
            }
            return 0
        }
    }
}
