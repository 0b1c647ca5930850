import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Packets that call for a tunnel which the peer does not give, or gives for other packets: the peer is not asked
    /// without rest.
    @Suite("traps", .serialized)
    struct Traps {
        private static let other = "172.31.7.0/24"

        /// Side A calls for everything that a packet goes to, side B waits.
        private func trap(_ settings: [String] = []) -> IKEConnection {
            IKEConnection(
                children: [
                    IKEChild(inner: settings.isEmpty ? [.ipv4] : [], settings: settings + ["start_action = trap"])
                ],
                settings: ["encap = yes"])
        }

        /// Sends an echo request every 100 ms for so long; nothing comes back.
        private func send(_ pair: IKEPair, to destination: String, seconds: Int) throws {
            let client = try EchoClient(from: pair.traffic.lanA, to: destination, .ipv4, dontFragment: false)
            let end = ContinuousClock.now + .seconds(seconds)
            while ContinuousClock.now < end {
                #expect(client.echo(payload: 10, attempts: 1, within: .milliseconds(100)) == .lost)
            }
        }

        private func count(_ words: String, _ pair: IKEPair) -> Int {
            pair.peer.log.split(separator: "\n").count { $0.contains(words) }
        }

        @Test("an identity that is refused is tried again after growing pauses, and at once after a reload")
        func refused() throws {
            try TwoGateways.with { network in
                var theirs = trap()
                theirs.authentication = .preSharedKey("another one altogether")
                theirs.children = [IKEChild()]
                try IKEPair.with(network, IKEConfiguration(trap()), IKEConfiguration(theirs)) { pair in
                    try send(pair, to: Side.b.host(.ipv4), seconds: 20)
                    let handshakes = count("parsed IKE_AUTH request", pair)
                    // At 0, 1, 3, 7 and 15 seconds.
                    #expect((3...6).contains(handshakes), "\(handshakes) handshakes in 20 seconds")
                    try pair.sluice.control("--load-all")
                    try send(pair, to: Side.b.host(.ipv4), seconds: 2)
                    #expect(count("parsed IKE_AUTH request", pair) > handshakes)
                }
            }
        }

        @Test("a child that is refused is tried again after growing pauses")
        func refusedChild() throws {
            try TwoGateways.with { network in
                var theirs = trap()
                theirs.children = [IKEChild(proposals: "aes128-sha256")]
                var ours = trap()
                ours.children[0].proposals = "aes256gcm16"
                try IKEPair.with(network, IKEConfiguration(ours), IKEConfiguration(theirs)) { pair in
                    try send(pair, to: Side.b.host(.ipv4), seconds: 20)
                    #expect(count("parsed IKE_AUTH request", pair) == 1)
                    let requests = count("parsed CREATE_CHILD_SA request", pair)
                    #expect((2...5).contains(requests), "\(requests) requests in 20 seconds")
                }
            }
        }

        /// The peer knows one of our two networks.
        @Test("a peer that narrows to other networks is asked once more, and then after growing pauses")
        func narrowed() throws {
            let (near, far) = (Side.a.prefix(.ipv4), Side.b.prefix(.ipv4))
            let ours = trap(["local_ts = \(near)", "remote_ts = \(far), \(Self.other)"])
            var theirs = ours
            theirs.children = [IKEChild()]
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(ours), IKEConfiguration(theirs)) { pair in
                    try send(pair, to: "172.31.7.9", seconds: 20)
                    let requests = count("parsed CREATE_CHILD_SA request", pair)
                    #expect((3...7).contains(requests), "\(requests) requests in 20 seconds")
                    #expect(try pair.sluice.associations().count("INSTALLED") == 1)
                    #expect(pair.sluice.log.contains("narrows child net"))
                    // What the peer has is served all the while.
                    try pair.awaitTraffic()
                }
            }
        }

        /// A connection for all networks here, one child for each of them there.
        @Test("a peer with one child for each network makes an SA for each")
        func oneByOne() throws {
            let (near, far) = (Side.a.prefix(.ipv4), Side.b.prefix(.ipv4))
            let ours = trap(["local_ts = \(near)", "remote_ts = \(Self.other), \(far)"])
            var theirs = ours
            theirs.children = [
                IKEChild("other", inner: [], settings: ["local_ts = \(Self.other)", "remote_ts = \(near)"]), IKEChild(),
            ]
            try TwoGateways.with { network in
                // strongSwan wants an address of its own in what it protects.
                try network.gatewayB.ip("addr add 172.31.7.1/24 dev lo")
                try IKEPair.with(network, IKEConfiguration(ours), IKEConfiguration(theirs)) { pair in
                    let client = try EchoClient(
                        from: pair.traffic.lanA, to: "172.31.7.1", .ipv4, dontFragment: false)
                    try eventually("echo from the other network", within: .seconds(30)) {
                        client.echo(payload: 10, attempts: 1, within: .milliseconds(500)) == .reply
                    }
                    try pair.awaitTraffic()
                    try pair.awaitChildren(2)
                    #expect(try pair.sluice.associations().inboundSPIs.count == 2)
                }
            }
        }
    }
}
