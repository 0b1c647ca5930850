import Foundation
import TestSupport
import Testing

extension LiveIKE.Namespaces {
    /// What clients of the control socket hear of SAs: from Sluice the same as from strongSwan, at the same time.
    @Suite("events over VICI", .serialized)
    struct Events {
        /// One event of `swanctl --monitor-sa --raw`.
        private struct Event: Equatable, CustomStringConvertible {
            /// "ike-updown up", with the states of the SAs in it.
            var description: String
            var keys: Set<String>

            init?(_ line: Substring) {
                let parts = line.split(separator: " ", maxSplits: 1)
                guard let name = parts.first, let rest = parts.last, rest.hasPrefix("event {") else { return nil }
                let words = rest.split { " {}[]".contains($0) }.map { $0.split(separator: "=", maxSplits: 1) }
                let states = words.filter { $0.count == 2 && $0[0] == "state" }.map { " \($0[1])" }
                description = "\(name)\(rest.contains("event {up=yes") ? " up" : "")\(states.joined())"
                keys = Set(words.filter { $0.count == 2 }.map { String($0[0]) })
            }

            static func == (one: Event, other: Event) -> Bool { one.description == other.description }
        }

        private func monitor(_ socket: String) throws -> RunningProcess {
            try RunningProcess(
                ["stdbuf", "-oL", "swanctl", "--monitor-sa", "--raw", "--uri", "unix://\(socket)"], name: "monitor")
        }

        private func events(_ monitor: RunningProcess) -> [Event] {
            monitor.output.split(separator: "\n").compactMap(Event.init)
        }

        @Test("the same events, with the same states and fields")
        func same() throws {
            try TwoGateways.with { network in
                try IKEPair.with(network, IKEConfiguration(IKEConnection(settings: ["encap = yes"]))) { pair in
                    let peer = try #require(pair.peer as? StrongSwan)
                    let monitors = [
                        try monitor(pair.sluice.gateway.controlSocket), try monitor(peer.controlSocket),
                    ]
                    defer { for monitor in monitors { monitor.kill() } }
                    Thread.sleep(forTimeInterval: 1)
                    func expect(_ count: Int, _ what: String) throws {
                        try eventually("\(what) is told of by both", within: .seconds(30)) {
                            monitors.allSatisfy { events($0).count == count }
                        }
                    }
                    try pair.sluice.initiate()
                    try expect(2, "the tunnel")
                    try pair.awaitTraffic()
                    // What replaces it goes on in its place: neither has gone up or down.
                    let old = try pair.sluice.associations().inboundSPIs
                    try pair.sluice.control("--rekey", "--child", "net")
                    try eventually("the old child is gone", within: .seconds(30)) {
                        try pair.sluice.associations().inboundSPIs.count == 1
                            && pair.sluice.associations().inboundSPIs != old
                    }
                    try pair.sluice.control("--terminate", "--child", "net")
                    try expect(3, "the end of the child")
                    try pair.sluice.initiate()
                    try expect(4, "another child")
                    try pair.awaitTraffic()
                    try peer.control("--terminate", "--ike", "site")
                    try expect(6, "the end")
                    let (ours, theirs) = (events(monitors[0]), events(monitors[1]))
                    #expect(ours == theirs)
                    #expect(
                        ours.map(\.description) == [
                            "ike-updown up ESTABLISHED", "child-updown up ESTABLISHED INSTALLED",
                            "child-updown ESTABLISHED DELETED", "child-updown up ESTABLISHED INSTALLED",
                            "ike-updown DELETING", "child-updown DELETING INSTALLED",
                        ])
                    for (our, their) in zip(ours, theirs) {
                        let missing = their.keys.subtracting(our.keys).filter { key in
                            !key.hasPrefix("nat-") && !key.hasPrefix("tasks-") && key != "initiator"
                                && key != "dh-group"
                        }
                        #expect(missing.isEmpty, "\(our) lacks \(missing)")
                    }
                    // What the last child has carried is in the event of its end.
                    let end = monitors[0].output.split(separator: "\n").last { $0.hasPrefix("child-updown") }
                    let packets = end?.split(separator: " ").first { $0.hasPrefix("packets-in=") }
                    #expect(packets != nil && packets != "packets-in=0")
                }
            }
        }
    }
}
