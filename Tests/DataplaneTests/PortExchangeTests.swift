import InMemory
import Packets
import Policy
import TestSupport
import Testing
import XDP

@testable import Dataplane

/// A port that is back as another interface: the worker goes on with new rings, and every frame of the old ones comes back.
@Suite struct PortExchangeTests {
    private static let frames = 256
    private static let ringSize = 64

    /// A worker with two ports in memory.
    private struct Fixture: ~Copyable {
        let umem: UMEM
        let old: FakeKernel
        var worker: Worker

        init() throws {
            let umem = try UMEM(frames: PortExchangeTests.frames, hugePages: .never)
            let kernels = (0..<2).map { _ in FakeKernel(umem: umem, ringSize: PortExchangeTests.ringSize) }
            let queues = zip(kernels, [PortRoles.lan, .wan]).enumerated().map { number, port in
                WorkerQueue(rings: port.0.makeRings(), portIndex: UInt16(number), roles: port.1)
            }
            let events = SPSCRing<WorkerEvent>(capacity: 8)
            worker = Worker(
                configuration: WorkerConfiguration(index: 0), queues: queues, umem: umem,
                pool: FramePool(umem: umem, frames: 0..<PortExchangeTests.frames),
                reader: SnapshotPublisher(workers: 1).makeReader(worker: 0), mesh: HandoverMesh(workers: 1),
                events: events.producer(), statistics: WorkerStatistics())
            self.umem = umem
            old = kernels[0]
            _ = worker.poll(now: 1)
        }
    }

    private func exchange(_ kernel: FakeKernel, port: UInt16 = 0, ordinal: Int = 0) -> PortExchange {
        PortExchange(
            portIndex: port, ordinal: ordinal, deadline: 1000,
            queue: WorkerQueue(rings: kernel.makeRings(), portIndex: port, roles: .lan))
    }

    @Test func everyFrameComesBack() throws {
        var fixture = try Fixture()
        check(fixture.worker.context.pool.count == Self.frames - 2 * Self.ringSize)
        // Received and not read; taken and not used; sent, being sent, and not sent.
        for _ in 0..<3 { check(fixture.old.deliver([UInt8](repeating: 0, count: 60))) }
        var taken = [UInt64](repeating: 0, count: 5)
        let takenCount = fixture.old.takeFree(into: &taken, upTo: 5)
        #expect(takenCount == 5)
        for _ in 0..<4 {
            let staged = fixture.worker.context.ports.queue(0).pointee.stage(
                XDPDescriptor(address: fixture.worker.context.pool.pop(), length: 60))
            #expect(staged)
        }
        fixture.worker.context.ports.queue(0).pointee.submit()
        var sent = [XDPDescriptor](repeating: XDPDescriptor(address: 0, length: 0), count: 3)
        let sentCount = fixture.old.takeTransmitted(into: &sent, upTo: 3)
        let completed = fixture.old.complete(sent, count: 1)
        #expect(sentCount == 3 && completed == 1)

        let new = FakeKernel(umem: fixture.umem, ringSize: Self.ringSize)
        let mailbox = PortMailbox()
        let exchange = exchange(new)
        #expect(!mailbox.hasMail)
        mailbox.post(exchange)
        fixture.worker.exchangeQueues(mailbox, now: 10)
        #expect(exchange.lostFrames == nil && mailbox.hasMail, "two packets are on their way")
        let rest = fixture.old.complete(Array(sent[1...]), count: 2)
        #expect(rest == 2)
        fixture.worker.exchangeQueues(mailbox, now: 11)
        #expect(exchange.lostFrames == 0 && !mailbox.hasMail)
        check(fixture.worker.context.pool.count == Self.frames - Self.ringSize, "all but those of the other port")
        _ = fixture.worker.poll(now: 12)
        check(fixture.worker.context.pool.count == Self.frames - 2 * Self.ringSize)
        #if DEBUG
            check(fixture.umem.ledger.framesOut().count == 2 * Self.ringSize)
        #endif
        // The new port's packets arrive, and the old one's do not.
        #expect(new.deliver([UInt8](repeating: 0, count: 60)))
        let moved = (fixture.worker.poll(now: 13), fixture.worker.poll(now: 14))
        #expect(moved == (1, 0))
    }

    /// What the old interface never reports is lost, and counted, when the time is up.
    @Test func waitsNotForEver() throws {
        var fixture = try Fixture()
        let staged = fixture.worker.context.ports.queue(0).pointee.stage(
            XDPDescriptor(address: fixture.worker.context.pool.pop(), length: 60))
        #expect(staged)
        fixture.worker.context.ports.queue(0).pointee.submit()
        var sent = [XDPDescriptor(address: 0, length: 0)]
        let sentCount = fixture.old.takeTransmitted(into: &sent, upTo: 1)
        #expect(sentCount == 1)
        let new = FakeKernel(umem: fixture.umem, ringSize: Self.ringSize)
        let exchange = exchange(new)
        let (early, late) = (
            fixture.worker.exchange(exchange, now: 999), fixture.worker.exchange(exchange, now: 1000)
        )
        #expect(!early && late && exchange.lostFrames == 1)
        check(fixture.worker.context.pool.count == Self.frames - Self.ringSize - 1)
    }

    /// Again and again, with a port's ring wrapped around by traffic.
    @Test func manyTimes() throws {
        var fixture = try Fixture()
        var kernel = fixture.old
        for round in 0..<20 {
            for packet in 0..<(round * 37) {
                #expect(kernel.deliver([UInt8](repeating: 0, count: 60)))
                if packet % 5 == 0 { _ = fixture.worker.poll(now: UInt64(round * 10_000 + packet)) }
            }
            let next = FakeKernel(umem: fixture.umem, ringSize: Self.ringSize)
            let isDone = fixture.worker.exchange(exchange(next), now: 0)
            check(isDone && fixture.worker.context.pool.count == Self.frames - Self.ringSize, "round \(round)")
            kernel = next
            _ = fixture.worker.poll(now: UInt64(round * 10_000 + 9_999))
        }
    }

    /// A queue that the worker does not have is nobody's.
    @Test func unknownQueue() throws {
        var fixture = try Fixture()
        let new = FakeKernel(umem: fixture.umem, ringSize: Self.ringSize)
        let exchange = exchange(new, ordinal: 1)
        let isDone = fixture.worker.exchange(exchange, now: 1)
        #expect(isDone && exchange.lostFrames == 0)
        check(fixture.old.deliver([UInt8](repeating: 0, count: 60)))
        let moved = fixture.worker.poll(now: 2)
        #expect(moved == 1)
    }
}
