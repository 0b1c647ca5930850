import IKEv2
import IPsec
import Packets
import Testing

/// What happens when one end, or the way between, is gone.
@Suite struct RecoveryTests {
    private func withLivenessAndRestart(_ connection: inout Connection) {
        connection.dpdDelay = 10
        connection.keyingTries = 0
        connection.children[0].startAction = .start
        connection.children[0].deadPeerAction = .restart
    }

    @Test func aPeerThatRestartsIsTalkedToAgain() {
        let pair = MoonAndSun()
        pair.bringUp(withLivenessAndRestart)
        pair.sun.restart()
        pair.sun.manager.load([.sunToMoon], replacingAll: true, at: pair.now)
        pair.lab.run(within: 120) { pair.sun.dataplane.active("net") != nil }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.sessions == 1)
        #expect(pair.moon.dataplane.inbound.count == 1)
    }

    @Test func anInitiatorThatRestartsReplacesItsOldSAs() {
        let pair = MoonAndSun()
        pair.bringUp(withLivenessAndRestart)
        pair.moon.restart()
        pair.moon.manager.load([pair.restarting], replacingAll: true, at: pair.now)
        pair.lab.run(within: 10) { pair.moon.dataplane.active("net") != nil }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        // INITIAL_CONTACT told sun that what it had is worth nothing.
        #expect(pair.sun.manager.counters.sessions == 1)
        #expect(pair.sun.dataplane.inbound.count == 1)
    }

    @Test func aDeadPeerLosesItsSAs() {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 10 }
        pair.lab.loses = { _, _ in true }
        pair.lab.run(within: 120) { pair.moon.manager.counters.sessions == 0 }
        pair.lab.run(seconds: 10)
        #expect(pair.moon.manager.counters.peersDead == 1)
        #expect(pair.moon.dataplane.isEmpty)
        #expect(pair.moon.manager.counters.initiated == 1)
        pair.expectOrder()
    }

    @Test func aDeadPeersTrapWaitsForPackets() throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.dpdDelay = 10
            $0.children[0].deadPeerAction = .trap
        }
        pair.lab.loses = { _, _ in true }
        pair.lab.run(within: 120) { pair.moon.manager.counters.sessions == 0 }
        let trap = try #require(pair.moon.manager.traps.first)
        pair.lab.loses = { _, _ in false }
        pair.moon.manager.handle(.acquire(requestID: trap.requestID, packet: nil), at: pair.now)
        pair.lab.run(within: 10) { pair.moon.dataplane.active("net") != nil }
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.requestID == trap.requestID)
    }

    @Test func aCutPathComesBack() {
        let pair = MoonAndSun()
        pair.bringUp(withLivenessAndRestart, sun: { $0.dpdDelay = 10 })
        pair.lab.loses = { _, _ in true }
        pair.lab.run(seconds: 600)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.sun.dataplane.inbound.isEmpty)
        pair.lab.loses = { _, _ in false }
        pair.lab.run(within: 40) { pair.moon.dataplane.active("net") != nil }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        #expect(pair.sun.manager.counters.sessions == 1)
    }

    @Test func aResponderThatRestartsGoesWhereThePeerWas() {
        let pair = MoonAndSun()
        pair.bringUp(sun: {
            $0.remoteAddresses = []
            $0.dpdDelay = 10
            $0.keyingTries = 0
            $0.children[0].deadPeerAction = .restart
        })
        pair.moon.restart()
        pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        pair.lab.run(within: 120) { pair.moon.dataplane.active("net") != nil }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        #expect(pair.sun.manager.counters.initiated == 1)
        #expect(pair.moon.manager.counters.initiated == 0)
    }

    @Test(arguments: 3...9) func everyNthDatagramLostDoesNotMatter(n: Int) {
        let pair = MoonAndSun()
        pair.lab.loses = { number, _ in number % n == 0 }
        pair.bringUp()
        pair.lab.run(seconds: 60)
        #expect(pair.terminate(SAFilter(connection: "sun"), within: 60) == 1)
        pair.lab.run(seconds: 60)
        pair.expectNothingLeft()
    }

    @Test func closeActionFollowsThePeersDeletionOnly() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].closeAction = .start }
        // Ours: nothing follows.
        #expect(pair.terminate(SAFilter(child: "net")) == 1)
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.inbound.isEmpty)
        #expect(pair.initiate("net"))
        let first = pair.moon.dataplane.inboundInstalled
        // The peer's: it comes again.
        pair.sun.manager.terminate(SAFilter(child: "net"), force: false, at: pair.now) { _ in }
        pair.lab.run(within: 10) { pair.moon.dataplane.inboundInstalled > first }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        // Also when it is the whole IKE SA.
        pair.sun.manager.terminate(SAFilter(connection: "moon"), force: false, at: pair.now) { _ in }
        pair.lab.run(within: 10) { pair.moon.manager.counters.initiated == 2 }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
    }

    @Test func keyingTriesAreCounted() {
        let pair = MoonAndSun()
        pair.load { $0.keyingTries = 3 }
        pair.lab.loses = { _, _ in true }
        #expect(!pair.initiate("net", within: 600))
        #expect(pair.moon.manager.counters.initiated == 3)
        pair.lab.run(seconds: 600)
        #expect(pair.moon.manager.counters.initiated == 3)
        pair.expectNothingLeft()
    }

    @Test func aNameIsLookedUpForEachAttempt() {
        let pair = MoonAndSun()
        pair.load {
            $0.remoteAddresses = [.name("sun.example.org")]
            $0.keyingTries = 2
        }
        #expect(!pair.initiate("net"))
        pair.lab.names["sun.example.org"] = [ip("192.0.2.2")]
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }
}

extension MoonAndSun {
    /// Moon's configuration of the tests above.
    fileprivate var restarting: Connection {
        var connection = Connection.moonToSun
        connection.dpdDelay = 10
        connection.keyingTries = 0
        connection.children[0].startAction = .start
        connection.children[0].deadPeerAction = .restart
        return connection
    }
}
