import IKEv2
import IPsec
import Packets
import Testing

/// A reload changes only what has changed, and leaves nothing stale.
@Suite struct LoadingTests {
    private func spis(_ host: LabHost) -> Set<SPI> { Set(host.dataplane.inbound.keys) }

    @Test func whatHasNotChangedIsNotTouched() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trapAndStart }
        let before = spis(pair.moon)
        let sent = pair.lab.sent
        pair.moon.manager.load(pair.moon.manager.connections, replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 10)
        #expect(spis(pair.moon) == before)
        #expect(pair.lab.sent == sent)
        #expect(pair.moon.dataplane.traps.count == 1)
    }

    @Test func aConnectionThatIsGoneLosesEverything() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trapAndStart }
        pair.moon.manager.load([], replacingAll: true, at: pair.now)
        pair.expectNothingLeft()
        #expect(pair.moon.manager.connections.isEmpty)
    }

    @Test func unloadingIsTheSame() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trap }
        #expect(!pair.moon.manager.unload("jupiter", at: pair.now))
        #expect(pair.moon.manager.unload("sun", at: pair.now))
        pair.expectNothingLeft()
    }

    @Test func aChangedConnectionBeginsAnew() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .start }
        let before = spis(pair.moon)
        var changed = pair.moon.manager.connections[0]
        changed.rekeyTime = 1000
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 20)
        pair.expectTunnel()
        #expect(spis(pair.moon).isDisjoint(with: before))
        #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
    }

    @Test func aChangedChildLeavesTheIKESAAndItsSiblings() {
        let pair = MoonAndSun()
        let more = Child.between("more", "10.1.0.0/16", "10.9.0.0/16")
        let answering = Child.between("more", "10.9.0.0/16", "10.1.0.0/16")
        pair.bringUp({ $0.children.append(more) }, sun: { $0.children.append(answering) })
        #expect(pair.initiate("more"))
        pair.expectTunnel("more")
        let sibling = pair.moon.dataplane.active("more")?.inboundSPI
        let old = pair.moon.dataplane.active("net")?.inboundSPI

        var changed = pair.moon.manager.connections[0]
        changed.children[0].time.rekey = 1000
        changed.children[0].startAction = .start
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 20)
        pair.expectTunnel("net")
        pair.expectTunnel("more")
        #expect(pair.moon.dataplane.active("more")?.inboundSPI == sibling)
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != old)
        #expect(pair.moon.dataplane.inbound.count == 2 && pair.sun.dataplane.inbound.count == 2)
        #expect(pair.moon.manager.counters.initiated == 1)
        // What the new configuration says holds from now on.
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.expectNothingLeft()
    }

    @Test func aChangedTrapIsReplaced() {
        let pair = MoonAndSun()
        pair.load { $0.children[0].startAction = .trap }
        var changed = pair.moon.manager.connections[0]
        changed.children[0].remoteSelectors = [SelectorSide(addresses: prefix("10.7.0.0/16"))]
        pair.moon.manager.load([changed], replacingAll: false, at: pair.now)
        #expect(pair.moon.manager.traps.count == 1)
        #expect(pair.moon.manager.traps.first?.selectors.first?.destination == prefix("10.7.0.0/16"))
        #expect(pair.moon.dataplane.uncovered == [:])
        #expect(pair.moon.dataplane.violations == [])
    }

    @Test func loadingOneLeavesTheOthers() {
        let pair = MoonAndSun()
        pair.bringUp()
        var other = Connection.between("moon", "192.0.2.1", "10.1.0.0/16", "jupiter", "192.0.2.3", "10.3.0.0/16")
        other.children[0].name = "far"
        pair.moon.manager.load([other], replacingAll: false, at: pair.now)
        pair.lab.run(seconds: 5)
        pair.expectTunnel()
        #expect(pair.moon.manager.connections.map(\.name) == ["sun", "jupiter"])
    }

    @Test(arguments: [0.005, 0.015, 0.025, 0.035, 0.045])
    func aChildThatChangesWhileItIsNegotiatedComesUpAsItIsNow(seconds: Double) {
        let pair = MoonAndSun()
        pair.load { $0.children[0].startAction = .start }
        pair.lab.run(seconds: seconds)
        var changed = pair.moon.manager.connections[0]
        changed.children[0].time.rekey = 1000
        pair.moon.manager.load([changed], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 30)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.child == changed.children[0])
        #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    @Test func aConnectionThatGoesWhileItIsNegotiatedDoesNotComeUp() {
        let pair = MoonAndSun()
        pair.load { $0.children[0].startAction = .start }
        // Sun's goes while its IKE_AUTH is on the way.
        pair.lab.run(seconds: 0.025)
        pair.sun.manager.load([], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 60)
        pair.expectNothingLeft()
    }
}
