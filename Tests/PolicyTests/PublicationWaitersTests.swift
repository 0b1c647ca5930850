import IPsec
import Packets
import Testing

@testable import Policy

/// Work that goes on when workers have seen a publication, with a clock that the test moves.
@Suite("Nobody waits for a worker, and what waits for one is not done before")
struct PublicationWaitersTests {
    private final class Log {
        var done: [String] = []
    }

    /// A publisher with two workers, and what waits for them.
    private struct Control {
        let builder = SnapshotBuilder(workers: 2)
        let publisher = SnapshotPublisher(workers: 2)
        var waiters = PublicationWaiters(patience: .nanoseconds(250))
        let log = Log()

        mutating func publish(_ name: String, now: Instant) {
            let publication = publisher.publish(builder.build())
            waiters.add(publication, now: now) { [log] in log.done.append(name) }
        }

        /// Runs what is ready; returns for how long a worker has been late.
        mutating func follow(now: Instant) -> Duration? {
            let findings = waiters.follow(now: now, isSeenByAll: publisher.isSeenByAll)
            for body in findings.ready { body() }
            return findings.late
        }
    }

    @Test func inOrderWhenAllHaveSeenIt() {
        var control = Control()
        var one = control.publisher.makeReader(worker: 0)
        var other = control.publisher.makeReader(worker: 1)
        _ = one.acquire()
        _ = other.acquire()
        control.publish("one", now: 0)
        control.publish("two", now: 10)
        #expect(control.follow(now: 20) == nil && control.log.done == [])
        one.quiescent()
        #expect(control.follow(now: 30) == nil && control.log.done == [], "the other one has not")
        other.quiescent()
        control.publish("three", now: 40)
        #expect(control.follow(now: 50) == nil && control.log.done == ["one", "two"])
        one.offline()
        other.quiescent()
        #expect(control.follow(now: 60) == nil && control.log.done == ["one", "two", "three"])
        #expect(control.waiters.isEmpty)
    }

    /// A worker that is stopped is told of once, and what waits for it waits; publications go on, and memory that it may use
    /// stays.
    @Test func aStoppedWorkerDelaysTheContinuationOnly() throws {
        var control = Control()
        var reader = control.publisher.makeReader(worker: 0)
        var stopped = control.publisher.makeReader(worker: 1)
        let held = stopped.acquire()
        let generation = held.pointee.generation
        control.publish("one", now: 0)
        for now in stride(from: 10 as UInt64, through: 250, by: 10).map(Instant.init(nanoseconds:)) {
            reader.quiescent()
            #expect(control.follow(now: now) == nil)
        }
        control.publish("two", now: 255)
        #expect(reader.acquire().pointee.generation == control.publisher.current.generation, "others have the newest")
        #expect(control.follow(now: 260) == .nanoseconds(260))
        #expect(control.follow(now: 270) == nil && control.follow(now: 10_000) == nil, "told once")
        #expect(control.log.done == [] && control.publisher.reclaim() == 2 && held.pointee.generation == generation)
        reader.quiescent()
        stopped.quiescent()
        #expect(control.follow(now: 10_010) == nil && control.log.done == ["one", "two"])
        #expect(control.publisher.reclaim() == 0)
    }
}
