import IKEv2
import IPsec
import Packets
import Testing

/// Which of two SAs for the same packets carries them while one IKE SA takes the place of another: nothing is lost.
@Suite struct SuccessionTests {
    /// Packets that take less or more time than IKE's messages, one a millisecond.
    private final class PacketFlow {
        let pair: MoonAndSun
        /// Milliseconds on the way.
        let latency: Int
        let senders: [LabHost]
        private var wire: [[(sa: ChildSA?, to: LabHost)]] = []
        private(set) var sent = 0
        private(set) var lost = 0

        init(_ pair: MoonAndSun, latency: Int, from senders: [LabHost]) {
            self.pair = pair
            self.latency = latency
            self.senders = senders
        }

        func step() {
            wire.append(
                senders.map { ($0.dataplane.active("net"), $0 === pair.moon ? pair.sun : pair.moon) })
            sent += senders.count
            pair.lab.run(seconds: 0.001)
            if wire.count > latency { deliver() }
        }

        private func deliver() {
            for (sa, receiver) in wire.removeFirst() where sa.map(receiver.dataplane.receive) != true { lost += 1 }
        }

        /// Nothing is sent for so long; what is on the way arrives.
        func rest(seconds: Double) {
            while !wire.isEmpty {
                pair.lab.run(seconds: 0.001)
                deliver()
            }
            pair.lab.run(seconds: seconds)
        }

        /// Steps until something holds; false: it did not within a minute.
        func run(until holds: () -> Bool) -> Bool {
            for _ in 0..<60_000 {
                if holds() { return true }
                step()
            }
            return false
        }
    }

    enum Senders: CaseIterable {
        case both, moon, sun

        func hosts(_ pair: MoonAndSun) -> [LabHost] {
            switch self {
            case .both: [pair.moon, pair.sun]
            case .moon: [pair.moon]
            case .sun: [pair.sun]
            }
        }
    }

    /// Both ends have one IKE SA, and another SA than that.
    private func isReplaced(_ old: SPI?, _ pair: MoonAndSun) -> Bool {
        pair.moon.dataplane.active("net")?.inboundSPI != old
            && [pair.moon, pair.sun].allSatisfy {
                $0.manager.counters.sessions == 1 && $0.dataplane.outbound.count == 1
            }
    }

    @Test(arguments: Senders.allCases, [0, 15])
    func reauthenticationsLoseNoPacket(senders: Senders, lostMessagesInPercent percent: Int) {
        for latency in [1, 11, 40] {
            let pair = MoonAndSun()
            pair.bringUp()
            pair.lab.loses = { number, _ in (number &* 2_654_435_761) >> 8 % 100 < percent }
            let flow = PacketFlow(pair, latency: latency, from: senders.hosts(pair))
            for round in 0..<20 {
                let old = pair.moon.dataplane.active("net")?.inboundSPI
                // Each end begins ten times.
                let (first, peer) = round.isMultiple(of: 2) ? (pair.moon, "sun") : (pair.sun, "moon")
                #expect(first.manager.rekey(SAFilter(connection: peer), reauthenticate: true, at: pair.now) == 1)
                guard flow.run(until: { isReplaced(old, pair) }) else {
                    Issue.record("latency \(latency), round \(round): not replaced")
                    return
                }
                for _ in 0..<60 { flow.step() }
                if round.isMultiple(of: 5) { flow.rest(seconds: 20) }
            }
            #expect(flow.sent > 1_000 && flow.lost == 0, "latency \(latency): \(flow.lost) of \(flow.sent)")
            pair.lab.loses = { _, _ in false }
            pair.lab.run(seconds: 30)
            pair.expectTunnel()
            #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
        }
    }

