import Packets
import Testing

@Suite struct InstantTests {
    private let moment = Instant(nanoseconds: 5_000_000_000)

    @Test func timesPass() {
        #expect(moment + .seconds(2) == Instant(nanoseconds: 7_000_000_000))
        #expect(moment - .milliseconds(1) == Instant(nanoseconds: 4_999_000_000))
        #expect(moment + .milliseconds(1) - moment == .milliseconds(1))
        #expect(moment - (moment + .milliseconds(1)) == .milliseconds(-1))
        #expect(moment + .seconds(-1) == moment - .seconds(1))
    }

    /// A lifetime without an end, and a look back beyond the start, trap nowhere.
    @Test func theEndsHold() {
        #expect(moment + .seconds(UInt64.max) == .never && .never + .seconds(1) == Instant.never)
        #expect(moment - .seconds(6) == .start && moment - .seconds(UInt64.max) == .start)
        #expect(Instant.never - .start == .nanoseconds(UInt64.max))
        #expect(Instant.start - .never == .zero - .nanoseconds(UInt64.max))
    }

    @Test func timesAreRoundedToZero() {
        #expect((Duration.seconds(3) - .nanoseconds(1)).wholeSeconds == 2)
        #expect(Duration.nanoseconds(UInt64.max).wholeNanoseconds == Int128(UInt64.max))
        #expect((Duration.nanoseconds(7) / 2).wholeNanoseconds == 3)
    }
}
