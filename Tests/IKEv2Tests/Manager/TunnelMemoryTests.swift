import IKEv2
import IPsec
import Packets
import Testing

/// Which tunnels come up again after a restart.
@Suite struct TunnelMemoryTests {
    private let net = RememberedTunnel(connection: "sun", child: "net")

    private func restartMoon(_ pair: MoonAndSun, _ tunnels: [RememberedTunnel]? = nil, _ connection: Connection? = nil)
    {
        let remembered = tunnels ?? Array(pair.moon.manager.rememberedTunnels)
        pair.moon.restart()
        pair.moon.manager.restore(remembered)
        pair.moon.manager.load([connection ?? .moonToSun], replacingAll: true, at: pair.now)
        pair.moon.manager.forgetUnloadedTunnels(at: pair.now)
    }

    @Test(arguments: Child.Action.allCases)
    func whatWasUpComesUp(action: Child.Action) {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.moon.manager.rememberedTunnels == [net])
        var connection = Connection.moonToSun
        connection.children[0].startAction = action
        restartMoon(pair, nil, connection)
        #expect(pair.lab.run(within: 0.5) { pair.moon.dataplane.active("net") != nil })
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 1 && pair.sun.manager.counters.sessions == 1)
        #expect(pair.moon.manager.rememberedTunnels == [net])
    }

    @Test func anOrderlyEndForgetsNothing() {
        let pair = MoonAndSun()
        pair.bringUp()
        pair.moon.manager.shutDown(at: pair.now)
        pair.lab.run(within: 5) { pair.moon.manager.counters.sessions == 0 }
        restartMoon(pair)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }

    enum End: CaseIterable { case operatorEndsIKE, operatorEndsChild, peer, peerIsDead, reload, byNumber }

    @Test(arguments: End.allCases)
    func whatWasEndedIsForgotten(end: End) throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 10 }
        switch end {
        case .operatorEndsIKE: #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        case .operatorEndsChild: #expect(pair.terminate(SAFilter(child: "net")) == 1)
        case .byNumber:
            let id = try #require(pair.moon.manager.statuses().first?.id)
            #expect(pair.terminate(SAFilter(ikeID: id)) == 1)
        case .peer: pair.sun.manager.terminate(SAFilter(connection: "moon"), force: false, at: pair.now) { _ in }
        case .peerIsDead:
            pair.lab.loses = { _, _ in true }
            pair.lab.run(within: 200) { pair.moon.manager.counters.sessions == 0 }
        case .reload: pair.moon.manager.load([], replacingAll: true, at: pair.now)
        }
        pair.lab.run(seconds: 5)
        #expect(pair.moon.manager.rememberedTunnels == [])
    }

    /// A dead peer's tunnel that is to come back does so after a restart too.
    @Test func whatIsToComeBackIsRemembered() {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.dpdDelay = 10
            $0.children[0].deadPeerAction = .trap
        }
        pair.lab.loses = { _, _ in true }
        pair.lab.run(within: 200) { pair.moon.manager.counters.sessions == 0 }
        #expect(pair.moon.manager.rememberedTunnels == [net])
        pair.moon.manager.terminate(SAFilter(connection: "sun"), force: false, at: pair.now) { _ in }
        #expect(pair.moon.manager.rememberedTunnels == [])
    }

    @Test func rekeysChangeNothing() {
        let pair = MoonAndSun()
        pair.bringUp()
        let version = pair.moon.manager.rememberedVersion
        for _ in 0..<3 {
            _ = pair.moon.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now)
            pair.lab.run(seconds: 10)
            _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: false, at: pair.now)
            pair.lab.run(seconds: 10)
            _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
            pair.lab.run(seconds: 20)
        }
        #expect(pair.moon.manager.rememberedTunnels == [net] && pair.moon.manager.rememberedVersion == version)
    }

    @Test func whatIsNotConfiguredIsForgotten() {
        let pair = MoonAndSun()
        pair.load()
        let gone = RememberedTunnel(connection: "pluto", child: "net")
        let changed = RememberedTunnel(connection: "sun", child: "more")
        restartMoon(pair, [gone, changed, net])
        #expect(pair.moon.manager.rememberedTunnels == [net])
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
    }

    /// Connections that come by the control socket come later.
    @Test func whatIsLoadedLaterComesUpThen() {
        let pair = MoonAndSun()
        pair.load()
        pair.moon.restart()
        pair.moon.manager.restore([net])
        pair.lab.run(seconds: 10)
        pair.moon.manager.load([.moonToSun], replacingAll: false, at: pair.now)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        // Once.
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        var changed = Connection.moonToSun
        changed.dpdDelay = 10
        pair.moon.manager.load([changed], replacingAll: false, at: pair.now)
        pair.lab.run(seconds: 5)
        #expect(pair.moon.dataplane.inbound.isEmpty)
    }

    /// A peer that may be anywhere is looked for where it was: once.
    @Test(arguments: [true, false])
    func peersThatMayBeAnywhere(isThere: Bool) {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.remoteAddresses = [] })
        let tunnel = RememberedTunnel(
            connection: "moon", child: "net", peer: Endpoint(pair.moon.address, port: 500))
        #expect(pair.sun.manager.rememberedTunnels == [tunnel])
        pair.sun.restart()
        pair.sun.manager.restore([tunnel])
        var connection = Connection.sunToMoon
        connection.remoteAddresses = []
        if !isThere { pair.lab.loses = { _, _ in true } }
        pair.sun.manager.load([connection], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: isThere ? 1 : 600)
        #expect(pair.sun.manager.counters.initiated == 1)
        if isThere { return pair.expectTunnel() }
        #expect(pair.sun.manager.rememberedTunnels == [])
    }

    /// The other side may need a while longer after a power failure.
    @Test func aPeerThatIsNotThereYetIsWaitedFor() {
        let pair = MoonAndSun()
        pair.load()
        pair.lab.loses = { _, _ in true }
        restartMoon(pair, [net])
        pair.lab.run(seconds: 1000)
        pair.lab.loses = { _, _ in false }
        #expect(pair.lab.run(within: 5) { pair.moon.dataplane.active("net") != nil })
    }
}
