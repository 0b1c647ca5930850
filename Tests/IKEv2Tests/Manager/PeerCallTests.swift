import IKEv2
import IPsec
import Packets
import Testing

/// A gateway that was restarted, and a peer that goes on with the old SAs.
@Suite struct PeerCallTests {
    private func restartSun(_ pair: MoonAndSun, _ change: (inout Connection) -> Void = { _ in }) {
        var connection = Connection.sunToMoon
        change(&connection)
        pair.sun.restart()
        pair.sun.manager.load([connection], replacingAll: true, at: pair.now)
    }

    /// Moon's packets come to sun.
    private func hear(_ pair: MoonAndSun, from address: IPAddress? = nil) {
        pair.sun.manager.handle(.unknownSPI(0x1234_5678, from: address ?? pair.moon.address), at: pair.now)
    }

    @Test(arguments: [Child.Action.trap, .start, .trapAndStart, .none])
    func thePeerIsCalledAtOnce(action: Child.Action) {
        let pair = MoonAndSun()
        pair.bringUp()
        restartSun(pair) { $0.children[0].startAction = action }
        for _ in 0..<100 {
            hear(pair)
            pair.lab.run(seconds: 0.001)
        }
        pair.lab.run(seconds: 0.2)
        // A child that waits for the operator is not brought up by a packet that anybody may have sent.
        guard action != .none else { return #expect(pair.sun.manager.counters.initiated == 0) }
        pair.expectTunnel()
        #expect(pair.sun.manager.counters.initiated == 1)
        pair.lab.run(seconds: 6)
        // INITIAL_CONTACT: moon has let go of the old one.
        #expect(pair.moon.manager.counters.sessions == 1 && pair.moon.dataplane.inbound.count == 1)
    }

    @Test func strangersAreNotCalled() {
        let pair = MoonAndSun()
        pair.load(sun: { $0.children[0].startAction = .trap })
        hear(pair, from: ip("192.0.2.77"))
        #expect(pair.sun.manager.counters.initiated == 0)
        // Nor is anybody of whom only a range of addresses is known.
        restartSun(pair) {
            $0.remoteAddresses = [.range(prefix("192.0.2.0/24"))]
            $0.children[0].startAction = .trap
        }
        hear(pair)
        pair.lab.run(seconds: 1)
        #expect(pair.sun.manager.counters.initiated == 0)
    }

    @Test func aPeerThatIsKnownByNameIsCalled() {
        let pair = MoonAndSun()
        pair.lab.names["moon.example.org"] = [pair.moon.address]
        pair.load(sun: {
            $0.remoteAddresses = [.name("moon.example.org")]
            $0.children[0].startAction = .trap
        })
        pair.lab.run(seconds: 1)
        hear(pair)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }

    @Test func aPeerThatDoesNotAnswerIsCalledRarely() {
        let pair = MoonAndSun()
        pair.load(sun: { $0.children[0].startAction = .trap })
        pair.lab.loses = { _, _ in true }
        for _ in 0..<600 {
            hear(pair)
            pair.lab.run(seconds: 1)
        }
        #expect((10...20).contains(pair.sun.manager.counters.initiated))
        #expect(pair.lab.sent < 300)
    }

    /// Packets under way when an SA is deleted call nobody, nor do those of a tunnel that an operator has ended.
    @Test(arguments: [true, false])
    func whatWasEndedStaysDown(byOperator: Bool) {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.children[0].startAction = .trap })
        if byOperator {
            pair.sun.manager.terminate(SAFilter(connection: "moon"), force: false, at: pair.now) { _ in }
        } else {
            #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        }
        for _ in 0..<20 {
            hear(pair)
            pair.lab.run(seconds: 1)
        }
        #expect(pair.sun.manager.counters.initiated == 0)
        pair.lab.run(seconds: 20)
        hear(pair)
        pair.lab.run(seconds: 1)
        #expect(pair.sun.manager.counters.initiated == (byOperator ? 0 : 1))
        // Until it is wanted again.
        pair.sun.manager.initiate(connection: "moon", child: "net", at: pair.now) { _ in }
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }

    /// A peer that refuses is not asked again and again because its packets go on.
    @Test func whoRefusesIsCalledMoreAndMoreRarely() {
        let pair = MoonAndSun()
        pair.load(sun: { $0.children[0].startAction = .trap })
        pair.moon.manager.credentials.sharedKeys[0].secret = .init(copying: [1, 2, 3])
        for _ in 0..<3000 {
            hear(pair)
            pair.lab.run(seconds: 0.2)
        }
        #expect((8...20).contains(pair.sun.manager.counters.initiated))
    }

    @Test func whileThereIsAnSANobodyIsCalled() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.children[0].startAction = .trap })
        hear(pair)
        pair.lab.run(seconds: 1)
        #expect(pair.sun.manager.counters.initiated == 0 && pair.sun.manager.counters.sessions == 1)
    }
}
