import Packets
import Testing

@testable import IKEv2

/// The knowledge of two IKE SAs of each other, while one takes the place of the other.
@Suite struct ReplacementStateTests {
    private let parts = ManagerParts()
    private var replacements: Replacements { parts.replacements }

    @Test func pausesGrowUpToFiveMinutes() {
        var replacement = Replacement()
        #expect((0..<6).map { _ in replacement.nextPause() } == [30, 60, 120, 240, 300, 300])
    }

    @Test func anEndSaysWhatItWasFor() {
        var replacement = Replacement()
        replacement.begin()
        #expect(replacement.isUnderWay && !replacement.end() && !replacement.isUnderWay)
        replacement.begin(lostAt: 5)
        #expect(replacement.lostAt == 5 && replacement.end() && replacement.lostAt == nil)
    }

    @Test func renewedChildrenAreNoLongerRefused() {
        var replacement = Replacement()
        replacement.refuse(["net", "far"])
        replacement.renewed("net")
        #expect(replacement.refused == ["far"])
    }

    /// Both ends of a replacement mean the new IKE SA after a rekey.
    @Test func aRekeyIsFollowed() {
        let (old, successor, rekeyed) = (parts.establish(), parts.establish(), parts.establish())
        old.replacement.begin(lostAt: 5)
        old.replacement.successor = successor.id
        successor.replacement.predecessor = old.id
        replacements.supersede(old, at: 99)
        replacements.follow(old, to: rekeyed)
        #expect(successor.replacement.predecessor == rekeyed.id && rekeyed.replacement.successor == successor.id)
        #expect(rekeyed.replacement.isUnderWay && rekeyed.replacement.lostAt == nil)
        #expect(rekeyed.replacement.supersededAt == 99)
        let later = parts.establish()
        replacements.follow(successor, to: later)
        #expect(later.replacement.predecessor == rekeyed.id && rekeyed.replacement.successor == later.id)
        #expect(successor.replacement.predecessor == nil)
    }

    /// One for silence is over with its attempt; another comes again as long as there is a reason.
    @Test func onlyReplacementsWithAReasonArePutOff() {
        let old = parts.establish()
        replacements.failed(old.id)
        #expect(parts.context.timerCount == 0, "nothing was under way")
        old.replacement.begin()
        replacements.failed(old.id)
        #expect(!old.replacement.isUnderWay && parts.context.timerCount == 0, "nothing wants another")
        old.replacement.refuse(["net"])
        old.replacement.begin()
        replacements.failed(old.id)
        #expect(parts.context.nextDeadline == parts.context.after(seconds: 30))
        old.replacement.begin(lostAt: 5)
        replacements.failed(old.id)
        #expect(parts.context.timerCount == 1)
    }

    @Test func silenceIsOverWithAnyPacket() {
        let old = parts.establish()
        #expect(!replacements.isLost(old))
        old.replacement.begin(lostAt: parts.context.now)
        #expect(replacements.isLost(old))
        old.session.liveness.heard(at: parts.context.now + .nanoseconds(1))
        #expect(!replacements.isLost(old))
    }
}
