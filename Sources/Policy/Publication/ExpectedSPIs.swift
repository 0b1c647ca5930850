import Synchronization

/// Inbound SPIs that were given to peers and have no SA yet. A responder may send by an SA as soon as it has made it, before
/// its answer lets us make ours (RFC 7296 section 1.2): a worker that meets such an SPI keeps the packet for a moment.
///
/// The control thread writes, workers read (`SnapshotReader.expects`). Each SPI has one place, by its low bits; of two in one
/// place the later counts, which costs packets of the earlier one and no more.
///
/// No data hang on a place, so nothing is ordered by it: an SPI is here before the message that names it is sent, and goes
/// when all workers have passed a batch boundary since the snapshot with its SA, so that they see the SA first.
public final class ExpectedSPIs: @unchecked Sendable {
    let places: UnsafeMutablePointer<Atomic<UInt32>>

    init() {
        places = .allocate(capacity: Self.size)
        for index in 0..<Self.size { (places + index).initialize(to: Atomic(0)) }
    }

    deinit { places.deallocate() }

    /// `spi`: host order, as in the other methods.
    public func insert(_ spi: UInt32) { places[Self.place(spi)].store(spi, ordering: .relaxed) }

    public func remove(_ spi: UInt32) {
        _ = places[Self.place(spi)].compareExchange(expected: spi, desired: 0, ordering: .relaxed)
    }

    public func contains(_ spi: UInt32) -> Bool { Self.contains(UnsafePointer(places), spi) }

    /// For workers, who count no references.
    @inlinable
    static func contains(_ places: UnsafePointer<Atomic<UInt32>>, _ spi: UInt32) -> Bool {
        spi != 0 && places[place(spi)].load(ordering: .relaxed) == spi
    }

    /// A power of two.
    @usableFromInline static var size: Int { 1024 }

    @inlinable
    static func place(_ spi: UInt32) -> Int { Int(spi) & (size - 1) }
}
