import Packets
import Synchronization

/// A worker's end of the publication. Belongs to one thread.
///
///     loop:
///         let tables = reader.acquire()
///         … one batch with `tables` …
///         reader.quiescent()
///         if idle { reader.offline(); sleep; reader.online() }
///
/// Pointers out of the tables (SAs, next hops) may be kept beyond a batch only together with the generation of their
/// tables, and used only while `acquire` gives tables of that generation. They are not to be handed to other workers.
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

    /// Whether the SPI, in network order as it lies in the packet, will have an inbound SA soon. To be asked between `acquire`
    /// and `quiescent`: what was expected, and is not any more, either has its SA in these tables or will have none.
    @inlinable
    public func expects(spi: UInt32) -> Bool { ExpectedSPIs.contains(expectedSPIs, UInt32(bigEndian: spi)) }

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
