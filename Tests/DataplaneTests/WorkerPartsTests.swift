import Packets
import Policy
import TestSupport
import Testing
import XDP

@testable import Dataplane
@testable import InMemory

/// Ports, batches, queues and counters of a worker, by themselves.
@Suite struct WorkerPartsTests {
    /// Staged packets are shown to the kernel all at once, in order; a full ring refuses.
    @Test func staging() throws {
        let umem = try UMEM(frames: 8, hugePages: .never)
        let kernel = FakeKernel(umem: umem, ringSize: 128)
        var port = WorkerPort(rings: kernel.makeRings(), portIndex: 3, roles: .lan)
        let sent = UnsafeMutablePointer<XDPDescriptor>.allocate(capacity: 256)
        defer { sent.deallocate() }
        var next: UInt64 = 0
        var expected: UInt64 = 0
        for count in [1, 63, 64, 65, 100, 128, 5] {
            for _ in 0..<count {
                check(port.stage(XDPDescriptor(address: next, length: 1)))
                next += 1
            }
            check(port.staged == count && !port.needsKick)
            #expect(kernel.takeTransmitted(into: sent, upTo: 256) == 0, "not shown yet")
            port.submit()
            check(port.staged == 0 && port.needsKick)
            port.needsKick = false
            #expect(kernel.takeTransmitted(into: sent, upTo: 256) == count)
            for index in 0..<count { check(sent[index].address == expected + UInt64(index)) }
            expected += UInt64(count)
        }
        for number in 0..<128 { check(port.stage(XDPDescriptor(address: UInt64(number), length: 1))) }
        check(!port.stage(XDPDescriptor(address: 128, length: 1)))
        check(!port.stage(XDPDescriptor(address: 128, length: 1)))
        check(port.staged == 128)
        port.submit()
        check(!port.stage(XDPDescriptor(address: 128, length: 1)), "the kernel has taken none yet")
        #expect(kernel.takeTransmitted(into: sent, upTo: 10) == 10)
        for number in 0..<10 { check(port.stage(XDPDescriptor(address: UInt64(number), length: 1))) }
        check(!port.stage(XDPDescriptor(address: 10, length: 1)))
        // Nothing staged: nothing to show, nothing to ask for.
        port.submit()
        port.needsKick = false
        port.submit()
        check(!port.needsKick)
    }

    @Test func slotBatch() {
        var batch = SlotBatch(capacity: 3)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        for number in 0..<3 {
            check(!batch.isFull)
            batch.append(PacketSlot(start: memory, length: UInt32(number), port: 1))
        }
        check(batch.isFull && batch.count == 3)
        check((0..<3).map { batch.slots[$0].length } == [0, 1, 2])
        // The stages look this far behind the last packet.
        for ahead in 0..<SlotBatch.lookAhead { _ = batch.slots[3 + ahead].start.load(as: UInt8.self) }
    }

    /// Versions of another lineage cannot be compared (another builder, or four thousand million changes): what the worker
    /// remembers of before, and has not touched since, is not taken for something of today.
    @Test func flowsEndWithTheLineageOfVersions() throws {
        let builder = SnapshotBuilder(workers: 1)
        let gateway = try MemoryGateway(framesPerWorker: 64, ringSize: 64, snapshot: builder.build())
        gateway.pollOnce(now: 1)
        let box = gateway.boxes[0]
        let first = gateway.current.tables.pointee
        check(first.flowVersions[0] != 0, "0 is for empty entries")
        check(box.worker.flowLineage == first.flowLineage)
        let gone = UnsafeMutableRawPointer(bitPattern: 0xDEAD_0000)
        var key = try #require(FlowKey.sample)
        let entry = FlowCache.Entry(
            key: key, association: gone, nextHop: 0, version: first.flowVersions[0], versionPlace: 0, owner: 0)
        box.worker.outbound.flows.insert(entry, hash: 6, versions: first.flowVersions)
        box.worker.inbound.opening.flows.insert(entry, hash: 6, versions: first.flowVersions)
        box.worker.inbound.opening.last = box.worker.inbound.opening.flows.entries
        func isKnown() -> [Bool] {
            let versions = gateway.current.tables.pointee.flowVersions
            return [
                box.worker.outbound.flows.find(&key, hash: 6, versions: versions) != nil,
                box.worker.inbound.opening.flows.find(&key, hash: 6, versions: versions) != nil,
                box.worker.inbound.opening.last != nil,
            ]
        }
        gateway.publish(builder.build())
        gateway.pollOnce(now: 1)
        check(isKnown() == [true, true, true], "a snapshot alone ends nothing")
        gateway.publish(SnapshotBuilder(workers: 1).build())
        check(gateway.current.tables.pointee.flowVersions[0] == entry.version)
        gateway.pollOnce(now: 1)
        check(isKnown() == [false, false, false])
        check(box.worker.flowLineage != first.flowLineage)
    }

    @Test(arguments: [0, 1, 5])
    func neighbourQueueHoldsAtLeastOne(capacity: Int) {
        check(NeighbourQueue(capacity: capacity).capacity == max(capacity, 1))
    }

    /// Counters have stable, distinct names and one place each.
    @Test func counters() {
        let statistics = WorkerStatistics()
        for counter in WorkerCounter.allCases { #expect(statistics[counter] == 0) }
        #expect(Set(WorkerCounter.allCases.map(\.name)).count == WorkerCounter.allCases.count)
        #expect(WorkerCounter.allCases.map(\.rawValue) == Array(0..<WorkerCounter.allCases.count))
    }
}

extension FlowKey {
    /// Of some packet.
    fileprivate static var sample: FlowKey? {
        var packet = IPPacket(from: SitePlan(1).host(.ipv4), to: SitePlan(2).host(.ipv4), size: 60).bytes
        return packet.withUnsafeMutableBytes { bytes -> FlowKey? in
            guard let start = bytes.baseAddress else { return nil }
            var summary = PacketSummary()
            guard PacketSummary.parse(start, available: bytes.count, into: &summary) == .none else { return nil }
            return FlowKey(summary, header: start)
        }
    }
}
