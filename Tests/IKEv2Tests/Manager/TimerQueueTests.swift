import Packets
import Testing

@testable import IKEv2

@Suite struct TimerQueueTests {
    @Test func eventsComeInTheOrderOfTheirTimes() {
        var queue = TimerQueue<Int>()
        var generator = SystemRandomNumberGenerator()
        let times = (0..<1000).map { _ in UInt64.random(in: 0..<500, using: &generator) }
        for (index, time) in times.enumerated() { queue.add(index, at: Instant(nanoseconds: time)) }
        var taken: [Int] = []
        while let next = queue.next(dueBy: 500) { taken.append(next) }
        // Equal times in the order in which they were added.
        #expect(taken == times.indices.sorted { (times[$0], $0) < (times[$1], $1) })
        #expect(queue.first == nil)
    }

    @Test func nothingComesBeforeItsTime() {
        var queue = TimerQueue<String>()
        queue.add("late", at: 20)
        queue.add("early", at: 10)
        #expect(queue.first == 10)
        #expect(queue.next(dueBy: 9) == nil)
        #expect(queue.next(dueBy: 15) == "early")
        #expect(queue.next(dueBy: 15) == nil)
        #expect(queue.next(dueBy: 20) == "late")
    }

    @Test func theRestKeepsItsOrderWhenEventsAreForgotten() {
        var queue = TimerQueue<UInt64>()
        for time in (0..<100).reversed() { queue.add(UInt64(time), at: Instant(nanoseconds: UInt64(time))) }
        queue.keep { $0 % 3 == 0 }
        #expect(queue.count == 34)
        var taken: [UInt64] = []
        while let next = queue.next(dueBy: 100) { taken.append(next) }
        #expect(taken == (0..<100).filter { $0 % 3 == 0 })
    }
}
