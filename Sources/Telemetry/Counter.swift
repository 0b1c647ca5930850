import Synchronization

/// A statistic with one writer and any number of readers.
///
/// The writer adds with a relaxed load and a relaxed store, which costs no more than a plain addition: there is no
/// locked instruction, and so two writers would lose counts. The memory belongs to whoever allocated it.
@frozen
public struct Counter: @unchecked Sendable, BitwiseCopyable {
    @usableFromInline let cell: UnsafeMutablePointer<Atomic<UInt64>>

    /// A counter over memory that was initialised and outlives it.
    @inlinable
    public init(_ cell: UnsafeMutablePointer<Atomic<UInt64>>) { self.cell = cell }

    /// Adds, wrapping after 2^64. Only the owner of the counter may call it.
    @inlinable
    public func add(_ amount: UInt64 = 1) {
        cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Replaces the value, for gauges. Only the owner of the counter may call it.
    @inlinable
    public func set(_ value: UInt64) { cell.pointee.store(value, ordering: .relaxed) }

    /// The value now, from any thread.
    @inlinable
    public func load() -> UInt64 { cell.pointee.load(ordering: .relaxed) }
}

/// Several counters side by side in one allocation that starts and ends on cache lines, so that no two writers share
/// one. A handle without ownership: whoever calls `allocate` calls `deallocate`, after the last reader.
@frozen
public struct CounterBlock: @unchecked Sendable, BitwiseCopyable {
    @usableFromInline let base: UnsafeMutablePointer<Atomic<UInt64>>
    public let count: Int

    @inlinable
    init(base: UnsafeMutablePointer<Atomic<UInt64>>, count: Int) {
        self.base = base
        self.count = count
    }

    /// `count` counters at zero.
    public static func allocate(count: Int) -> CounterBlock {
        precondition(count > 0, "a counter block holds at least one counter")
        let lines = (count * MemoryLayout<UInt64>.stride + 63) / 64
        let memory = UnsafeMutableRawPointer.allocate(byteCount: lines * 64, alignment: 64)
        let base = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { (base + index).initialize(to: Atomic(0)) }
        return CounterBlock(base: base, count: count)
    }

    public func deallocate() { UnsafeMutableRawPointer(base).deallocate() }

    /// One counter. The caller guarantees `0 <= index < count`.
    @inlinable
    public subscript(index: Int) -> Counter { Counter(base + index) }

    /// All values, each read relaxed.
    public func loadAll() -> [UInt64] { (0..<count).map { self[$0].load() } }
}
