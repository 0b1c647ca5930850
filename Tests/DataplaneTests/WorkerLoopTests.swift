import Glibc
import InMemory
import Packets
import Policy
import Synchronization
import TestSupport
import Testing
import XDP

@testable import Dataplane

/// A worker on a thread of its own: it works, sleeps, wakes and stops.
@Suite struct WorkerLoopTests {
    /// One worker over a LAN and a WAN in memory, running from the start.
    private final class Running {
        /// The other frames are the test's, to be handed over.
        static let pooled = 192
        let statistics = WorkerStatistics()
        let wan: FakeKernel
        let mesh = HandoverMesh(workers: 1)
        let publisher: SnapshotPublisher
        let stop = StopFlag()
        let thread: RunningThread

        /// `unsent`: packets in the WAN's transmit ring from the start.
        init(_ loop: WorkerLoopConfiguration, unsent: Int = 0) throws {
            let umem = try UMEM(frames: 256, hugePages: .never)
            publisher = SnapshotPublisher(workers: 1)
            let events = SPSCRing<WorkerEvent>(capacity: 8)
            let kernels = (0..<2).map { _ in FakeKernel(umem: umem, ringSize: 64) }
            wan = kernels[1]
            let queues = [PortRoles.lan, .wan].enumerated().map { number, role in
                WorkerQueue(rings: kernels[number].makeRings(), portIndex: UInt16(number), roles: role)
            }
            let box = WorkerBox(
                Worker(
                    configuration: WorkerConfiguration(index: 0), queues: queues, umem: umem,
                    pool: FramePool(umem: umem, frames: 0..<Self.pooled), reader: publisher.makeReader(worker: 0),
                    mesh: mesh,
                    events: events.producer(), statistics: statistics))
            for _ in 0..<unsent {
                let frame = umem.pointer(at: box.worker.context.pool.pop())
                check(box.worker.context.stage(frame, length: 60, port: 1).isPass)
            }
            thread = RunningThread { [stop] in stop.result.store(box.run(loop, stop), ordering: .relaxed) }
        }

        func end() -> Int32 {
            stop.flag.store(true, ordering: .relaxed)
            mesh.wakeUp(of: 0).signal()
            thread.join()
            return stop.result.load(ordering: .relaxed)
        }
    }

    private final class StopFlag: Sendable {
        let flag = Atomic<Bool>(false)
        let result = Atomic<Int32>(-1)
    }

    private final class WorkerBox: @unchecked Sendable {
        var worker: Worker
        init(_ worker: consuming Worker) { self.worker = worker }
        func run(_ loop: WorkerLoopConfiguration, _ stop: StopFlag) -> Int32 { worker.run(loop, stop: stop.flag) }
    }

    /// Looks every millisecond, for half a minute at most.
    private func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<30_000 {
            if condition() { return true }
            usleep(1_000)
        }
        return false
    }

    /// Without work it sleeps; what is handed over wakes it long before its longest sleep ends.
    @Test(.timeLimit(.minutes(15)))
    func sleepsAndWakes() throws {
        var loop = WorkerLoopConfiguration()
        loop.longestSleepInMilliseconds = 30_000
        let running = try Running(loop)
        var host = running.mesh.producer(from: running.mesh.host, to: 0)
        for number in 1...50 as ClosedRange<UInt64> {
            #expect(eventually { running.statistics[.sleeps] >= number }, "asleep")
            // An empty frame: dropped, and the worker keeps it.
            let address = (UInt64(Running.pooled) + number) * 2048
            check(host.push(HandoverEntry(address: address, length: 0, port: .max, kind: .inbound)))
            running.mesh.wakeUp(of: 0).signal()
            #expect(eventually { running.statistics[.takenOver] == number }, "awake")
        }
        #expect(running.end() == 0)
        #expect(running.statistics.drops.total == 50)
        #expect(running.statistics[.sleeps] < 200, "it slept through, and did not spin")
    }

    /// A sleeping worker holds up no snapshot.
    @Test(.timeLimit(.minutes(15)))
    func sleepersHoldNoSnapshot() throws {
        var loop = WorkerLoopConfiguration()
        loop.longestSleepInMilliseconds = 30_000
        let running = try Running(loop)
        #expect(eventually { running.statistics[.sleeps] >= 1 })
        let builder = SnapshotBuilder(workers: 1)
        for _ in 0..<20 { running.publisher.publish(builder.build()) }
        #expect(eventually { running.publisher.reclaim() == 0 })
        #expect(running.end() == 0)
    }

    /// With packets that the kernel has not taken it sleeps for moments only: nothing would wake it when the kernel can.
    @Test(.timeLimit(.minutes(15)))
    func unsentPackets() throws {
        var loop = WorkerLoopConfiguration()
        loop.longestSleepInMilliseconds = 30_000
        let running = try Running(loop, unsent: 5)
        #expect(eventually { running.statistics[.sleeps] >= 20 })
        #expect(running.wan.transmit() == 5)
        #expect(
            eventually {
                let before = running.statistics[.sleeps]
                usleep(100_000)
                return running.statistics[.sleeps] == before
            }, "sent: now it sleeps")
        #expect(running.end() == 0)
    }

    /// With busy polling it never sleeps.
    @Test(.timeLimit(.minutes(15)))
    func busyPolling() throws {
        let running = try Running(WorkerLoopConfiguration(busyPoll: true))
        let before = running.statistics[.rounds]
        #expect(eventually { running.statistics[.rounds] > before + 10_000 })
        #expect(running.statistics[.sleeps] == 0)
        #expect(running.end() == 0)
    }

    /// A core that does not exist is reported, and no reason to stop.
    @Test(.timeLimit(.minutes(15)))
    func unknownCore() throws {
        let running = try Running(WorkerLoopConfiguration(core: 1023))
        #expect(eventually { running.statistics[.rounds] > 100 })
        #expect(running.end() == EINVAL)
    }

    /// Sleeps are bounded even if nobody wakes the worker.
    @Test(.timeLimit(.minutes(15)))
    func boundedSleep() throws {
        var loop = WorkerLoopConfiguration()
        loop.longestSleepInMilliseconds = 5
        let running = try Running(loop)
        #expect(eventually { running.statistics[.sleeps] >= 10 })
        running.stop.flag.store(true, ordering: .relaxed)
        running.thread.join()
    }

    /// The clock goes forward, in nanoseconds.
    @Test func clock() {
        let start = Worker.clock()
        usleep(2_000)
        let elapsed = Worker.clock() - start
        #expect(elapsed >= 2_000_000 && elapsed < 5_000_000_000)
    }
}
