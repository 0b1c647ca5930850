import Glibc
import Packets
import Synchronization
import Testing
import XDP

@testable import Dataplane

/// Rings between workers: who gets what, who pays back, and who is woken.
@Suite struct HandoverMeshTests {
    private func entry(_ address: UInt64, _ kind: HandoverEntry.Kind = .outbound) -> HandoverEntry {
        HandoverEntry(address: address, length: 1, port: 0, kind: kind)
    }

    /// Every ordered pair has a ring of its own.
    @Test(arguments: 1...4)
    func everyPair(workers: Int) {
        let mesh = HandoverMesh(workers: workers, capacity: 8)
        check(mesh.participants == workers + 1 && mesh.host == workers)
        let ends = (0..<mesh.participants).map { Box(HandoverEnds(mesh: mesh, index: $0)) }
        for from in 0..<mesh.participants {
            for to in 0..<mesh.participants {
                check(ends[from].ends.send(entry(UInt64(from * 100 + to)), to: to))
            }
        }
        for to in 0..<mesh.participants {
            check(ends[to].ends.hasWork())
            for from in 0..<mesh.participants {
                check(ends[to].ends.inboxes[from].pop()?.address == UInt64(from * 100 + to))
            }
            check(!ends[to].ends.hasWork())
        }
    }

    private final class Box {
        var ends: HandoverEnds
        init(_ ends: consuming HandoverEnds) { self.ends = ends }
    }

    /// A full ring and a target that does not exist are refused, so that the caller still owns the frame.
    @Test func refusal() {
        let mesh = HandoverMesh(workers: 2, capacity: 4)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        for number in 0..<4 { check(ends.send(entry(UInt64(number)), to: 1)) }
        check(!ends.send(entry(4), to: 1))
        check(!ends.send(entry(4), to: 3))
        check(!ends.send(entry(4), to: -1))
        check(ends.send(entry(4), to: 2))
    }

    /// Debts are paid in lumps, never with the last frames, and never more than is owed.
    @Test func paybacks() throws {
        let umem = try UMEM(frames: 64, hugePages: .never)
        let mesh = HandoverMesh(workers: 2, capacity: 64)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        var other = HandoverEnds(mesh: mesh, index: 1)
        var pool = FramePool(umem: umem, frames: 0..<40)
        ends.owed[1] = HandoverEnds.lump - 1
        ends.payBack(from: &pool, isIdle: false)
        check(pool.count == 40 && !other.hasWork())
        ends.owed[1] = 20
        ends.payBack(from: &pool, isIdle: false)
        check(pool.count == 20 && ends.owed[1] == 0)
        var addresses = Set<UInt64>()
        while let paid = other.inboxes[0].pop() {
            #expect(paid.kind == .freeFrame)
            addresses.insert(paid.address)
        }
        #expect(addresses.count == 20)
        // As many as there are: then the packets to come would find none.
        ends.owed[1] = 20
        ends.payBack(from: &pool, isIdle: false)
        check(pool.count == 10 && ends.owed[1] == 10)
        for address in addresses { pool.push(address) }
        // Less than a lump is paid when there is nothing else to do.
        ends.payBack(from: &pool, isIdle: false)
        check(pool.count == 30 && ends.owed[1] == 10)
        ends.payBack(from: &pool, isIdle: true)
        check(pool.count == 20 && ends.owed[1] == 0)
    }

