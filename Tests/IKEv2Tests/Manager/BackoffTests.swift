import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// The pauses themselves: how they grow, and what ends them.
@Suite struct BackoffTests {
    private let second = Duration.seconds(1)

    @Test func pausesGrowUpToTheLongest() {
        var backoff = Backoff()
        var now = Instant.start + second * 5
        var pauses: [UInt64] = []
        for _ in 0..<9 {
            pauses.append(backoff.failed(at: now, longestInSeconds: 64))
            #expect(backoff.isPausing(at: now) && backoff.isPausing(at: backoff.until - .nanoseconds(1)))
            #expect(!backoff.isPausing(at: backoff.until))
            now = backoff.until
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 64, 64])
    }

    @Test func whatStaysUpBeginsAnewAndWhatFallsAtOnceDoesNot() {
        var backoff = Backoff()
        for _ in 0..<4 { backoff.failed(at: 0, longestInSeconds: 64) }
        backoff.cameUp(at: .start + second * 10)
        #expect(!backoff.isPausing(at: .start + second * 10))
        #expect(backoff.failed(at: .start + second * 11, longestInSeconds: 64) == 16)
        backoff.cameUp(at: .start + second * 30)
        #expect(backoff.failed(at: .start + second * 90, longestInSeconds: 64) == 1)
    }

    @Test func timesWithoutEndDoNotTrap() {
        var backoff = Backoff()
        #expect(backoff.failed(at: .never, longestInSeconds: .max) == 1)
        for _ in 0..<200 { backoff.failed(at: .never, longestInSeconds: .max) }
        #expect(backoff.until == .never)
    }

    @Test func causesChildrenAndPairsCountApart() {
        let pair = TrafficSelector(source: prefix("10.1.0.0/16"), destination: prefix("10.2.0.0/16"))
        let other = TrafficSelector(source: prefix("10.1.0.0/16"), destination: prefix("10.3.0.0/16"))
        let table = BackoffTable()
        #expect(table.failed("sun", child: "net", .selectors, at: 0) == 1)
        #expect(table.failed("sun", child: "net", .selectors, at: 0) == 2)
        #expect(table.failed("sun", child: "net", .proposals, at: 0) == 1)
        #expect(table.failed("sun", child: "lan", .selectors, at: 0) == 1)
        #expect(!table.isPausing("sun", child: "another", at: 0))
        #expect(!table.isPausing("moon", child: "net", at: 0))
        // A pair's pause is its own; a child's is that of all its pairs.
        table.failed("sun", child: "wide", pair: pair, .notCovered, at: 0)
        #expect(table.isPausing("sun", child: "wide", pair: pair, at: 0))
        #expect(!table.isPausing("sun", child: "wide", pair: other, at: 0))
        #expect(table.isPausing("sun", child: "net", pair: other, at: 0))
        // The IKE SA's pause is that of all children.
        table.failed("sun", .authentication, at: 0)
        #expect(table.isPausing("sun", child: "another", at: 0))
        table.cameUp("sun", at: 1)
        #expect(!table.isPausing("sun", child: "another", at: 1))
        #expect(table.isPausing("sun", child: "net", at: 1))
        table.forget("sun")
        #expect(!table.isPausing("sun", child: "net", at: 1))
    }

    /// Who is silent may be back at any moment.
    @Test func silenceIsNotWaitedOut() {
        let table = BackoffTable()
        let pauses = (0..<6).map { _ in table.failed("sun", .unanswered, at: 0) }
        #expect(pauses == [1, 2, 2, 2, 2, 2])
    }
}

/// Packets that call again and again for what the peer does not give.
@Suite struct TrapBackoffTests {
    static let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.0.9")), protocol: 17,
        sourcePorts: 1000...1000, destinationPorts: 53...53)

    /// A packet every 100 ms for so many seconds.
    private func send(_ pair: MoonAndSun, seconds: Int) throws {
        let trap = try #require(pair.moon.manager.traps.first)
        for _ in 0..<(10 * seconds) {
            pair.moon.manager.handle(.acquire(requestID: trap.requestID, packet: Self.packet), at: pair.now)
            pair.lab.run(seconds: 0.1)
        }
    }

    private func trapping(
        _ change: (inout Connection) -> Void = { _ in }, sun: (inout Connection) -> Void = { _ in }
    ) -> MoonAndSun {
        let pair = MoonAndSun()
        pair.load(
            {
                $0.children[0].startAction = .trap
                change(&$0)
            }, sun: sun)
        return pair
    }

    @Test func aRefusedIdentityIsNotAskedForWithoutRest() throws {
        let pair = trapping(sun: { $0.remote.identity = .domainName("somebody.else") })
        try send(pair, seconds: 60)
        #expect((5...7).contains(pair.moon.manager.counters.initiated), "\(pair.moon.manager.counters.initiated)")
        let notes = pair.moon.events.compactMap { event -> (String, Path)? in
            if case .note(.warning, let text) = event.event { (text, event.ike.path) } else { nil }
        }
        #expect(notes.contains { $0.0.contains("packets ask again in 4 s") }, "\(notes)")
        #expect(notes.allSatisfy { $0.1.remote.address == pair.sun.address }, "\(notes)")
        // The peer is put right: a reload here, or a command, asks at once.
        pair.sun.manager.load([.sunToMoon], replacingAll: true, at: pair.now)
        #expect(pair.initiate("net", within: 1))
        pair.expectTunnel()
    }

    @Test func aReloadBeginsAnew() throws {
        let pair = trapping(sun: { $0.remote.identity = .domainName("somebody.else") })
        try send(pair, seconds: 20)
        let before = pair.moon.manager.counters.initiated
        pair.moon.manager.load(pair.moon.manager.connections, replacingAll: true, at: pair.now)
        try send(pair, seconds: 1)
        #expect(pair.moon.manager.counters.initiated == before + 1)
    }

    @Test(arguments: ["proposals", "selectors"]) func aRefusedChildIsNotAskedForWithoutRest(what: String) throws {
        let pair = trapping(sun: {
            if what == "proposals" {
                $0.children[0].proposals = [
                    ChildProposal(encryption: [.aesCTR(keyBits: 192)], integrity: [.hmacSHA384_192])
                ]
            } else {
                $0.children[0].localSelectors = [SelectorSide(addresses: prefix("10.9.0.0/16"))]
            }
        })
        try send(pair, seconds: 60)
        #expect(pair.moon.manager.counters.initiated == 1)
        let failures = pair.moon.events.count { if case .session(.childFailed) = $0.event { true } else { false } }
        #expect((5...7).contains(failures), "\(failures)")
    }

    /// The pause ends as soon as the peer gives way, and then nothing is left of it.
    @Test func whatComesUpStopsThePause() throws {
        let pair = trapping(sun: { $0.children[0].localSelectors = [SelectorSide(addresses: prefix("10.9.0.0/16"))] })
        try send(pair, seconds: 20)
        pair.sun.manager.load([.sunToMoon], replacingAll: true, at: pair.now)
        try send(pair, seconds: 35)
        pair.expectTunnel()
        pair.lab.run(seconds: 100)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        try send(pair, seconds: 1)
        pair.expectTunnel()
    }
}
