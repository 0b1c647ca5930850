import Cryptography
import IPsec

/// Packets at the front of others whose SAs are of one kind. The SA of each is known.
struct SARun {
    let kind: SAKind
    let count: Int

    @inline(__always)
    init(inbound slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        self.init(slots, count: count) { $0.assumingMemoryBound(to: InboundRuntime.self).pointee.kind }
    }

    @inline(__always)
    init(outbound slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        self.init(slots, count: count) { $0.assumingMemoryBound(to: OutboundRuntime.self).pointee.kind }
    }

    @inline(__always)
    private init(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ kindOf: (UnsafeMutableRawPointer) -> SAKind
    ) {
        var kind = SAKind.espTunnel
        var same = 0
        while same < count {
            // The look-up keeps no packet without one.
            let next = kindOf(slots[same].association.unsafelyUnwrapped)
            if same == 0 { kind = next } else if next != kind { break }
            same &+= 1
        }
        self.kind = kind
        self.count = same
    }
}

/// The cipher of a run of packets, in either direction: the one place that calls it.
enum ESPCipherStage {
    @inline(never)
    static func run(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) {
        ESPBatch.run(operations, count: count)
    }

    /// Operations on cache lines, as the stage walks them.
    static func allocate(capacity: Int) -> UnsafeMutablePointer<ESPOperation> {
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: capacity * MemoryLayout<ESPOperation>.stride, alignment: 64)
        return raw.bindMemory(to: ESPOperation.self, capacity: capacity)
    }
}
