import Cryptography
import IPsec
import Testing

@testable import Dataplane

/// Batches between preparation and their end, with an engine that is told when it is done.
@Suite struct CipherBatchTests {
    /// A context of an engine that keeps packets until it is let go on.
    private struct Context {
        let header = ESPContextHeader(process: { Context.work($0, $1, $2) }, collect: { Context.work($0, $1, $2) })
        var isDone = false

        static func work(
            _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int
        ) -> Int {
            let isDone = context.assumingMemoryBound(to: Context.self).pointee.isDone
            let operations = operations.assumingMemoryBound(to: ESPOperation.self)
            for index in 0..<count { operations[index].status = isDone ? .ok : .running }
            return isDone ? 0 : count
        }
    }

    /// Two SAs, and slots with packets of them. What stands for an SA is the address of its context.
    private final class Bench {
        var batches: CipherBatches
        let contexts = UnsafeMutablePointer<Context>.allocate(capacity: 2)
        let slots = UnsafeMutablePointer<PacketSlot>.allocate(capacity: 4)

        init() {
            var configuration = WorkerConfiguration(index: 0)
            configuration.batchSize = 4
            batches = CipherBatches(configuration)
            contexts.initialize(repeating: Context(), count: 2)
            slots.initialize(
                repeating: PacketSlot(start: UnsafeMutableRawPointer(slots), length: 0, port: 0), count: 4)
        }

        deinit {
            contexts.deallocate()
            slots.deallocate()
        }

        /// Runs a batch with a packet of each of these SAs; true when it may go on at once, nil when there is no batch.
        func run(_ associations: [Int], length: UInt32 = 0) -> Bool? {
            guard let batch = batches.next else { return nil }
            #expect(batch.pointee.state == .free)
            for (index, association) in associations.enumerated() {
                let context = UnsafeMutableRawPointer(contexts + association)
                slots[index].association = context
                slots[index].length = length
                batch.pointee.operations[index] = ESPOperation(
                    context: context, header: UnsafeMutableRawPointer(slots), payloadLength: 0)
            }
            batch.pointee.prepared(slots, count: associations.count, kind: .espTunnel)
            #expect(batch.pointee.state == .prepared)
            let isDone = batches.run(batch)
            if isDone { batch.pointee.end() }
            return isDone
        }

        /// Takes all batches that are done and may go on; the lengths of their packets tell which they are.
        func takeDone() -> [UInt32] {
            var taken: [UInt32] = []
            while let batch = batches.nextDone() {
                #expect(batch.pointee.state == .done)
                taken += (0..<batch.pointee.count).map { batch.pointee.slots[$0].length }
                batch.pointee.end()
            }
            return taken
        }
    }

    @Test func goOnAtOnceWhenTheEngineIsDone() {
        let bench = Bench()
        bench.contexts[0].isDone = true
        for _ in 0..<20 { #expect(bench.run([0, 0, 0]) == true) }
        #expect(bench.batches.inFlight == 0 && bench.batches.packets == 0)
    }

    @Test func keepTheirPacketsAndTheirOrder() {
        let bench = Bench()
        for number in 1...3 { #expect(bench.run([0, 0], length: UInt32(number)) == false) }
        #expect(bench.batches.inFlight == 3 && bench.batches.packets == 6)
        #expect(bench.takeDone() == [])
        bench.contexts[0].isDone = true
        // One of the same SA does not overtake them, though it is done.
        #expect(bench.run([0], length: 4) == false)
        #expect(bench.takeDone() == [1, 1, 2, 2, 3, 3, 4])
        #expect(bench.batches.inFlight == 0 && bench.batches.packets == 0)
    }

    @Test func passThoseOfOtherSAs() {
        let bench = Bench()
        bench.contexts[1].isDone = true
        #expect(bench.run([0], length: 1) == false)
        #expect(bench.run([1, 1], length: 2) == true, "another SA")
        #expect(bench.run([0, 1], length: 3) == false)
        #expect(bench.run([1], length: 4) == false, "behind the one before")
        #expect(bench.takeDone() == [])
        bench.contexts[0].isDone = true
        #expect(bench.takeDone() == [1, 3, 3, 4])
    }

    @Test func areLimited() {
        let bench = Bench()
        let capacity = CipherBatches.capacity
        for number in 0..<capacity {
            #expect(bench.batches.isBusy == (number > capacity / 2))
            #expect(bench.run([number % 2], length: UInt32(number)) == false)
        }
        #expect(bench.run([0]) == nil && bench.batches.isBusy)
        bench.contexts[1].isDone = true
        #expect(bench.takeDone() == (0..<UInt32(capacity)).filter { $0 % 2 == 1 })
        #expect(!bench.batches.isBusy && bench.batches.next != nil)
        bench.contexts[0].isDone = true
        #expect(bench.takeDone() == (0..<UInt32(capacity)).filter { $0 % 2 == 0 })
        for _ in 0..<2 * capacity { #expect(bench.run([0, 1]) == true) }
    }
}
