import Packets
import Platform
import Synchronization

/// Hands snapshots to workers without a lock, and releases them when no worker can use them any more
/// (quiescent-state-based reclamation).
///
/// 1. `publish` swaps the pointer to the current tables, then raises the epoch.
/// 2. At each batch boundary a worker reads the epoch and writes it into its own cache line: from then on it uses no
///    tables that were replaced before that epoch. A sleeping worker counts as having seen every epoch.
/// 3. A replaced snapshot is released once every worker has seen the epoch of its replacement.
///
/// `publish` never waits. What could not be released at once is released by a later `publish` or `reclaim`; the control
/// thread calls `reclaim` from a timer. All methods may be called from any thread.
public final class SnapshotPublisher: Sendable {
    let shared: PublicationState
    /// The SPIs of SAs that are to be in some later snapshot.
    public let expectedSPIs = ExpectedSPIs()
    /// The peers that are heard although no SA is for their packets.
    public let watchedPeers = WatchedPeers()
    private let control: ControlLock<Control>

    private struct Control {
        var current: Snapshot
        var retired: [(snapshot: Snapshot, epoch: UInt64)] = []
        var readers: Set<Int> = []
    }

    /// Begins with `snapshot`; without one, with an empty snapshot, in which everything is dropped.
    public init(workers: Int, initial snapshot: Snapshot? = nil) {
        let first = snapshot ?? SnapshotBuilder(workers: workers).build()
        shared = PublicationState(workers: workers, tables: first.tables)
        control = ControlLock(Control(current: first))
    }

    /// The newest snapshot.
    public var current: Snapshot { control.withLock { $0.current } }

    /// Makes `snapshot` the current one. Workers use it from their next `acquire` on. Returns the number of the publication.
    @discardableResult
    public func publish(_ snapshot: Snapshot) -> UInt64 {
        control.withLock { control in
            shared.current.pointee.store(snapshot.tables, ordering: .sequentiallyConsistent)
            let epoch = shared.epoch.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
            control.retired.append((control.current, epoch))
            control.current = snapshot
            release(&control)
            return epoch
        }
    }

    /// Whether every worker has passed a batch boundary since this publication, or is asleep: none uses what was before.
    public func isSeenByAll(_ publication: UInt64) -> Bool { shared.lowestSeen() >= publication }

    /// Releases what no worker uses any more. Returns how many replaced snapshots are still waiting.
    @discardableResult
    public func reclaim() -> Int {
        control.withLock { control in
            release(&control)
            return control.retired.count
        }
    }

    /// The reader of one worker, online. Each worker has one; it may be made again after the earlier one is gone.
    public func makeReader(worker: Int) -> SnapshotReader {
        control.withLock { control in
            precondition(worker >= 0 && worker < shared.workers, "no such worker")
            precondition(control.readers.insert(worker).inserted, "the worker has a reader already")
        }
        return SnapshotReader(publisher: self, worker: worker)
    }

    func readerIsGone(worker: Int) { control.withLock { _ = $0.readers.remove(worker) } }

    private func release(_ control: inout Control) {
        let seen = shared.lowestSeen()
        control.retired.removeAll { $0.epoch <= seen }
    }
}

/// A worker's end of the publication. Belongs to one thread.
///
///     loop:
///         let tables = reader.acquire()
///         … one batch with `tables` …
///         reader.quiescent()
///         if idle { reader.offline(); sleep; reader.online() }
///
/// A pointer to an SA may be kept beyond a batch only together with the version that the decision for it rests on, and used only
/// while that version is the same (`FlowVersions`); pointers to next hops only while `acquire` gives the same tables. They are
/// not to be handed to other workers.
public struct SnapshotReader: ~Copyable {
    @usableFromInline let current: UnsafeMutablePointer<Atomic<UnsafePointer<SnapshotTables>>>
    @usableFromInline let epoch: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let seen: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let expectedSPIs: UnsafePointer<Atomic<UInt32>>
    @usableFromInline let watchedPeers: UnsafePointer<Atomic<UInt64>>
    /// Keeps the memory behind the pointers alive.
    private let publisher: SnapshotPublisher
    private let worker: Int

    init(publisher: SnapshotPublisher, worker: Int) {
        self.publisher = publisher
        self.worker = worker
        current = publisher.shared.current
        epoch = publisher.shared.epoch
        seen = publisher.shared.seen(worker)
        expectedSPIs = UnsafePointer(publisher.expectedSPIs.places)
        watchedPeers = UnsafePointer(publisher.watchedPeers.words)
        online()
    }

    deinit {
        seen.pointee.store(PublicationState.offline, ordering: .sequentiallyConsistent)
        publisher.readerIsGone(worker: worker)
    }

    /// The current tables. Valid until the next `quiescent`, `offline`, or end of the reader.
    ///
    /// Sequentially consistent, which costs nothing on x86 and makes `online` safe without a fence.
    @inlinable
    @inline(__always)
    public mutating func acquire() -> UnsafePointer<SnapshotTables> {
        current.pointee.load(ordering: .sequentiallyConsistent)
    }

    /// Whether the SPI will have an inbound SA soon. To be asked between `acquire`
    /// and `quiescent`: what was expected, and is not any more, either has its SA in these tables or will have none.
    @inlinable
    public func expects(spi: SPI) -> Bool { ExpectedSPIs.contains(expectedSPIs, spi) }

    /// Whether a packet from there is worth telling of although no SA is for it. Some addresses are found by chance.
    @inlinable
    public func watches(_ address: IPAddress) -> Bool { WatchedPeers.contains(watchedPeers, address) }

    /// A batch boundary: the worker holds nothing of the tables that it acquired before.
    @inlinable
    @inline(__always)
    public mutating func quiescent() {
        // The epoch was raised after the pointer was swapped, so who sees the epoch acquires the new tables.
        let now = epoch.pointee.load(ordering: .acquiring)
        seen.pointee.store(now, ordering: .releasing)
    }

    /// Whether something was published since the last boundary: then somebody waits for the next one.
    @inlinable
    public var isAwaited: Bool {
        epoch.pointee.load(ordering: .relaxed) != seen.pointee.load(ordering: .relaxed)
    }

    /// The worker will sleep: nobody waits for it. It holds nothing, and does not `acquire` until `online`.
    @inlinable
    public mutating func offline() { seen.pointee.store(.max, ordering: .releasing) }

    /// The worker is awake again.
    ///
    /// The exchange and the load in `acquire` are both sequentially consistent, as are the publisher's swap and its
    /// look at `seen`: either the publisher sees that the worker is awake, or the worker acquires the new tables.
    @inlinable
    public mutating func online() {
        let now = epoch.pointee.load(ordering: .acquiring)
        _ = seen.pointee.exchange(now, ordering: .sequentiallyConsistent)
    }
}

/// The words that the publisher and the readers share, each on cache lines of its own.
final class PublicationState: @unchecked Sendable {
    /// Two lines, because processors fetch lines in pairs.
    static let padding = 128
    /// The epoch that a worker that sleeps has seen.
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
