import TestSupport
import Testing

extension LiveGateways {
    /// A host behind one gateway looks for hosts behind the other one, thousands of addresses that nobody has.
    @Suite("A scan through the tunnel", .serialized)
    struct Scan {
        @Test("leaves other hosts their neighbours, and the kernel's table its room")
        func starvesNobody() throws {
            try TwoGateways.with { network in
                // Not one that the host uses by itself.
                try network.lanA.ip("addr add fd00:1::66/64 dev eth0 nodad preferred_lft 0")
                try network.lanB.ip(
                    "addr add fd00:2::7001/64 dev eth0 nodad", "addr add fd00:2::7002/64 dev eth0 nodad",
                    "addr add fd00:2::7003/64 dev eth0 nodad")
                try TunnelBetween.with(network, ManualTunnel()) { gateways in
                    try Traffic(network).echo(from: .a, .ipv6, sizes: [56])
                    let scanner = try Scanner(from: network.lanA, source: "fd00:1::66", .ipv6)
                    for round in 1...3 {
                        try scanner.probe((0..<3000).lazy.map { "fd00:2::\(round):\(String($0, radix: 16))" })
                        // Nobody has asked for this one yet.
                        let fresh = try EchoClient(
                            from: network.lanA, to: "fd00:2::700\(round)", .ipv6, dontFragment: false)
                        #expect(fresh.echo(payload: 56, attempts: 4, within: .seconds(1)) == .reply)
                        let known = try EchoClient(
                            from: network.lanA, to: Side.b.host(.ipv6), .ipv6, dontFragment: false)
                        #expect(known.echo(payload: 56, attempts: 1, within: .seconds(1)) == .reply)
                    }
                    let lines = try run(["ip", "-n", network.gatewayB.name, "-6", "neigh", "show", "dev", "lan0"])
                        .split(separator: "\n")
                    #expect(lines.count < 300, "\(lines.count) entries")
                    #expect(lines.count { $0.hasPrefix("fd00:2::700") && !$0.hasSuffix("FAILED") } == 3)
                }
            }
        }
    }
}
