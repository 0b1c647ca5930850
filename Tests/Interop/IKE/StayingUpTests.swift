import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Peers that refuse, forget and cross, and paths that swallow some messages: the tunnel stays.
    @Suite("staying up", .serialized)
    struct StayingUp {
        /// IKE messages on port 4500, which have a non-ESP marker.
        private static let ike = "udp dport 4500 @th,64,32 0"
        /// Those of INFORMATIONAL exchanges, by the exchange type in the header.
        private static let informational = ike + " @th,240,8 37"

        private let quiet = IKEConnection(settings: ["encap = yes"])

        /// The first CHILD_SA needs no key exchange of its own, its successors do, and the peer wants none.
        @Test("a peer that refuses every rekey: a new IKE SA takes over in time")
        func refusedRekeys() throws {
            try TwoGateways.with { network in
                var ours = quiet
                ours.children = [
                    IKEChild(
                        proposals: "aes128gcm16-x25519",
                        settings: ["rekey_time = 4s", "life_time = 16s", "rand_time = 0s"])
                ]
                var theirs = quiet
                theirs.children = [IKEChild(proposals: "aes128gcm16", settings: ["rekey_time = 0s", "life_time = 0s"])]
                try IKEPair.with(network, IKEConfiguration(ours), IKEConfiguration(theirs)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let before = try pair.sluice.associations()
                    let load = try CountedLoad(
                        from: network.lanA, to: network.lanB, address: Side.b.host(.ipv4), rate: 500)
                    Thread.sleep(forTimeInterval: 40)
                    let count = load.stop()
                    let after = try pair.sluice.associations()
                    #expect(Set(after.ikeSPIs).isDisjoint(with: before.ikeSPIs))
                    guard count.lost == 0 else { throw NeverHappened(description: "\(count)") }
                    try pair.awaitTraffic(from: .b)
                }
            }
        }

        /// The way swallows IKE for more than twice as long as a dead peer would get, while ESP passes (RFC 7296
        /// section 2.4).
        @Test("IKE is blocked and ESP is not: the peer lives")
        func blockedIKE() throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(quiet)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let before = try pair.sluice.associations()
                    let loads = try Side.allCases.map { side in
                        try CountedLoad(
                            from: network.lan(side), to: network.lan(side.other), address: side.other.host(.ipv4),
                            rate: 200)
                    }
                    try network.lose(percent: 100, Self.ike)
                    try pair.sluice.control("--rekey", "--child", "net")
                    Thread.sleep(forTimeInterval: 30)
                    #expect(try pair.sluice.associations().ikeSPIs == before.ikeSPIs)
                    try network.restore()
                    try eventually("the rekey gets through", within: .seconds(30)) {
                        Set(try pair.sluice.associations().inboundSPIs).isDisjoint(with: before.inboundSPIs)
                    }
                    for count in loads.map({ $0.stop() }) where count.lost > 0 {
                        throw NeverHappened(description: "\(count)")
                    }
                    #expect(try pair.sluice.associations().ikeSPIs == before.ikeSPIs)
                }
            }
        }

        /// The Delete that follows a rekey never comes: the first packet in the new SA is enough (RFC 7296 section 2.8).
        @Test("the peer rekeys, and its Delete is lost")
        func lostDelete() throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(quiet)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let loads = try Side.allCases.map { side in
                        try CountedLoad(
                            from: network.lan(side), to: network.lan(side.other), address: side.other.host(.ipv4),
                            rate: 200)
                    }
                    try network.lose(percent: 100, "ip saddr \(Side.b.outer(.ipv4)) " + Self.informational)
                    let offset = pair.sluice.log.count
                    _ = try pair.peer.swanctl(["--rekey", "--child", "net"], within: .seconds(20))
                    try pair.sluice.awaitLog("net", "rekeyed", after: offset, within: .seconds(4))
                    try network.restore()
                    try pair.awaitChildren(1)
                    for count in loads.map({ $0.stop() }) where count.lost > 0 {
                        throw NeverHappened(description: "\(count)")
                    }
                }
            }
        }

        @Test("rekeys of both ends cross, again and again")
        func crossing() throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(quiet)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let load = try CountedLoad(
                        from: network.lanA, to: network.lanB, address: Side.b.host(.ipv4), rate: 500)
                    for _ in 0..<10 {
                        let before = try pair.sluice.associations().inboundSPIs
                        nonisolated(unsafe) let peer = pair.peer
                        let other = Thread {
                            _ = try? peer.swanctl(["--rekey", "--child", "net"], within: .seconds(20))
                        }
                        other.start()
                        _ = try pair.sluice.swanctl(["--rekey", "--child", "net"], within: .seconds(20))
                        try eventually("one child, and another one", within: .seconds(60)) {
                            let list = try pair.sluice.associations()
                            return list.count("INSTALLED") == 1 && list.count("REKEYED") == 0
                                && Set(list.inboundSPIs).isDisjoint(with: before)
                        }
                        try pair.awaitChildren(1)
                    }
                    let count = load.stop()
                    guard count.lost == 0 else { throw NeverHappened(description: "\(count)") }
                }
            }
        }
    }
}
