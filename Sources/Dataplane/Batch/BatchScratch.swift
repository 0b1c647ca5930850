import Cryptography
import IPsec
import Packets

/// What the stages of one batch pass on beside the slots. Allocated once per worker.
struct BatchScratch: ~Copyable {
    let keys: UnsafeMutablePointer<FlowKey>
    let hashes: UnsafeMutablePointer<UInt64>
    let operations: UnsafeMutablePointer<ESPOperation>
    let outer: UnsafeMutablePointer<OuterPacket>
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        keys = .allocate(capacity: capacity)
        hashes = .allocate(capacity: capacity)
        // On cache lines, as the cipher stage walks them.
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: capacity * MemoryLayout<ESPOperation>.stride, alignment: 64)
        operations = raw.bindMemory(to: ESPOperation.self, capacity: capacity)
        outer = .allocate(capacity: capacity)
    }

    deinit {
        keys.deallocate()
        hashes.deallocate()
        operations.deallocate()
        outer.deallocate()
    }
}
