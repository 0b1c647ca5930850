import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// Peers and paths that go away, with and without a word, and come back.
    @Suite("loss of peer and path", .serialized)
    struct Recovery {
        /// A connection that notices within seconds that the peer is silent, and comes back by itself.
        private func vigilant(_ action: String, start: String = "none") -> IKEConfiguration {
            IKEConfiguration(
                IKEConnection(
                    children: [
                        IKEChild(settings: ["dpd_action = \(action)", "start_action = \(start)"])
                    ], settings: ["encap = yes", "dpd_delay = 1s", "keyingtries = 0"]))
        }

        /// The peer only answers: what comes back, Sluice brought back.
        private let patient = IKEConfiguration(IKEConnection(settings: ["encap = yes"]))

        @Test("a peer that is killed is noticed, and the tunnel comes back with it", arguments: ["restart", "trap"])
        func killed(action: String) throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, vigilant(action), patient) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitTraffic()
                    let old = try pair.sluice.associations().inboundSPIs
                    try pair.peer.kill()
                    try eventually("the SAs are given up", within: .seconds(60)) {
                        try pair.sluice.associations().inboundSPIs.filter(old.contains).isEmpty
                    }
                    try pair.peer.start()
                    try pair.awaitTraffic()
                    try pair.awaitChildren(1)
                }
            }
        }

        @Test(
            "a path that is cut is noticed, and the tunnel comes back with it", arguments: ["restart", "trap", "clear"])
        func cut(action: String) throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, vigilant(action), patient) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitTraffic()
                    let old = try pair.sluice.associations().inboundSPIs
                    try network.cut()
                    try pair.expectNoTraffic()
                    try eventually("the SAs are given up", within: .seconds(60)) {
                        try pair.sluice.associations().inboundSPIs.filter(old.contains).isEmpty
                    }
                    try network.restore()
                    if action == "clear" {
                        try pair.expectNoTraffic()
                        try pair.sluice.initiate()
                    }
                    try pair.awaitTraffic()
                }
            }
        }

        @Test("a path that is cut for a moment changes nothing")
        func cutShortly() throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, vigilant("restart"), patient) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitTraffic()
                    let before = try pair.sluice.associations()
                    try network.cut()
                    Thread.sleep(forTimeInterval: 3)
                    try network.restore()
                    try pair.awaitTraffic()
                    #expect(try pair.sluice.associations().inboundSPIs == before.inboundSPIs)
                    #expect(try pair.sluice.associations().ikeSPIs == before.ikeSPIs)
                }
            }
        }

        @Test(
            "Sluice is restarted: the peer hears of it, and traffic brings the tunnel back", arguments: [true, false])
        func sluiceRestarts(orderly: Bool) throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, vigilant("trap", start: "trap"), patient) { pair in
                    try pair.awaitTraffic()
                    if orderly {
                        pair.sluice.stop()
                        try eventually("the peer has no SA left") {
                            try pair.peer.associations().count("ESTABLISHED") == 0
                        }
                    } else {
                        pair.sluice.kill()
                    }
                    try pair.sluice.start()
                    try pair.awaitTraffic()
                    // INITIAL_CONTACT made the peer forget the SAs of the Sluice that was killed (RFC 7296 section 2.4).
                    try pair.awaitChildren(1)
                }
            }
        }

        @Test(
            "the peer is restarted: Sluice hears of it, and closes or brings the tunnel back",
            arguments: ["none", "start", "trap"])
        func peerRestarts(action: String) throws {
            try TwoGateways.with { network in
                var connection = IKEConnection(settings: ["encap = yes", "keyingtries = 0"])
                connection.children = [IKEChild(settings: ["close_action = \(action)"])]
                try IKEPair.with(network, IKEConfiguration(connection), patient) { pair in
                    try pair.sluice.initiate()
                    try pair.awaitTraffic()
                    try pair.peer.stop()
                    try eventually("Sluice has no SA left") { try pair.sluice.associations().count("ESTABLISHED") == 0 }
                    try pair.peer.start()
                    if action == "none" {
                        try pair.expectNoTraffic()
                    } else {
                        try pair.awaitTraffic()
                        try pair.awaitChildren(1)
                    }
                }
            }
        }

        @Test("the first packet sets a trapped tunnel up, from either end", arguments: Initiator.allCases)
        func trap(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let trapped = IKEConfiguration(IKEConnection(children: [IKEChild(settings: ["start_action = trap"])]))
                try IKEPair.twins(network, trapped) { pair in
                    #expect(try pair.sluice.associations().count("ESTABLISHED") == 0)
                    try pair.awaitTraffic(from: initiator == .sluice ? .a : .b)
                    try pair.awaitChildren(1)
                }
            }
        }
    }
}
