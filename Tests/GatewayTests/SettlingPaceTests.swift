import Packets
import Testing

@testable import Gateway

/// When changes of SAs and policies are published.
@Suite struct SettlingPaceTests {
    @Test func atOnceWhenNobodyReadsWhatWasReplaced() {
        #expect(SettlingPace.step(replacedInUse: 0, now: 0, deadline: 1_000) == .publish)
    }

    /// A stopped worker: after ten looks, 0.1 milliseconds apart, nobody cares for it any more.
    @Test func atTheDeadlineAtTheLatest() {
        var now: Instant = 5_000
        let deadline = now + SettlingPace.patience
        var looks = 0
        while looks < 100,
            case .lookAgain(let pause) = SettlingPace.step(replacedInUse: 1, now: now, deadline: deadline)
        {
            now += pause
            looks += 1
        }
        #expect(looks == 10 && now == deadline)
    }
}
