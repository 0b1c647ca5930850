import Glibc
import InMemory
import Policy
import Testing
import XDP

@testable import Dataplane

/// When a worker calls the kernel: to send, to receive, and before it sleeps.
@Suite struct KernelCallTests {
    /// One worker over two ports, whose calls are counted.
    private final class Called {
        let umem: UMEM
        let kernels: [FakeKernel]
        let calls: [CallCounter]
        let statistics = WorkerStatistics()
        let publisher = SnapshotPublisher(workers: 1)
        let mesh = HandoverMesh(workers: 1)
        var worker: Worker

        init(frames: Int = 512, ringSize: Int = 64) throws {
            let umem = try UMEM(frames: 512, hugePages: .never)
            let kernels = (0..<2).map { _ in FakeKernel(umem: umem, ringSize: ringSize) }
            let calls = try (0..<2).map { _ in try CallCounter() }
            let roles = [PortRoles.lan, .wan]
            self.umem = umem
            self.kernels = kernels
            self.calls = calls
            worker = Worker(
                configuration: WorkerConfiguration(index: 0),
                queues: (0..<2).map {
                    WorkerQueue(
                        rings: kernels[$0].makeRings(fileDescriptor: calls[$0].descriptor), portIndex: UInt16($0),
                        roles: roles[$0])
                }, umem: umem, pool: FramePool(umem: umem, frames: 0..<frames), reader: publisher.makeReader(worker: 0),
                mesh: mesh, events: SPSCRing<WorkerEvent>(capacity: 8).producer(), statistics: statistics)
        }

        func round() { _ = worker.poll(now: 1) }

        /// Puts packets into a port's transmit ring; returns how many it took.
        func stage(_ count: Int, port: Int) -> Int {
            var staged = 0
            while staged < count {
                let frame = worker.context.pool.pop()
                guard frame != FramePool.empty else { return staged }
                guard worker.context.stage(umem.pointer(at: frame + 256), length: 60, port: port).isPass else {
                    worker.context.pool.push(frame)
                    return staged
                }
                staged += 1
            }
            return staged
        }

        /// A frame that is no packet, so that there is work.
        func deliver(port: Int) { check(kernels[port].deliver([UInt8](repeating: 0, count: 60))) }
    }

    /// One end of a pair of datagram sockets. A call to send leaves an empty datagram at the other end; a call to receive takes
    /// one of those that wait at this end.
    private final class CallCounter {
        let descriptor: Int32
        private let other: Int32
        private static let waiting = 8

        init() throws {
            var ends: [Int32] = [-1, -1]
            let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
            (descriptor, other) = (ends[0], ends[1])
            refill()
        }

        deinit {
            close(descriptor)
            close(other)
        }

        private func refill() { for _ in 0..<Self.waiting { send(other, nil, 0, 0) } }

        private func drain(_ end: Int32) -> Int {
            var byte: UInt8 = 0
            var count = 0
            while recv(end, &byte, 1, 0) >= 0 { count += 1 }
            return count
        }

        /// Calls since the last time.
        func takeSends() -> Int { drain(other) }
        func takeReceives() -> Int {
            defer { refill() }
            return Self.waiting - drain(descriptor)
        }
    }

    /// A driver that ran out of frames is called after the next refill, though another port keeps the worker busy.
    @Test func fillRing() throws {
        let called = try Called(frames: 400)
        called.round()
        check(called.calls[0].takeReceives() == 0 && called.calls[1].takeReceives() == 0)
        called.kernels[0].wantsCalls(toSend: false, toReceive: true)
        for _ in 0..<5 {
            called.deliver(port: 1)
            called.round()
            check(called.calls[0].takeReceives() == 1 && called.calls[1].takeReceives() == 0)
        }
        check(called.statistics[.receiveWakeUps] == 5)
        called.kernels[0].wantsCalls(toSend: false, toReceive: false)
        called.deliver(port: 1)
        called.round()
        check(called.calls[0].takeReceives() == 0)
    }

