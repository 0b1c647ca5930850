import Cryptography
import IPsec
import Packets
import Testing

@testable import IKEv2

/// New keys that the peer refuses for good, and IKE SAs that are authenticated anew: the tunnel stays, and no packet is lost.
@Suite struct ReplacementTests {
    /// A child whose rekey needs a key exchange that the peer does not want: the first one, in IKE_AUTH, went without.
    private func withKeyExchange(_ connection: inout Connection) {
        connection.children[0].proposals = [
            ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)], keyExchanges: [.x25519])
        ]
        connection.children[0].time = Child.Limit(rekey: 60, life: 90, random: 0)
    }

    private func withoutKeyExchange(_ connection: inout Connection) {
        connection.children[0].proposals = [ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)])]
        connection.children[0].time = Child.Limit()
    }

    @Test func aRekeyThatIsRefusedForGoodLosesNoPacket() {
        let pair = MoonAndSun()
        pair.bringUp(withKeyExchange, sun: withoutKeyExchange)
        // One packet each way every 10 ms, for ten lives.
        for _ in 0..<90_000 { pair.expectPacketsArrive() }
        pair.lab.run(within: 30) { pair.moon.manager.counters.sessions == 1 && pair.moon.dataplane.inbound.count == 1 }
        pair.expectTunnel()
        #expect((8...16).contains(pair.moon.manager.counters.initiated))
        #expect(pair.sun.manager.counters.sessions == 1 && pair.sun.dataplane.inbound.count == 1)
    }

    enum Wish: CaseIterable { case traffic, startAction, closeAction }

    /// Whatever wants it: it is never gone for good.
    @Test(arguments: Wish.allCases) func whatIsWantedStays(_ wish: Wish) throws {
        let pair = MoonAndSun()
        pair.bringUp(
            {
                withKeyExchange(&$0)
                switch wish {
                case .traffic: break
                case .startAction: $0.children[0].startAction = .start
                case .closeAction: $0.children[0].closeAction = .start
                }
            }, sun: withoutKeyExchange)
        let first = try #require(pair.moon.dataplane.active("net"))
        if wish == .traffic { pair.moon.dataplane.countPacket(by: first) }
        pair.lab.run(seconds: 95)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != first.inboundSPI)
    }

    @Test func whatNobodyMissesEnds() {
        let pair = MoonAndSun()
        pair.bringUp(withKeyExchange, sun: withoutKeyExchange)
        pair.lab.run(seconds: 200)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.sun.dataplane.inbound.isEmpty)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// The limit of packets or bytes is there before any rekey has worked.
    @Test func aHardLimitBringsItBack() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        let first = try #require(pair.moon.dataplane.active("net"))
        pair.moon.dataplane.countPacket(by: first)
        pair.moon.manager.handle(.hardLimit(inboundSPI: first.inboundSPI), at: pair.now)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != first.inboundSPI)
        #expect(pair.moon.dataplane.outbound.count == 1 && pair.sun.dataplane.outbound.count == 1)
        pair.lab.run(seconds: 60)
        pair.expectTunnel()
    }

    /// The successor does not come up at first either.
    @Test func aPathThatIsCutMeanwhileIsTriedAgain() throws {
        let pair = MoonAndSun()
        pair.bringUp(
            {
                withKeyExchange(&$0)
                $0.children[0].startAction = .start
            }, sun: withoutKeyExchange)
        pair.lab.run(seconds: 60)
        // Nothing but the first messages of negotiations gets lost.
        pair.lab.loses = { [lab = pair.lab] _, path in path.local.address == ip("192.0.2.2") && lab.isInitial }
        pair.lab.run(seconds: 40)
        #expect(pair.moon.dataplane.active("net") == nil)
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 130)
        pair.expectTunnel()
    }

    @Test func anIKESAWhoseRekeyIsRefusedIsReplaced() throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.rekeyTime = 100
            $0.overTime = 30
            $0.randomTime = 0
            $0.children[0].startAction = .start
        }
        let answering = try #require(pair.sun.manager.table.all.first?.session)
        answering.connection?.proposals = [
            IKEProposal(encryption: [.aesGCM16(keyBits: 256)], functions: [.hmacSHA512], keyExchanges: [.ecp521])
        ]
        let first = try #require(pair.moon.manager.table.all.first)
        for _ in 0..<14_000 { pair.expectPacketsArrive() }
        #expect(pair.moon.manager.table[first.id] == nil)
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
        pair.expectTunnel()
    }

    /// Each end refuses what the other wants, at the same time: nothing is left over.
    @Test func twoThatRefuseEachOtherStayTogether() {
        let pair = MoonAndSun()
        pair.bringUp(
            {
                withKeyExchange(&$0)
                $0.children[0].startAction = .start
            },
            sun: {
                withKeyExchange(&$0)
                $0.children[0].proposals[0].keyExchanges = []
            })
        for _ in 0..<60_000 { pair.expectPacketsArrive() }
        pair.lab.run(within: 60) {
            [pair.moon, pair.sun].allSatisfy { $0.manager.counters.sessions == 1 && $0.dataplane.inbound.count == 1 }
        }
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
    }

    /// A peer that says TEMPORARY_FAILURE for minutes: the IKE SA is given up, and the tunnel comes up in another.
    @Test func aPeerThatIsBusyForEverIsAskedAnew() throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.children[0].startAction = .start
            $0.children[0].time = Child.Limit(rekey: 60, life: 900, random: 0)
        }
        pair.sun.manager.table.all.first?.session.lifecycle.rekeyBegan()
        pair.lab.run(seconds: 400)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 2)
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
    }

    // MARK: - Reauthentication

    @Test(arguments: [0, 1, 3, 10, 15, 25, 30]) func bothEndsAtOnce(lagInMilliseconds: Double) {
        let pair = MoonAndSun()
        pair.bringUp()
        for _ in 0..<5 {
            #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
            pair.lab.run(seconds: lagInMilliseconds / 1000)
            _ = pair.sun.manager.rekey(SAFilter(connection: "moon"), reauthenticate: true, at: pair.now)
            for _ in 0..<3000 { pair.expectPacketsArrive() }
            for host in [pair.moon, pair.sun] {
                #expect(host.manager.counters.sessions == 1)
                #expect(host.dataplane.inbound.count == 1 && host.dataplane.outbound.count == 1)
            }
            pair.expectTunnel()
        }
    }

    /// The peer is at its second address; the first is dead.
    @Test func itGoesWhereThePeerIs() {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.remoteAddresses = ["192.0.2.9", "192.0.2.2"].map { .range(AddressRange(ip($0))) }
            $0.keyingTries = 2
            $0.reauthenticationTime = 100
            $0.randomTime = 0
        }
        let before = pair.moon.manager.counters.initiated
        pair.lab.run(seconds: 110)
        #expect(pair.moon.manager.counters.initiated == before + 1)
        #expect(pair.moon.manager.counters.sessions == 1 && pair.sun.manager.counters.sessions == 1)
        pair.expectTunnel()
    }

    /// Another negotiation with the peer is under way when its time comes.
    @Test func itWaitsForItsTurn() {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.reauthenticationTime = 100
            $0.randomTime = 0
        }
        let other = ConnectionAttempt(ConnectionAttempt.Key(connection: "sun", remote: nil), [])
        pair.moon.manager.attempts.add(other)
        pair.lab.run(seconds: 110)
        #expect(pair.moon.manager.counters.initiated == 1)
        pair.moon.manager.attempts.remove(other)
        pair.lab.run(seconds: 40)
        #expect(pair.moon.manager.counters.initiated == 2 && pair.moon.manager.counters.sessions == 1)
        pair.expectTunnel()
    }

    private func second(_ connection: inout Connection) {
        let isMoon = connection.name == "sun"
        connection.children.append(
            .between("second", isMoon ? "10.11.0.0/16" : "10.12.0.0/16", isMoon ? "10.12.0.0/16" : "10.11.0.0/16"))
    }

    /// Begins to authenticate anew, and lets the first IKE_AUTH get lost, so that there is a second in between.
    private func reauthenticateSlowly(_ pair: MoonAndSun) {
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        pair.lab.run(within: 5) { pair.sun.manager.counters.halfOpen == 1 }
        let sent = pair.lab.sent
        pair.lab.loses = { number, path in number <= sent + 2 && path.local.address == ip("192.0.2.1") }
        pair.lab.run(seconds: 0.1)
        pair.lab.loses = { _, _ in false }
    }

    @Test(arguments: [false, true]) func aRekeyOfTheOldIKESAIsFollowed(peerRekeys: Bool) {
        let pair = MoonAndSun()
        pair.bringUp(second, sun: second)
        #expect(pair.initiate("second"))
        pair.lab.run(seconds: 1)
        reauthenticateSlowly(pair)
        let host = peerRekeys ? pair.sun : pair.moon
        #expect(
            host.manager.rekey(SAFilter(ikeID: host.manager.table.all[0].id), reauthenticate: false, at: pair.now) == 1)
        pair.lab.run(seconds: 20)
        for host in [pair.moon, pair.sun] {
            #expect(host.manager.counters.sessions == 1)
            #expect(host.dataplane.inbound.count == 2 && host.dataplane.outbound.count == 2)
        }
        pair.expectTunnel("net")
        pair.expectTunnel("second")
    }

    @Test func aChildThatCameUpMeanwhileFollows() {
        let pair = MoonAndSun()
        pair.bringUp(second, sun: second)
        reauthenticateSlowly(pair)
        #expect(pair.initiate("second", within: 0.5))
        #expect(pair.moon.manager.counters.sessions == 2)
        pair.lab.run(seconds: 20)
        for host in [pair.moon, pair.sun] {
            #expect(host.manager.counters.sessions == 1)
            #expect(host.dataplane.inbound.count == 2 && host.dataplane.outbound.count == 2)
        }
        pair.expectTunnel("net")
        pair.expectTunnel("second")
    }

    // MARK: - Starting again

    /// A peer that deletes at once what it has agreed to is not negotiated with without rest; one that stays is.
    @Test(arguments: [SAFilter(child: "net"), SAFilter(connection: "moon")])
    func whatEndsAtOnceStartsAgainAfterPauses(_ filter: SAFilter) {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].closeAction = .start }
        let end = pair.now + .seconds(100)
        while pair.now < end {
            if pair.sun.dataplane.active("net") != nil {
                pair.sun.manager.terminate(filter, force: false, at: pair.now) { _ in }
            }
            pair.lab.run(seconds: 0.05)
        }
        // At 0, 1, 3, 7, 15, 31 and 63 s.
        #expect((6...9).contains(pair.moon.dataplane.inboundInstalled))
        pair.lab.run(within: 70) { pair.sun.dataplane.active("net") != nil }
        pair.lab.run(seconds: 70)
        pair.expectTunnel()
        let before = pair.moon.dataplane.inboundInstalled
        pair.sun.manager.terminate(filter, force: false, at: pair.now) { _ in }
        pair.lab.run(seconds: 0.5)
        #expect(pair.moon.dataplane.inboundInstalled == before + 1)
        pair.expectTunnel()
    }

    /// An SA that could not be installed keeps its SPI until the peer has let go of it.
    @Test func theSPIOfAnSAThatCouldNotBeInstalledIsKept() {
        let pair = MoonAndSun()
        pair.load()
        pair.moon.dataplane.refusesInbound = "no memory"
        #expect(!pair.initiate("net", within: 0.05))
        #expect(!pair.moon.dataplane.isEmpty)
        pair.lab.run(seconds: 5)
        #expect(pair.moon.dataplane.isEmpty && pair.sun.dataplane.isEmpty)
        pair.expectOrder()
    }
}
