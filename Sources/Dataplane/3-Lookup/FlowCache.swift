import CLinux
import Glibc
import Policy

/// The SAs and next hops of recent flows, outbound or inner: one cache line per flow, two places per flow, no
/// eviction policy beyond "the newer one wins". Entries of an older snapshot are never used, because the generation
/// is part of the entry.
///
/// Memory is mapped lazily: a cache that few flows touch stays small.
struct FlowCache: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: FlowKey
        /// The SA: an `OutboundRuntime` that the policies want, or the `InboundRuntime` from which they accept the flow.
        var association: UnsafeMutableRawPointer?
        /// To the peer (outbound), to the destination (inner).
        var nextHop: UnsafePointer<NextHop>?
        /// The worker's number of the snapshot (`Worker.generation`), 0 for an empty entry.
        var generation: UInt32
        /// The worker that owns the SA.
        var owner: UInt16
    }

    let entries: UnsafeMutablePointer<Entry>
    private let memory: LazyMemory
    let mask: UInt64
    let seed: UInt64

    /// `capacity` is rounded up to a power of two.
    init(capacity: Int) {
        var size = 2
        while size < capacity { size <<= 1 }
        memory = LazyMemory(byteCount: size * MemoryLayout<Entry>.stride)
        entries = memory.base.bindMemory(to: Entry.self, capacity: size)
        mask = UInt64(size - 1)
        seed = UInt64.random(in: 0 ... .max)
    }

    /// Forgets everything.
    mutating func clear() { memset(entries, 0, Int(truncatingIfNeeded: mask &+ 1) &* MemoryLayout<Entry>.stride) }

    @inline(__always)
    func prefetch(hash: UInt64) { sluice_prefetch(entries + Int(truncatingIfNeeded: hash & mask)) }

    /// The entry of a flow under this generation, or nil.
    @inline(__always)
    func find(_ key: UnsafePointer<FlowKey>, hash: UInt64, generation: UInt32) -> UnsafeMutablePointer<Entry>? {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        if first.pointee.generation == generation, key.pointee.isSame(as: FlowCache.key(of: first)) { return first }
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        if second.pointee.generation == generation, key.pointee.isSame(as: FlowCache.key(of: second)) {
            return second
        }
        return nil
    }

    /// Remembers a decision; the flow's first place is kept for it unless a current flow has it and the second is free.
    mutating func insert(_ entry: Entry, hash: UInt64) {
        let first = entries + Int(truncatingIfNeeded: hash & mask)
        let second = entries + Int(truncatingIfNeeded: (hash & mask) ^ 1)
        let place =
            first.pointee.generation == entry.generation && second.pointee.generation != entry.generation
            ? second : first
        place.pointee = entry
    }

    @inline(__always)
    static func key(of entry: UnsafeMutablePointer<Entry>) -> UnsafePointer<FlowKey> {
        UnsafeRawPointer(entry).assumingMemoryBound(to: FlowKey.self)
    }
}