    /// Without a frame to show there is nothing to call for.
    @Test func emptyFillRing() throws {
        let called = try Called(frames: 0)
        called.kernels[0].wantsCalls(toSend: false, toReceive: true)
        called.round()
        check(called.calls[0].takeReceives() == 0)
        called.worker.context.pool.push(0)
        called.round()
        check(called.calls[0].takeReceives() == 1)
    }

    /// The kernel looked before the packets were there, and says only then that it wants to be called.
    @Test func overlookedPackets() throws {
        let called = try Called()
        called.round()
        check(called.stage(3, port: 1) == 3)
        called.round()
        check(called.calls[1].takeSends() == 0, "nobody asked")
        called.kernels[1].wantsCalls(toSend: true, toReceive: false)
        called.round()
        check(called.calls[1].takeSends() == 1)
        // It takes some, and is called for the rest.
        check(called.kernels[1].transmit(upTo: 2) == 2)
        called.round()
        check(called.calls[1].takeSends() == 1)
        check(called.kernels[1].transmit() == 1)
        for _ in 0..<3 { called.round() }
        check(called.calls[1].takeSends() == 0 && called.calls[0].takeSends() == 0)
        check(called.statistics[.kicks] == 2 && called.worker.heldFrames == 512)
    }

    /// Before the worker sleeps it looks once more at what is not sent.
    @Test func beforeSleep() throws {
        let called = try Called()
        check(!called.worker.context.ports.kickUnsent())
        check(called.stage(1, port: 1) == 1)
        called.round()
        check(called.worker.context.ports.kickUnsent(), "not sent yet")
        check(called.calls[1].takeSends() == 0)
        called.kernels[1].wantsCalls(toSend: true, toReceive: false)
        check(called.worker.context.ports.kickUnsent())
        check(called.calls[1].takeSends() == 1)
        check(called.kernels[1].transmit() == 1)
        check(!called.worker.context.ports.kickUnsent())
        check(called.calls[1].takeSends() == 0)
    }

    /// All completed frames come back in one round, however many.
    @Test func completions() throws {
        let called = try Called(ringSize: 256)
        called.round()
        check(called.stage(256, port: 1) == 256 && called.stage(1, port: 1) == 0)
        called.round()
        check(called.kernels[1].transmit() == 256)
        let before = called.worker.context.pool.count
        called.round()
        // The fill rings take up to two batches each.
        check(called.worker.heldFrames == 512 && called.worker.context.pool.count >= before)
    }

    /// A batch that finds a full ring: what was sent meanwhile comes back, what is staged is shown, the kernel is called once.
    @Test func fullRing() throws {
        let called = try Called()
        called.round()
        check(called.stage(64, port: 1) == 64)
        called.round()
        called.kernels[1].wantsCalls(toSend: true, toReceive: false)
        check(called.kernels[1].transmit() == 64)
        check(called.stage(64, port: 1) == 64 && !called.worker.context.ports.hasRoom(for: 1))
        let before = called.worker.context.pool.count
        called.worker.context.makeRoom(for: 1)
        check(called.worker.context.pool.count == before + 64 && called.calls[1].takeSends() == 1)
        check(called.kernels[1].transmit() == 64, "they were shown")
        check(called.worker.context.ports.hasRoom(for: 64) && !called.worker.context.ports.hasRoom(for: 65))
        called.worker.context.makeRoom(for: 64)
        check(called.calls[1].takeSends() == 0)
    }

    /// What was promised room is not given to others.
    @Test func promises() throws {
        let called = try Called()
        called.round()
        check(called.worker.context.ports.hasRoom(for: 64))
        called.worker.context.ports.queue(1).pointee.promise(60)
        check(called.stage(10, port: 1) == 4 && called.worker.context.ports.queue(1).pointee.promised == 60)
        called.worker.context.ports.endPromises()
        check(called.stage(70, port: 1) == 60)
    }
}
