import IKEv2
import IPsec
import Packets
import Testing

/// Tunnels that are to be up: until they are, and soon after the way is back.
@Suite struct PersistenceTests {
    private let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.0.9")), protocol: 17,
        sourcePorts: 1000...1000, destinationPorts: 53...53)

    private func acquire(_ pair: MoonAndSun) throws {
        let id = try #require(pair.moon.dataplane.covers["sun/net"]?.requestID)
        pair.moon.manager.handle(.acquire(requestID: id, packet: packet), at: pair.now)
    }

    /// With the default of `keyingtries`, and whatever else it is.
    @Test(arguments: [UInt32(0), 1, 3], [10.0, 100, 1234, 7200])
    func startMeansUntilItIsUp(tries: UInt32, outage: Double) {
        let pair = MoonAndSun()
        pair.lab.loses = { _, _ in true }
        pair.load {
            $0.keyingTries = tries
            $0.children[0].startAction = .start
        }
        pair.lab.run(seconds: outage)
        pair.lab.loses = { _, _ in false }
        #expect(pair.lab.run(within: 5) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        // Nobody was flooded meanwhile.
        #expect(Double(pair.lab.sent) < 20 + outage / 2)
    }

    @Test(arguments: [10.0, 100, 1234, 7200])
    func restartMeansUntilItIsBack(outage: Double) {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.dpdDelay = 10
            $0.children[0].deadPeerAction = .restart
        }
        pair.lab.loses = { _, _ in true }
        pair.lab.run(seconds: outage)
        pair.lab.loses = { _, _ in false }
        #expect(
            pair.lab.run(within: outage < 15 ? 30 : 5) {
                pair.moon.manager.statuses().contains { $0.state == .established }
            })
        pair.lab.run(seconds: 20)
        pair.expectTunnel()
    }

    /// Who asks by hand hears of the first failure, and the tunnel that the configuration wants goes on being wanted.
    @Test func byHandKeyingTriesCount() {
        let pair = MoonAndSun()
        pair.load()
        pair.lab.loses = { _, _ in true }
        #expect(!pair.initiate("net", within: 600))
        pair.lab.run(seconds: 600)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// Who joins an attempt that is about to fail has a whole one.
    @Test func byHandOneJoins() {
        let pair = MoonAndSun()
        pair.load()
        pair.lab.loses = { _, _ in true }
        #expect(!pair.initiate("net", within: 40))
        pair.lab.loses = { _, _ in false }
        #expect(pair.initiate("net", within: 3))

        pair.moon.manager.terminate(SAFilter(connection: "sun"), force: true, at: pair.now) { _ in }
        pair.lab.run(seconds: 10)
        pair.lab.loses = { _, _ in true }
        #expect(!pair.initiate("net", within: 1))
        #expect(!pair.initiate("net", within: 300), "not without end")
        pair.lab.run(seconds: 300)
        #expect(pair.moon.manager.counters.sessions == 0)
    }

    /// An answer ends the waiting for one: a refusal is not repeated every few seconds.
    @Test func refusalsAreNotHurried() {
        let pair = MoonAndSun()
        pair.sun.manager.credentials.sharedKeys[0].secret = .init(copying: [1, 2, 3])
        pair.load { $0.children[0].startAction = .start }
        pair.lab.run(seconds: 600)
        #expect((10...30).contains(pair.moon.manager.counters.initiated))
    }

    @Test func operatorsEndIt() {
        let pair = MoonAndSun()
        pair.lab.loses = { _, _ in true }
        pair.load { $0.children[0].startAction = .start }
        pair.lab.run(seconds: 100)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.lab.run(seconds: 10)
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 100)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.moon.manager.counters.sessions == 0)
    }

    @Test func newsOfTheNetworkEndWaiting() {
        let pair = MoonAndSun()
        pair.lab.loses = { _, _ in true }
        pair.load { $0.children[0].startAction = .start }
        pair.lab.run(seconds: 38)
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 0.01)
        pair.moon.manager.networkChanged(at: pair.now)
        let waited = pair.lab.run(within: 4.2) { pair.moon.dataplane.active("net") != nil }
        #expect(waited)
    }

    /// The resolver is late: the tunnel is up as soon as it knows the name.
    @Test(arguments: [Child.Action.start, .trap])
    func aNameThatIsKnownLate(action: Child.Action) throws {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = [.name("sun.example.org")]
            $0.children[0].startAction = action
        }
        if action == .trap { try acquire(pair) }
        pair.lab.run(seconds: 500)
        pair.lab.names["sun.example.org"] = [ip("192.0.2.2")]
        #expect(pair.lab.run(within: 5) { pair.moon.dataplane.active("net") != nil })
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// A packet of a tunnel whose peer has been silent for long sends the first request once more.
    @Test func packetsHurryATrap() throws {
        let pair = MoonAndSun()
        pair.load {
            $0.keyingTries = 0
            $0.children[0].startAction = .trap
        }
        pair.lab.loses = { _, _ in true }
        try acquire(pair)
        pair.lab.run(seconds: 21)
        pair.lab.loses = { _, _ in false }
        try acquire(pair)
        #expect(pair.lab.run(within: 0.2) { pair.moon.dataplane.active("net") != nil })
        // Not for each packet.
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// The way goes in the middle of a negotiation, at each of its messages.
    @Test(arguments: 1...4, [10.0, 60, 777])
    func aWayThatGoesMeanwhile(message: Int, outage: Double) {
        let pair = MoonAndSun()
        pair.lab.loses = { number, _ in number >= message }
        pair.load { $0.children[0].startAction = .start }
        pair.lab.run(seconds: outage)
        pair.lab.loses = { _, _ in false }
        #expect(pair.lab.run(within: 5) { pair.moon.dataplane.active("net") != nil })
    }

    /// Packets that call for a tunnel have it soon after the way is back, however long it was away.
    @Test(arguments: [10.0, 100, 1234])
    func trapsAreBackSoon(outage: Double) throws {
        let pair = MoonAndSun()
        pair.load { $0.children[0].startAction = .trap }
        func send(_ seconds: Double, until holds: () -> Bool) throws -> Bool {
            for _ in 0..<Int(seconds * 4) where !holds() {
                try acquire(pair)
                pair.lab.run(seconds: 0.25)
            }
            return holds()
        }
        pair.lab.loses = { _, _ in true }
        _ = try send(outage) { false }
        pair.lab.loses = { _, _ in false }
        #expect(try send(5) { pair.moon.dataplane.active("net") != nil })
        #expect(Double(pair.lab.sent) < 20 + outage / 2)
    }

    // MARK: Several addresses

    private static let twoAddresses: [AddressPattern] = [
        .range(AddressRange(ip("192.0.2.66"))), .range(AddressRange(ip("192.0.2.2"))),
    ]

    @Test(arguments: [Child.Action.none, .trap, .start])
    func theSecondAddressIsTried(action: Child.Action) throws {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = Self.twoAddresses
            $0.children[0].startAction = action
        }
        if action == .trap { try acquire(pair) }
        if action == .none { #expect(pair.initiate("net", within: 15), "each address has its attempt") }
        #expect(pair.lab.run(within: 15) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 2)
    }

    /// The address that works is the first one next time; when it does not any more, the others follow.
    @Test func theAddressThatWorksIsKept() throws {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = Self.twoAddresses
            $0.dpdDelay = 10
            $0.children[0].startAction = .trap
            $0.children[0].deadPeerAction = .restart
        }
        try acquire(pair)
        pair.lab.run(seconds: 20)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        try acquire(pair)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 3)

        let other = pair.lab.addHost("192.0.2.66")
        other.manager.credentials.sharedKeys = [.lab]
        var connection = Connection.sunToMoon
        connection.localAddresses = []
        other.manager.load([connection], replacingAll: true, at: pair.now)
        pair.lab.loses = { _, path in [path.local.address, path.remote.address].contains(ip("192.0.2.2")) }
        #expect(pair.lab.run(within: 120) { other.dataplane.active("net") != nil })
        #expect(pair.moon.manager.counters.initiated == 4)
    }

    /// A name may stand for several.
    @Test func allAddressesOfANameAreTried() {
        let pair = MoonAndSun()
        pair.lab.names["sun.example.org"] = [ip("192.0.2.66"), ip("192.0.2.2")]
        pair.load { $0.remoteAddresses = [.name("sun.example.org")] }
        #expect(pair.initiate("net", within: 15))
    }
}
