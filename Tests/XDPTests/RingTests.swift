import Synchronization
import Testing
import XDP

/// Ring memory of its own, with both indices at a chosen start.
private final class Memory {
    let words: UnsafeMutablePointer<Atomic<UInt32>>
    let slots: UnsafeMutablePointer<UInt64>
    let capacity: UInt32

    init(capacity: UInt32, start: UInt32) {
        words = .allocate(capacity: 3)
        for (index, value) in [start, start, 0].enumerated() { (words + index).initialize(to: Atomic(value)) }
        slots = .allocate(capacity: Int(capacity))
        slots.initialize(repeating: .max, count: Int(capacity))
        self.capacity = capacity
    }

    deinit {
        words.deallocate()
        slots.deallocate()
    }

    var layout: RingMemory<UInt64> {
        RingMemory(
            producer: words, consumer: words + 1, flags: words + 2, slots: slots, capacity: capacity, owner: self)
    }
}

@Suite struct RingTests {
    /// Random batches on both ends against a plain queue, also where the indices wrap around 2^32.
    @Test(arguments: [1, 2, 8, 64] as [UInt32], [0, UInt32.max - 20] as [UInt32])
    func behavesAsAQueue(capacity: UInt32, start: UInt32) {
        let memory = Memory(capacity: capacity, start: start)
        var producer = ProducerRing(memory.layout)
        var consumer = ConsumerRing(memory.layout)
        var model: [UInt64] = []
        var next: UInt64 = 0
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let wanted = Int.random(in: 0...Int(capacity) + 2, using: &random)
            if Bool.random(using: &random) {
                let (index, room) = producer.reserve(upTo: wanted)
                #expect(room == min(wanted, Int(capacity) - model.count))
                // Submit a part only: the rest of the reservation must not count.
                let submitted = room == 0 ? 0 : Int.random(in: 0...room, using: &random)
                for offset in 0..<submitted {
                    producer.write(next, at: index &+ UInt32(offset))
                    model.append(next)
                    next += 1
                }
                producer.submit(submitted)
                #expect(producer.pending == model.count)
            } else {
                let (index, ready) = consumer.peek(upTo: wanted)
                #expect(ready == min(wanted, model.count))
                let seen = (0..<ready).map { consumer.read(at: index &+ UInt32($0)) }
                #expect(seen == Array(model.prefix(ready)))
                let released = ready == 0 ? 0 : Int.random(in: 0...ready, using: &random)
                consumer.release(released)
                model.removeFirst(released)
            }
        }
    }

    @Test func singleElementCalls() {
        let ring = SPSCRing<UInt32>(capacity: 3)
        var producer = ring.producer()
        var consumer = ring.consumer()
        #expect(ring.capacity == 4)
        #expect(consumer.isEmpty() == true)
        #expect((0..<5).map { producer.push($0) } == [true, true, true, true, false])
        #expect((0..<5).map { _ in consumer.pop() } == [0, 1, 2, 3, nil])
        let block: [UInt32] = [7, 8, 9]
        #expect(producer.push(from: block, count: 3) == 3)
        var out = [UInt32](repeating: 0, count: 8)
        #expect(consumer.pop(into: &out, upTo: 8) == 3)
        #expect(out.prefix(3) == [7, 8, 9])
    }

    @Test func wakeUpFlagIsSeen() {
        let memory = Memory(capacity: 4, start: 0)
        let producer = ProducerRing(memory.layout)
        #expect(producer.needsWakeup == false)
        memory.words[2].store(1, ordering: .relaxed)
        #expect(producer.needsWakeup == true)
    }

    @Test func endsKeepTheMemoryAlive() {
        var ring: SPSCRing<UInt64>? = SPSCRing(capacity: 8)
        weak let watched = ring
        var producer = SPSCRing<UInt64>(capacity: 1).producer()
        if let ring { producer = ring.producer() }
        ring = nil
        #expect(watched != nil)
        #expect(producer.push(1) == true)
        producer = SPSCRing<UInt64>(capacity: 1).producer()
        #expect(watched == nil)
    }

    /// Every element arrives once and in order, over two threads with batches of all sizes.
    @Test func twoThreads() async {
        let total = 400_000 as UInt64
        let ring = SPSCRing<UInt64>(capacity: 256)
        async let sent: Void = onOwnThread {
            var producer = ring.producer()
            var next: UInt64 = 0
            while next < total {
                let (index, room) = producer.reserve(upTo: Int(min(1 + next % 61, total - next)))
                for offset in 0..<room {
                    producer.write(next, at: index &+ UInt32(offset))
                    next += 1
                }
                if room > 0 { producer.submit(room) } else { yieldProcessor() }
            }
        }
        let inOrder = await onOwnThread {
            var consumer = ring.consumer()
            var expected: UInt64 = 0
            while expected < total {
                let (index, ready) = consumer.peek(upTo: 1 + Int(expected % 37))
                for offset in 0..<ready {
                    guard consumer.read(at: index &+ UInt32(offset)) == expected else { return false }
                    expected += 1
                }
                if ready > 0 { consumer.release(ready) } else { yieldProcessor() }
            }
            return consumer.isEmpty()
        }
        await sent
        #expect(inOrder)
    }
}
