import IKEv2
import IPsec
import Packets
import Testing

/// Rekeys through the managers, with their dataplanes watched.
@Suite struct RekeyTests {
    @Test func aHundredChildRekeysLoseNoPacket() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].time = Child.Limit(rekey: 20, life: 30, random: 5) }
        // One packet each way every 10 ms.
        for _ in 0..<200_000 where pair.moon.manager.counters.childrenRekeyed < 100 { pair.expectPacketsArrive() }
        #expect(pair.moon.manager.counters.childrenRekeyed == 100)
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        for host in [pair.moon, pair.sun] {
            #expect(host.dataplane.inbound.count == 1)
            #expect(host.dataplane.outbound.count == 1)
            #expect(host.manager.counters.sessions == 1)
            // All of one connection and child: policies stay as they are.
            #expect(host.dataplane.active("net")?.requestID == 1)
        }
    }

    @Test func twentyIKERekeysLoseNoPacket() {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.rekeyTime = 20
            $0.randomTime = 5
        }
        let child = pair.moon.dataplane.active("net")?.inboundSPI
        var spis: Set<UInt64> = []
        for _ in 0..<40_000 where spis.count < 21 {
            pair.expectPacketsArrive()
            spis.formUnion(pair.moon.manager.statuses().filter { $0.state == .established }.map(\.initiatorSPI))
        }
        #expect(spis.count == 21)
        // The children went along untouched, and can still be commanded.
        #expect(pair.moon.dataplane.active("net")?.inboundSPI == child)
        pair.lab.run(seconds: 1)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.expectNothingLeft()
    }

    @Test func aSoftLimitRekeys() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        let sa = try #require(pair.moon.dataplane.active("net"))
        pair.moon.manager.handle(.softLimit(inboundSPI: sa.inboundSPI), at: pair.now)
        // Said twice, done once.
        pair.moon.manager.handle(.softLimit(inboundSPI: sa.inboundSPI), at: pair.now)
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != sa.inboundSPI)
        #expect(pair.moon.manager.counters.childrenRekeyed == 1)
        #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
    }

    /// Whatever a rekey has come to when the child is to end: the SA that replaces it ends too, nothing brings it back,
    /// and who waits for the end is told.
    @Test(arguments: 0...12) func aChildThatIsRekeyedMeanwhileEnds(waitInFiveMilliseconds: Int) {
        for peerRekeys in [false, true] {
            let pair = MoonAndSun()
            pair.bringUp { $0.children[0].closeAction = .start }
            let host = peerRekeys ? pair.sun : pair.moon
            #expect(host.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now) == 1)
            pair.lab.run(seconds: 0.005 * Double(waitInFiveMilliseconds))
            #expect(pair.terminate(SAFilter(child: "net"), within: 60) != nil)
            pair.lab.run(seconds: 60)
            #expect(pair.moon.dataplane.isEmpty && pair.sun.dataplane.isEmpty)
            #expect(pair.moon.manager.counters.sessions == 1)
            pair.expectOrder()
        }
    }

    @Test(arguments: [1, 3, 10, 30]) func bothSidesAtOnceEndWithOne(lagInMilliseconds: Double) {
        let pair = MoonAndSun()
        pair.bringUp()
        for round in 0..<10 {
            _ = pair.moon.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now)
            pair.lab.run(seconds: lagInMilliseconds / 1000)
            _ = pair.sun.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now)
            for _ in 0..<100 { pair.expectPacketsArrive() }
            pair.lab.run(seconds: 20)
            pair.expectTunnel()
            #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1, "round \(round)")
        }
    }

    @Test(arguments: [0, 3, 10]) func bothSidesRekeyTheIKESAAtOnce(lagInMilliseconds: Double) {
        let pair = MoonAndSun()
        pair.bringUp()
        for _ in 0..<10 {
            #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: false, at: pair.now) == 1)
            pair.lab.run(seconds: lagInMilliseconds / 1000)
            _ = pair.sun.manager.rekey(SAFilter(connection: "moon"), reauthenticate: false, at: pair.now)
            pair.lab.run(seconds: 60)
            pair.expectTunnel()
            #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
        }
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.expectNothingLeft()
    }

    @Test(arguments: [3, 4, 5, 7, 11]) func rekeysGetThroughLoss(everyNthIsLost n: Int) {
        let pair = MoonAndSun()
        pair.bringUp({
            $0.children[0].time = Child.Limit(rekey: 60, life: 120, random: 10)
            $0.rekeyTime = 200
        })
        pair.lab.loses = { number, _ in number % n == 0 }
        for _ in 0..<2000 {
            pair.lab.run(seconds: 0.99)
            pair.expectPacketsArrive()
        }
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 30)
        // No rekey under way, nothing that drains.
        pair.lab.run(within: 30) {
            pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1
        }
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.childrenRekeyed >= 25)
        #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
    }
}