    @Test func theResponderWaitsForTheFirstPacket() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        let old = try #require(pair.sun.dataplane.active("net"))
        // The answer to IKE_AUTH never comes.
        var isCut = false
        pair.lab.loses = { _, path in isCut && path.local.address == pair.sun.address }
        _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
        pair.lab.run(within: 5) { pair.sun.manager.counters.halfOpen == 1 }
        isCut = true
        #expect(pair.lab.run(within: 5) { pair.sun.dataplane.inbound.count == 2 })
        pair.lab.run(seconds: 5)
        #expect(pair.sun.dataplane.active("net")?.inboundSPI == old.inboundSPI)
        let new = try #require(pair.sun.dataplane.inbound.values.first { $0.inboundSPI != old.inboundSPI })
        // For those who ask it is up.
        #expect(pair.sun.manager.statuses().flatMap(\.children).count == 2)
        pair.sun.dataplane.countPacket(by: new)
        pair.lab.run(seconds: 2)
        #expect(pair.sun.dataplane.active("net")?.inboundSPI == new.inboundSPI)
        pair.expectOrder()
    }

    /// A peer that has forgotten everything does not say so: its answer in the new IKE SA, or none in the old one, decides
    /// within a second, for the child of IKE_AUTH and for those that follow.
    @Test func aPeerThatHasForgottenTheOldOneIsNotWaitedFor() throws {
        let pair = MoonAndSun()
        let second: (inout Connection) -> Void = { connection in
            let isMoon = connection.name == "sun"
            connection.unique = .never
            connection.children.append(
                .between("second", isMoon ? "10.11.0.0/16" : "10.12.0.0/16", isMoon ? "10.12.0.0/16" : "10.11.0.0/16"))
        }
        pair.bringUp(second, sun: second)
        #expect(pair.initiate("second"))
        pair.lab.run(seconds: 1)
        pair.moon.restart()
        var connection = Connection.moonToSun
        second(&connection)
        pair.moon.manager.load([connection], replacingAll: true, at: pair.now)
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel("net")
        #expect(pair.initiate("second"))
        pair.lab.run(seconds: 1.1)
        pair.expectTunnel("second")
        pair.expectTunnel("net")
    }

    /// The peer never gets our answer, and never says anything.
    @Test func itDoesNotWaitForEver() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        var isCut = false
        pair.lab.loses = { _, path in isCut && path.local.address == pair.sun.address }
        _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
        pair.lab.run(within: 5) { pair.sun.manager.counters.halfOpen == 1 }
        isCut = true
        #expect(pair.lab.run(within: 5) { pair.sun.dataplane.inbound.count == 2 })
        pair.lab.run(seconds: 9)
        #expect(pair.sun.dataplane.outbound.count == 1)
        pair.lab.run(seconds: 2)
        #expect(pair.sun.dataplane.outbound.count == 2)
        pair.expectOrder()
    }

    @Test func anEndOfTheOldIKESAIsEnough() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        let old = try #require(pair.sun.dataplane.active("net"))
        _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
        // Until moon's Delete is there; no packet ever comes.
        #expect(pair.lab.run(within: 5) { pair.sun.manager.counters.sessions == 2 })
        #expect(pair.lab.run(within: 5) { pair.sun.manager.counters.sessions == 1 })
        #expect(pair.sun.dataplane.active("net")?.inboundSPI != old.inboundSPI)
        // Packets of moon's that its Delete has overtaken still get through.
        #expect(pair.sun.dataplane.inbound[old.inboundSPI] != nil)
        pair.lab.run(seconds: 10)
        #expect(pair.sun.dataplane.inbound.count == 1)
        pair.expectTunnel()
    }

    @Test func severalChildrenTakeOverOneByOne() {
        let pair = MoonAndSun()
        let names = ["net", "second", "third"]
        let change: (inout Connection) -> Void = { connection in
            let isMoon = connection.name == "sun"
            for (number, name) in names.enumerated().dropFirst() {
                let networks = ["10.\(number)1.0.0/16", "10.\(number)2.0.0/16"]
                connection.children.append(
                    .between(name, networks[isMoon ? 0 : 1], networks[isMoon ? 1 : 0]))
            }
        }
        pair.bringUp(change, sun: change)
        for name in names.dropFirst() { #expect(pair.initiate(name)) }
        pair.lab.run(seconds: 1)
        _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
        for _ in 0..<200 { for name in names { pair.expectPacketsArrive(name) } }
        pair.lab.run(seconds: 10)
        for name in names { pair.expectTunnel(name) }
        for host in [pair.moon, pair.sun] {
            #expect(host.manager.counters.sessions == 1)
            #expect(host.dataplane.inbound.count == 3 && host.dataplane.outbound.count == 3)
        }
    }

    @Test func aRekeyOfTheNewChildDoesNotWait() {
        let pair = MoonAndSun()
        pair.bringUp()
        let flow = PacketFlow(pair, latency: 3, from: [pair.moon, pair.sun])
        for _ in 0..<10 {
            let old = pair.moon.dataplane.active("net")?.inboundSPI
            _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now)
            // Moon has just got it, and sun does not send by it yet.
            let isUp = flow.run { pair.moon.dataplane.inbound.count == 2 }
            #expect(isUp && pair.sun.dataplane.active("net")?.outboundSPI == old)
            for host in [pair.sun, pair.moon] {
                _ = host.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now)
            }
            guard flow.run(until: { isReplaced(old, pair) }) else {
                Issue.record("not replaced")
                return
            }
            for _ in 0..<200 { flow.step() }
            flow.rest(seconds: 20)
        }
        #expect(flow.lost == 0)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.inbound.count == 1 && pair.sun.dataplane.inbound.count == 1)
    }
}
