import Foundation
import TestSupport
import Testing

/// A load in both directions while SAs are replaced under it.
struct LoadedRekey {
    let pair: IKEPair
    /// Datagrams a second in each direction.
    var rate: Int

    /// Rekeys the CHILD_SA and the IKE SA, and authenticates again, so many times, by turns from both ends, and tells what became
    /// of the load.
    func run(
        children: Int = 0, ikes: Int = 0, reauthentications: Int = 0, pause: Duration = .milliseconds(50)
    ) throws -> [CountedLoad.Count] {
        let loads = try Side.allCases.map { side in
            try CountedLoad(
                from: side == .a ? pair.traffic.lanA : pair.traffic.lanB,
                to: side == .a ? pair.traffic.lanB : pair.traffic.lanA, address: side.other.host(.ipv4), rate: rate)
        }
        do {
            for number in 0..<children {
                try rekey(number, ["--child", "net"]) { $0.inboundSPIs }
                Thread.sleep(forTimeInterval: Double(pause.components.attoseconds) / 1e18)
            }
            for number in 0..<ikes { try rekey(number, ["--ike", "site"]) { $0.ikeSPIs } }
            for number in 0..<reauthentications {
                try rekey(number, ["--ike", "site", "--reauth"]) { $0.inboundSPIs }
                Thread.sleep(forTimeInterval: 0.2)
            }
        } catch {
            for load in loads { _ = load.stop() }
            throw error
        }
        return loads.map { $0.stop() }
    }

    /// Asks one end, even numbers Sluice, odd ones the peer, and waits until Sluice has a new SPI in use, and nothing that is
    /// being replaced: a rekey that is asked for then would be taken for the one under way.
    private func rekey(_ number: Int, _ what: [String], _ spis: (AssociationList) -> [String]) throws {
        let daemon = pair.roles(number.isMultiple(of: 2) ? .sluice : .peer).first
        let before = Set(spis(try pair.sluice.associations()))
        let result = try daemon.swanctl(["--rekey"] + what, within: .seconds(60))
        try #require(result.status == 0, "\(result.all)")
        try eventually("rekey \(number) of \(what), by \(daemon.label)", within: .seconds(60), every: .milliseconds(5))
        {
            let list = try pair.sluice.associations()
            return list.count("INSTALLED") == 1 && list.count("ESTABLISHED") == 1 && list.count("REKEYED") == 0
                && !before.isSuperset(of: spis(list))
        }
    }
}

extension LiveIKE.Namespaces {
    /// SAs are replaced under a steady load, and nothing is lost.
    @Suite("rekey under load", .serialized)
    struct Rekey {
        @Test("two Sluices: a hundred CHILD_SAs, twenty IKE SAs, no packet lost")
        func twins() throws {
            try TwoGateways.with { network in
                try IKEPair.twins(network, IKEConfiguration(IKEConnection())) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    try check(LoadedRekey(pair: pair, rate: 2_000).run(children: 100, ikes: 20))
                }
            }
        }

        @Test("two Sluices: ten reauthentications, no packet lost", arguments: IPVersion.allCases)
        func reauthenticationOfTwins(outer: IPVersion) throws {
            try TwoGateways.with { network in
                var connection = IKEConnection()
                if outer == .ipv6 { connection.useIPv6() }
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    try check(LoadedRekey(pair: pair, rate: 1_000).run(reauthentications: 10))
                    try pair.awaitChildren(1)
                }
            }
        }

        @Test(
            "strongSwan: twenty CHILD_SAs, six IKE SAs, no packet lost", arguments: ["default", "aes256gcm16-x25519"])
        func strongSwan(proposals: String) throws {
            try TwoGateways.with { network in
                let connection = IKEConnection(
                    children: [IKEChild(proposals: proposals)], settings: ["encap = yes"])
                try IKEPair.with(network, IKEConfiguration(connection)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    try check(LoadedRekey(pair: pair, rate: 500).run(children: 20, ikes: 6))
                }
            }
        }

        @Test("by themselves, when their time has come")
        func byTime() throws {
            try TwoGateways.with { network in
                let child = IKEChild(settings: ["rekey_time = 2s", "life_time = 6s", "rand_time = 0s"])
                let connection = IKEConnection(
                    children: [child], settings: ["rekey_time = 3s", "over_time = 3s", "rand_time = 0s"])
                try IKEPair.twins(network, IKEConfiguration(connection)) { pair in
                    try pair.sluice.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let first = try pair.sluice.associations()
                    let load = try CountedLoad(
                        from: network.lanA, to: network.lanB, address: Side.b.host(.ipv4), rate: 1_000)
                    try eventually("new SPIs of both kinds, twice", within: .seconds(60)) {
                        let now = try pair.sluice.associations()
                        return Set(now.inboundSPIs).isDisjoint(with: first.inboundSPIs)
                            && Set(now.ikeSPIs).isDisjoint(with: first.ikeSPIs)
                    }
                    Thread.sleep(forTimeInterval: 8)
                    try check([load.stop()])
                    try pair.awaitChildren(1)
                }
            }
        }

        /// The responder of the new IKE SA sends by it at once, and the initiator has it when the answer has come: what is
        /// sent within that time may be lost, but not half a second of it.
        @Test("reauthentication makes the new IKE SA before it breaks the old one", arguments: Initiator.allCases)
        func reauthentication(initiator: Initiator) throws {
            try TwoGateways.with { network in
                let connection = IKEConnection(settings: ["encap = yes"])
                try IKEPair.with(network, IKEConfiguration(connection)) { pair in
                    let (first, _) = pair.roles(initiator)
                    try first.initiate()
                    try pair.traffic.echo(from: .a, .ipv4, sizes: [56])
                    let before = try pair.sluice.associations()
                    let loads = try Side.allCases.map { side in
                        try CountedLoad(
                            from: network.lan(side), to: network.lan(side.other), address: side.other.host(.ipv4),
                            rate: 500)
                    }
                    Thread.sleep(forTimeInterval: 1)
                    try first.control("--rekey", "--ike", "site", "--reauth")
                    let outcome = Result {
                        try eventually("another IKE SA alone", within: .seconds(60)) {
                            let now = try pair.sluice.associations()
                            return now.count("ESTABLISHED") == 1 && Set(now.ikeSPIs).isDisjoint(with: before.ikeSPIs)
                        }
                    }
                    let counts = loads.map { $0.stop() }
                    try outcome.get()
                    for count in counts where count.lost > 250 { throw NeverHappened(description: "\(counts)") }
                    try pair.awaitChildren(1)
                }
            }
        }

        private func check(_ counts: [CountedLoad.Count]) throws {
            for count in counts {
                #expect(count.sent > 500)
                // A failure throws, so that the logs are shown.
                guard count.lost == 0 && count.doubled == 0 else { throw NeverHappened(description: "\(counts)") }
            }
        }
    }
}
