import IKEv2
import IPsec
import Packets
import Testing

/// What a loaded child covers does not leave in clear, whatever becomes of SAs, routes and names.
@Suite struct CoverTests {
    private let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.0.9")), protocol: 17,
        sourcePorts: 1000...1000, destinationPorts: 53...53)

    /// Moon covers 10.1.0.0/16 to 10.2.0.0/16, and always did.
    private func expectCovered(
        _ pair: MoonAndSun, traps: Bool, to destination: String = "10.2.0.0/16",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let cover = pair.moon.dataplane.covers["sun/net"]
        #expect(cover?.selectors.map(\.destination) == [prefix(destination)], sourceLocation: sourceLocation)
        #expect(cover?.acquires == traps, sourceLocation: sourceLocation)
        #expect(pair.moon.dataplane.uncovered == [:], sourceLocation: sourceLocation)
    }

    private func acquire(_ pair: MoonAndSun) throws {
        let id = try #require(pair.moon.dataplane.covers["sun/net"]?.requestID)
        pair.moon.manager.handle(.acquire(requestID: id, packet: packet), at: pair.now)
    }

    private func warnings(_ host: LabHost) -> [String] {
        host.events.compactMap { if case .note(.warning, let text) = $0.event { text } else { nil } }
    }

    /// By connection without `local_addrs`, so that a route is needed for everything but the policies.
    private func withoutLocalAddress(_ connection: inout Connection) {
        connection.localAddresses = []
        connection.children[0].startAction = .trap
    }

    // MARK: In every state of the child

    @Test(arguments: Child.Action.allCases)
    func fromLoadingToUnloading(action: Child.Action) {
        let pair = MoonAndSun()
        pair.load {
            $0.children[0].startAction = action
            $0.dpdDelay = 10
        }
        expectCovered(pair, traps: action.traps)
        #expect(pair.initiate("net"))
        expectCovered(pair, traps: action.traps)
        #expect(pair.terminate(SAFilter(child: "net")) == 1)
        expectCovered(pair, traps: action.traps)
        #expect(pair.initiate("net"))
        pair.sun.manager.terminate(SAFilter(connection: "moon"), force: false, at: pair.now) { _ in }
        pair.lab.run(seconds: 10)
        expectCovered(pair, traps: action.traps)
        #expect(pair.initiate("net"))
        pair.lab.loses = { _, _ in true }
        pair.lab.run(within: 120) { pair.moon.manager.counters.sessions == 0 }
        expectCovered(pair, traps: action.traps)
        pair.lab.loses = { _, _ in false }

        var changed = pair.moon.manager.connections[0]
        changed.rekeyTime = 1000
        changed.children[0].time.rekey = 1000
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        expectCovered(pair, traps: action.traps)
        #expect(pair.moon.manager.unload("sun", at: pair.now))
        #expect(pair.moon.dataplane.covers.isEmpty && pair.moon.dataplane.uncovered == ["sun/net": 1])
        pair.expectOrder()
    }

    /// `mode = pass` and `drop`: in force as soon as they are loaded, and negotiated in neither role, though the selectors fit.
    @Test(arguments: Child.Shunt.allCases)
    func shuntsAreNotNegotiated(shunt: Child.Shunt) {
        let pair = MoonAndSun()
        func addHole(_ connection: inout Connection) {
            var hole = connection.children[0]
            hole.name = "hole"
            hole.shunt = shunt
            connection.children.insert(hole, at: 0)
        }
        pair.load(addHole, sun: addHole)
        for (host, name) in [(pair.moon, "sun/hole"), (pair.sun, "moon/hole")] {
            #expect(host.dataplane.covers[name]?.child.shunt == shunt)
        }
        #expect(!pair.initiate("hole"))
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel("net")
        #expect(pair.moon.dataplane.active("hole") == nil && pair.sun.dataplane.active("hole") == nil)
    }

    @Test func theEndUncoversNothing() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trapAndStart }
        pair.moon.manager.shutDown(at: pair.now)
        pair.lab.run(within: 5) { pair.moon.manager.counters.sessions == 0 }
        expectCovered(pair, traps: true)
    }

    @Test func aChildThatIsGoneIsUncoveredAlone() {
        let pair = MoonAndSun()
        pair.load { $0.children.append(.between("more", "10.1.0.0/16", "10.9.0.0/16")) }
        #expect(pair.moon.dataplane.covers.count == 2)
        var changed = pair.moon.manager.connections[0]
        changed.children.removeLast()
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        #expect(pair.moon.dataplane.uncovered == ["sun/more": 1])
        pair.expectOrder()
    }

    // MARK: Without a way to the peer

    /// `remote_addrs` is an address, and there is no route when the gateway starts (DHCP, PPPoE).
    @Test(arguments: [true, false])
    func aTrapNeedsNoRoute(isTold: Bool) throws {
        let pair = MoonAndSun()
        pair.moon.hasNoRoute = true
        pair.load(withoutLocalAddress)
        expectCovered(pair, traps: true)
        try acquire(pair)
        pair.lab.run(seconds: 100)
        #expect(pair.moon.manager.counters.initiated == 0)
        #expect(warnings(pair.moon).count == 1, "\(warnings(pair.moon))")
        pair.moon.hasNoRoute = false
        if isTold { pair.moon.manager.networkChanged(at: pair.now) }
        #expect(pair.lab.run(within: isTold ? 1 : 33) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        expectCovered(pair, traps: true)
    }

    /// `remote_addrs` is a name that does not resolve.
    @Test func aTrapNeedsNoResolver() throws {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = [.name("sun.example.org")]
            $0.children[0].startAction = .trap
        }
        expectCovered(pair, traps: true)
        pair.lab.run(seconds: 3)
        try acquire(pair)
        pair.lab.run(seconds: 3)
        expectCovered(pair, traps: true)
        pair.lab.names["sun.example.org"] = [ip("192.0.2.2")]
        #expect(pair.lab.run(within: 33) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }

    /// `dpd_action = trap`, and the link is down when the peer is found dead.
    @Test func aDeadPeersTrapNeedsNoRoute() throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.localAddresses = []
            $0.dpdDelay = 10
            $0.children[0].deadPeerAction = .trap
        }
        expectCovered(pair, traps: false)
        pair.moon.hasNoRoute = true
        pair.lab.loses = { _, _ in true }
        pair.lab.run(within: 120) { pair.moon.manager.counters.sessions == 0 }
        expectCovered(pair, traps: true)
        pair.moon.hasNoRoute = false
        pair.lab.loses = { _, _ in false }
        try acquire(pair)
        pair.lab.run(seconds: 5)
        pair.expectTunnel()
    }

    /// A changed file is loaded while the link is down.
    @Test func aReloadNeedsNoRoute() throws {
        let pair = MoonAndSun()
        pair.load(withoutLocalAddress)
        pair.moon.hasNoRoute = true
        var changed = pair.moon.manager.connections[0]
        changed.dpdDelay = 30
        changed.children[0].remoteSelectors = [SelectorSide(addresses: prefix("10.2.0.0/15"))]
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        expectCovered(pair, traps: true, to: "10.2.0.0/15")
        pair.moon.hasNoRoute = false
        try acquire(pair)
        pair.lab.run(seconds: 5)
        pair.expectTunnel()
    }

    @Test(arguments: [true, false])
    func whatIsDynamicComesWithItsAddress(isTold: Bool) {
        let pair = MoonAndSun()
        pair.moon.hasNoRoute = true
        pair.load {
            self.withoutLocalAddress(&$0)
            $0.children[0].localSelectors = [.dynamic, SelectorSide(addresses: prefix("10.1.0.0/16"))]
        }
        func sources() -> [AddressRange] { pair.moon.dataplane.covers["sun/net"]?.selectors.map(\.source) ?? [] }
        #expect(sources() == [prefix("10.1.0.0/16")], "what is known is covered at once")
        #expect(pair.moon.dataplane.covers["sun/net"]?.isComplete == false)
        pair.lab.run(seconds: 100)
        #expect(warnings(pair.moon).count == 1, "\(warnings(pair.moon))")
        pair.moon.hasNoRoute = false
        if isTold { pair.moon.manager.networkChanged(at: pair.now) }
        #expect(pair.lab.run(within: isTold ? 0.1 : 33) { sources().count == 2 })
        #expect(sources().first == AddressRange(pair.moon.address))
        // A route that goes takes nothing away.
        pair.moon.hasNoRoute = true
        pair.moon.manager.networkChanged(at: pair.now)
        #expect(sources().count == 2 && pair.moon.dataplane.uncovered == [:])
        // Nothing is looked for any more.
        pair.lab.run(seconds: 100)
        #expect(pair.moon.manager.nextDeadline == nil)
        pair.expectOrder()
    }

    @Test func dynamicStandsForEveryAddressOfThePeer() {
        let pair = MoonAndSun()
        pair.lab.names["sun.example.org"] = [ip("192.0.2.3"), ip("192.0.2.4")]
        pair.load {
            $0.remoteAddresses.append(.name("sun.example.org"))
            $0.children[0].remoteSelectors = [.dynamic]
        }
        func destinations() -> [String] {
            pair.moon.dataplane.covers["sun/net"]?.selectors.map { "\($0.destination.first)" } ?? []
        }
        #expect(destinations() == ["192.0.2.2"])
        #expect(pair.moon.dataplane.covers["sun/net"]?.isComplete == false)
        pair.lab.run(seconds: 5)
        #expect(destinations() == ["192.0.2.2", "192.0.2.3", "192.0.2.4"])
        #expect(pair.moon.dataplane.covers["sun/net"]?.isComplete == true)
        pair.expectOrder()
    }

    @Test func aTrapForNobodyIsCoveredAndSaid() {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = []
            $0.children[0].startAction = .trap
        }
        expectCovered(pair, traps: false)
        #expect(warnings(pair.moon).count == 1)
        if case .success = pair.moon.manager.install(connection: nil, child: "net", at: pair.now) {
            Issue.record("a trap that calls nobody")
        }
        pair.lab.run(seconds: 60)
    }

    // MARK: Starting

    @Test(arguments: [true, false])
    func aStartWaitsForAWay(byName: Bool) {
        let pair = MoonAndSun()
        pair.moon.hasNoRoute = true
        pair.load {
            $0.localAddresses = []
            if byName { $0.remoteAddresses = [.name("sun.example.org")] }
            $0.children[0].startAction = .start
        }
        pair.lab.run(seconds: 300)
        #expect(pair.moon.manager.counters.initiated == 0)
        pair.moon.hasNoRoute = false
        pair.lab.names["sun.example.org"] = [ip("192.0.2.2")]
        #expect(pair.lab.run(within: 33) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// Only what found a way to the peer counts as an attempt.
    @Test func waitingForAWayCostsNoAttempts() throws {
        let pair = MoonAndSun()
        pair.moon.hasNoRoute = true
        pair.load {
            $0.localAddresses = []
            $0.keyingTries = 2
            $0.children[0].startAction = .trap
        }
        try acquire(pair)
        pair.lab.run(seconds: 60)
        pair.lab.loses = { _, _ in true }
        pair.moon.hasNoRoute = false
        pair.lab.run(seconds: 600)
        #expect(pair.moon.manager.counters.initiated == 2)
        pair.expectNothingLeft()
    }

    /// Who asks by hand hears at once that there is no way, and can terminate what waits.
    @Test func byHandThereIsAnAnswerAtOnce() {
        let pair = MoonAndSun()
        pair.moon.hasNoRoute = true
        pair.load { $0.localAddresses = [] }
        #expect(!pair.initiate("net", within: 0.1))
        pair.moon.hasNoRoute = false
        pair.lab.run(seconds: 100)
        #expect(pair.moon.manager.counters.initiated == 0)

        pair.moon.hasNoRoute = true
        pair.load {
            $0.localAddresses = []
            $0.children[0].startAction = .start
        }
        #expect(!pair.initiate("net", within: 0.1))
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.moon.hasNoRoute = false
        pair.lab.run(seconds: 100)
        #expect(pair.moon.manager.counters.initiated == 0)
    }
}
