import Synchronization

/// The words that the publisher and the readers share, each on cache lines of its own.
final class PublicationState: @unchecked Sendable {
    /// Two lines, because processors fetch lines in pairs.
    static let padding = 128
    /// What a worker that sleeps has seen.
    static let offline = UInt64.max

    let workers: Int
    let current: UnsafeMutablePointer<Atomic<UnsafePointer<SnapshotTables>>>
    let epoch: UnsafeMutablePointer<Atomic<UInt64>>
    private let memory: UnsafeMutableRawPointer

    init(workers: Int, tables: UnsafePointer<SnapshotTables>) {
        precondition(workers > 0, "a gateway has at least one worker")
        self.workers = workers
        memory = .allocate(byteCount: (workers + 2) * Self.padding, alignment: Self.padding)
        current = memory.bindMemory(to: Atomic<UnsafePointer<SnapshotTables>>.self, capacity: 1)
        current.initialize(to: Atomic(tables))
        epoch = (memory + Self.padding).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        epoch.initialize(to: Atomic(1))
        for worker in 0..<workers { seen(worker).initialize(to: Atomic(Self.offline)) }
    }

    deinit { memory.deallocate() }

    /// The last epoch that a worker has seen.
    func seen(_ worker: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (memory + (worker + 2) * Self.padding).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    func lowestSeen() -> UInt64 {
        (0..<workers).map { seen($0).pointee.load(ordering: .sequentiallyConsistent) }.min() ?? Self.offline
    }
}