    /// Nothing but the payment would wake a worker whose queues have run out of frames.
    @Test func paymentsWake() throws {
        let umem = try UMEM(frames: 64, hugePages: .never)
        let mesh = HandoverMesh(workers: 3, capacity: 64)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        var pool = FramePool(umem: umem, frames: 0..<64)
        func isWoken(_ worker: Int) -> Bool {
            var entry = pollfd(fd: mesh.wakeUp(of: worker).fileDescriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }
        for worker in 1...2 { mesh.wakeUp(of: worker).announce() }
        ends.owed[1] = 1
        ends.owed[2] = HandoverEnds.lump
        ends.payBack(from: &pool, isIdle: false)
        ends.wakeTouched()
        check(!isWoken(1) && isWoken(2))
        ends.payBack(from: &pool, isIdle: true)
        ends.wakeTouched()
        check(isWoken(1))
    }

    /// A pool that is too small for all debts serves the creditors in turn.
    @Test func smallPoolsServeAll() throws {
        let umem = try UMEM(frames: 64, hugePages: .never)
        let mesh = HandoverMesh(workers: 8, capacity: 64)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        var pool = FramePool(umem: umem, frames: 0..<0)
        for other in 1..<8 { ends.owed[other] = 40 }
        var paid = [Int](repeating: 0, count: 8)
        for round in 0..<36 {
            for frame in 0..<4 { pool.push(UInt64((round % 16 * 4 + frame) * umem.frameSize)) }
            ends.payBack(from: &pool, isIdle: false)
            while pool.pop() != FramePool.empty {}
            for other in 1..<8 { paid[other] = 40 - ends.owed[other] }
        }
        check(paid.dropFirst().allSatisfy { $0 >= 6 }, "\(paid)")
    }

    /// Nobody gets more frames than it may have and not have paid back.
    @Test func lendingIsBounded() {
        let mesh = HandoverMesh(workers: 2, capacity: 64)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        for number in 0..<8 { check(ends.send(entry(UInt64(number)), to: 1, most: 8)) }
        check(!ends.send(entry(8), to: 1, most: 8))
        check(ends.send(entry(8), to: 2, most: 8), "the others may have theirs")
        ends.wasPaidBack(by: 1)
        check(ends.send(entry(9), to: 1, most: 8))
        check(!ends.send(entry(10), to: 1, most: 8))
    }

    /// A full ring delays the payment and loses nothing.
    @Test func paybackIntoAFullRing() throws {
        let umem = try UMEM(frames: 64, hugePages: .never)
        let mesh = HandoverMesh(workers: 1, capacity: 8)
        var ends = HandoverEnds(mesh: mesh, index: 0)
        var host = mesh.consumer(from: 0, to: mesh.host)
        var pool = FramePool(umem: umem, frames: 0..<64)
        ends.owed[1] = 30
        var paid = 0
        for _ in 0..<4 {
            ends.payBack(from: &pool, isIdle: false)
            while host.pop() != nil { paid += 1 }
            check(pool.count == 64 - paid && ends.owed[1] == 30 - paid)
        }
        // What is left is less than a lump.
        check(paid == 16 && ends.owed[1] == 14)
    }
}

/// The wake-up of a sleeping worker.
@Suite struct WakeUpTests {
    private func isReadable(_ descriptor: Int32, milliseconds: Int32 = 0) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) == 1
    }

    /// Only a sleeper is woken, once per sleep.
    @Test func signals() {
        let wakeUp = WakeUp()
        wakeUp.signal()
        #expect(!isReadable(wakeUp.fileDescriptor), "nobody sleeps")
        wakeUp.announce()
        wakeUp.signal()
        #expect(isReadable(wakeUp.fileDescriptor))
        var value: UInt64 = 0
        wakeUp.signal()
        #expect(read(wakeUp.fileDescriptor, &value, 8) == 8 && value == 1, "the second signal cost no system call")
        wakeUp.clear()
        wakeUp.announce()
        wakeUp.signal()
        wakeUp.clear()
        #expect(!isReadable(wakeUp.fileDescriptor), "cleared")
    }

    /// Ten thousand items over a ring to a thread that sleeps whenever it finds none: none is overslept.
    @Test(.timeLimit(.minutes(15)))
    func nothingIsOverslept() {
        let wakeUp = WakeUp()
        let ring = SPSCRing<UInt64>(capacity: 4)
        let total = 10_000
        let slow = Atomic<Int>(0)
        let thread = RunningThread {
            var consumer = ring.consumer()
            var taken = 0
            while taken < total {
                if consumer.pop() != nil {
                    taken += 1
                    continue
                }
                wakeUp.announce()
                if consumer.isEmpty(), !isReadable(wakeUp.fileDescriptor, milliseconds: 60_000) {
                    slow.add(1, ordering: .relaxed)
                }
                wakeUp.clear()
            }
        }
        var producer = ring.producer()
        for number in 0..<UInt64(total) {
            while !producer.push(number) { sched_yield() }
            wakeUp.signal()
        }
        thread.join()
        #expect(slow.load(ordering: .relaxed) == 0)
    }
}
