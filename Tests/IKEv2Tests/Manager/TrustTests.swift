import Packets
import Testing

@testable import IKEv2

/// The questions to a doubted peer: all of them within a second.
@Suite struct TrustTests {
    private let start: Instant = 1_000_000_000_000

    private func milliseconds(_ number: Int) -> Instant { start + .milliseconds(number) }

    @Test func aSilentPeerIsAskedThreeTimes() {
        var trust = Trust()
        #expect(trust.mayBeDoubted(at: start) && trust.doubtedSince == nil)
        #expect(trust.ask(at: start) == milliseconds(200))
        #expect(!trust.mayBeDoubted(at: start) && trust.doubtedSince == start)
        #expect(trust.look(at: milliseconds(200), isHeard: false) == .asked(nextLook: milliseconds(500)))
        #expect(trust.look(at: milliseconds(500), isHeard: false) == .asked(nextLook: milliseconds(900)))
        #expect(trust.look(at: milliseconds(900), isHeard: false) == .silent(since: start))
        #expect(trust.doubtedSince == nil && trust.look(at: milliseconds(901), isHeard: false) == nil)
    }

    @Test func aPeerThatAnswersIsTrustedForAWhile() {
        var trust = Trust()
        _ = trust.ask(at: start)
        #expect(trust.look(at: milliseconds(200), isHeard: true) == .trusted)
        #expect(!trust.mayBeDoubted(at: milliseconds(10_199)) && trust.mayBeDoubted(at: milliseconds(10_200)))
    }

    /// Its packets came since then, and stay away once more: that is news.
    @Test func trustIsShorterAfterPackets() {
        var trust = Trust()
        _ = trust.ask(at: start)
        _ = trust.look(at: milliseconds(200), isHeard: true)
        trust.shorten(lastInbound: milliseconds(100), at: milliseconds(1_000))
        #expect(!trust.mayBeDoubted(at: milliseconds(10_199)), "those came before it was trusted")
        trust.shorten(lastInbound: milliseconds(3_000), at: milliseconds(4_000))
        #expect(!trust.mayBeDoubted(at: milliseconds(4_999)) && trust.mayBeDoubted(at: milliseconds(5_000)))
    }

    /// A refusal proves nothing, and shortens the wait.
    @Test func aRefusalCountsAfterAMoment() {
        var trust = Trust()
        #expect(trust.refused(at: start) == nil, "nothing was asked")
        _ = trust.ask(at: start)
        #expect(trust.refused(at: milliseconds(20)) == milliseconds(300))
        #expect(trust.refused(at: milliseconds(30)) == nil, "once is enough")
        #expect(trust.look(at: milliseconds(200), isHeard: false) == .asked(nextLook: milliseconds(500)))
        #expect(trust.look(at: milliseconds(300), isHeard: false) == .silent(since: start))
    }

    @Test func aLateRefusalCountsAtOnce() {
        var trust = Trust()
        _ = trust.ask(at: start)
        #expect(trust.refused(at: milliseconds(400)) == milliseconds(400))
        #expect(trust.look(at: milliseconds(400), isHeard: false) == .silent(since: start))
    }
}
