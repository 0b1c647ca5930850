import Packets
import Testing

@testable import ControlPlane

/// A log that says what is wrong, and not every minute of every day.
@Suite struct RepeatedRecordsTests {
    private let second = Duration.seconds(1)

    @Test func whatFailsForADayIsToldNowAndThen() {
        var records = RepeatedRecords()
        var hours = [Int](repeating: 0, count: 24)
        var leftOut = 0
        for minute in 0..<(24 * 60) {
            let text = "attempt \(minute) failed, the next one comes in 32 s"
            if case .written(let count) = records.judge(text, of: "sun", at: .start + second * minute * 60) {
                hours[minute / 60] += 1
                leftOut += count
            }
        }
        #expect(hours.allSatisfy { (5...9).contains($0) }, "\(hours)")
        #expect(leftOut + hours.reduce(0, +) > 24 * 60 - 10)
    }

    @Test func anotherSubjectOrTextIsItsOwn() {
        var records = RepeatedRecords()
        for _ in 0..<3 { #expect(records.judge("no answer", of: "sun", at: 0) == .written(leftOut: 0)) }
        #expect(records.judge("no answer", of: "sun", at: 0) == .leftOut)
        #expect(records.judge("no answer", of: "moon", at: 0) == .written(leftOut: 0))
        #expect(records.judge("no proposal chosen", of: "sun", at: 0) == .written(leftOut: 0))
    }

    @Test func afterAQuietHourItIsNewAgain() {
        var records = RepeatedRecords()
        for _ in 0..<10 { _ = records.judge("no answer", of: "sun", at: 0) }
        #expect(records.judge("no answer", of: "sun", at: .start + second * 3599) == .written(leftOut: 7))
        for _ in 0..<3 {
            #expect(records.judge("no answer", of: "sun", at: .start + second * 7200) == .written(leftOut: 0))
        }
    }

    /// What strangers make up does not grow without end, and keeps nothing else out.
    @Test func remembersNoMoreThanItHasRoomFor() {
        var records = RepeatedRecords()
        for number in 0..<5000 {
            let name = String(repeating: "x", count: number)
            #expect(records.judge("no answer", of: name, at: 0) == .written(leftOut: 0))
        }
        #expect(records.judge("no answer", of: "", at: .start + second * 700) == .written(leftOut: 0))
    }
}
