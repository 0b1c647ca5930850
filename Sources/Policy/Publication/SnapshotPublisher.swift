import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

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
    /// Of SAs that are to be in some later snapshot.
    public let expectedSPIs = ExpectedSPIs()
    /// Who is heard although no SA is for its packets.
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

    /// Waits until all replaced snapshots are released; false when that takes longer than the time given.
    public func waitForReaders(milliseconds: Int) -> Bool {
        let stepInMicroseconds: UInt32 = 100
        for _ in 0..<(milliseconds * 1000 / Int(stepInMicroseconds)) {
            if reclaim() == 0 { return true }
            usleep(stepInMicroseconds)
        }
        return reclaim() == 0
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
