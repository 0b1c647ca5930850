import Cryptography
import Testing

/// An engine gets whole runs of packets of one SA, is asked for what it keeps, and for nothing else.
@Suite struct BatchRunTests {
    /// The context of an engine that notes what it is given, and keeps every packet for a number of questions.
    private struct Context {
        let header: ESPContextHeader
        var delay: Int
        var given: [Int] = []
        var asked: [Int] = []

        init(delay: Int, collects: Bool = true) {
            header = ESPContextHeader(
                process: { Context.process($0, $1, $2) }, collect: collects ? { Context.collect($0, $1, $2) } : nil)
            self.delay = delay
        }

        private static func process(
            _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int
        ) -> Int {
            let context = context.assumingMemoryBound(to: Context.self)
            context.pointee.given.append(count)
            return settle(context, operations.assumingMemoryBound(to: ESPOperation.self), count)
        }

        private static func collect(
            _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int
        ) -> Int {
            let context = context.assumingMemoryBound(to: Context.self)
            context.pointee.asked.append(count)
            context.pointee.delay -= 1
            return settle(context, operations.assumingMemoryBound(to: ESPOperation.self), count)
        }

        private static func settle(
            _ context: UnsafeMutablePointer<Context>, _ operations: UnsafeMutablePointer<ESPOperation>, _ count: Int
        ) -> Int {
            let isDone = context.pointee.delay <= 0
            for index in 0..<count { operations[index].status = isDone ? .ok : .running }
            return isDone ? 0 : count
        }
    }

    @Test(arguments: [
        ([], []), ([0], [[1], []]), ([0, 0, 0], [[3], []]), ([0, 1, 0, 1], [[1, 1], [1, 1]]),
        ([0, 0, 1, 1, 1, 0], [[2, 1], [3]]),
    ])
    func runs(order: [Int], expected: [[Int]]) {
        let contexts = UnsafeMutablePointer<Context>.allocate(capacity: 2)
        (contexts + 0).initialize(to: Context(delay: 0, collects: false))
        (contexts + 1).initialize(to: Context(delay: 2))
        defer {
            contexts.deinitialize(count: 2)
            contexts.deallocate()
        }
        var operations = order.map {
            ESPOperation(
                context: UnsafeMutableRawPointer(contexts + $0), header: UnsafeMutableRawPointer(contexts),
                payloadLength: 0)
        }
        let late = order.count { $0 == 1 }
        operations.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
            #expect(ESPBatch.run(base, count: buffer.count) == late)
            #expect([contexts[0].given, contexts[1].given] == expected)
            #expect(buffer.count { $0.status == .running } == late)
            if late == 0 { return }
            var questions = 0
            while ESPBatch.collect(base, count: buffer.count) > 0, questions < 10 { questions += 1 }
            #expect(buffer.allSatisfy { $0.status == .ok })
        }
        #expect(contexts[1].asked.allSatisfy { expected.last?.contains($0) == true })
    }
}
