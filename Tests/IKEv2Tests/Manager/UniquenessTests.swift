import IKEv2
import IPsec
import Packets
import Testing

/// More than one IKE SA between the same two (`unique`, INITIAL_CONTACT), and reauthentication.
@Suite struct UniquenessTests {
    /// A second IKE SA of moon's with the same identities, by a connection of another name.
    private func second(_ pair: MoonAndSun) -> Bool {
        var again = pair.moon.manager.connections[0]
        again.name = "again"
        again.children[0].name = "also"
        pair.moon.manager.load([again], replacingAll: false, at: pair.now)
        let isUp = pair.initiate("also", connection: "again")
        pair.lab.run(seconds: 1)
        return isUp
    }

    @Test func bothMayLive() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(second(pair))
        pair.lab.run(seconds: 60)
        #expect(pair.sun.manager.counters.sessions == 2)
    }

    @Test func theEarlierOneMayBeReplaced() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = .replace })
        #expect(second(pair))
        // A peer that authenticates anew gets some time to delete the old one itself.
        #expect(pair.sun.manager.counters.sessions == 2)
        pair.lab.run(seconds: 20)
        #expect(pair.sun.manager.counters.sessions == 1)
        #expect(pair.sun.dataplane.inbound.count == 1)
        #expect(pair.moon.manager.counters.sessions == 1)
        pair.expectOrder()
    }

    @Test func theEarlierOneMayBeKept() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = .keep })
        #expect(!second(pair))
        pair.lab.run(seconds: 60)
        #expect(pair.sun.manager.counters.sessions == 1)
        pair.expectTunnel()
    }

    @Test(arguments: [Connection.Uniqueness.no, .keep, .replace])
    func initialContactReplaces(unique: Connection.Uniqueness) {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = unique })
        pair.moon.restart()
        pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 20)
        pair.expectTunnel()
        #expect(pair.sun.manager.counters.sessions == 1)
        #expect(pair.sun.dataplane.inbound.count == 1)
    }

    /// Who the peer is turns out in IKE_AUTH only; what it may be is enough to know that this is no first contact.
    @Test func aPeerOfAnyNameIsNotToldOfAFirstContact() {
        for pattern in [Identity.any, .domainName("*.example.org")] {
            let pair = MoonAndSun()
            pair.bringUp { $0.remote.identity = pattern }
            #expect(second(pair))
            pair.lab.run(seconds: 60)
            #expect(pair.sun.manager.counters.sessions == 2, "\(pattern)")
            pair.expectTunnel()
        }
    }

    @Test func neverMeansThatNotEvenInitialContactReplaces() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = .never })
        pair.moon.restart()
        pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 20)
        #expect(pair.sun.manager.counters.sessions == 2)
    }

    @Test(arguments: [0, 3, 8, 12, 18, 22, 28, 32, 38, 45], [Connection.Uniqueness.no, .replace])
    func bothBeginAtOnce(lagInMilliseconds: Double, unique: Connection.Uniqueness) {
        let pair = MoonAndSun()
        pair.load({ $0.unique = unique }, sun: { $0.unique = unique })
        var (moonIsUp, sunIsUp) = (false, false)
        pair.moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { _ in moonIsUp = true }
        pair.lab.run(seconds: lagInMilliseconds / 1000)
        pair.sun.manager.initiate(connection: "moon", child: "net", at: pair.now) { _ in sunIsUp = true }
        pair.lab.run(seconds: 60)
        #expect(moonIsUp && sunIsUp)
        // Both ends have kept the same.
        pair.expectTunnel()
        let counts = [pair.moon, pair.sun].map(\.manager.counters.sessions)
        #expect(counts[0] == counts[1])
        if unique == .replace { #expect(counts == [1, 1]) }
        #expect(pair.terminate(SAFilter(connection: "sun")) == counts[0])
        pair.expectNothingLeft()
    }

    // MARK: - Reauthentication

    @Test func aCloseActionDoesNotFollowTheEndOfWhatWasReplaced() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.children[0].closeAction = .start })
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        pair.lab.run(seconds: 30)
        pair.expectTunnel()
        #expect(pair.sun.dataplane.inbound.count == 1)
        #expect(pair.sun.manager.counters.initiated == 0)
    }

    @Test func reauthenticationMakesBeforeItBreaks() {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = .replace })
        let old = pair.moon.dataplane.active("net")?.inboundSPI
        let oldIKE = pair.moon.manager.statuses().map(\.initiatorSPI)
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        // At every step there is a way for packets.
        for _ in 0..<500 { pair.expectPacketsArrive() }
        pair.lab.run(seconds: 30)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != old)
        #expect(pair.moon.manager.statuses().map(\.initiatorSPI) != oldIKE)
        for host in [pair.moon, pair.sun] {
            #expect(host.manager.counters.sessions == 1)
            #expect(host.dataplane.inbound.count == 1)
        }
    }

    @Test func reauthenticationComesByItself() {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.rekeyTime = 0
            $0.reauthenticationTime = 100
            $0.randomTime = 10
            $0.overTime = 50
        }
        pair.lab.run(seconds: 1000)
        pair.expectTunnel()
        #expect((9...14).contains(pair.moon.manager.counters.established))
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
        #expect(pair.moon.dataplane.inbound.count == 1)
    }

    @Test func aReauthenticationThatFailsLeavesTheOldOne() {
        let pair = MoonAndSun()
        pair.bringUp()
        pair.sun.manager.credentials.sharedKeys[0].secret = .init(copying: [1, 2, 3])
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        pair.lab.run(seconds: 60)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.sessions == 1)
        // It can be tried again.
        pair.sun.manager.credentials.sharedKeys = [.lab]
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        pair.lab.run(seconds: 60)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
        #expect(pair.moon.manager.counters.established == 2)
    }
}
