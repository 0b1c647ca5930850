import Packets
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

    public func insert(_ spi: SPI) { places[Self.place(spi)].store(spi.value, ordering: .relaxed) }

    public func remove(_ spi: SPI) {
        _ = places[Self.place(spi)].compareExchange(expected: spi.value, desired: 0, ordering: .relaxed)
    }

    public func contains(_ spi: SPI) -> Bool { Self.contains(UnsafePointer(places), spi) }

    /// For workers, who count no references.
    @inlinable
    static func contains(_ places: UnsafePointer<Atomic<UInt32>>, _ spi: SPI) -> Bool {
        spi != 0 && places[place(spi)].load(ordering: .relaxed) == spi.value
    }

    /// A power of two.
    @usableFromInline static var size: Int { 1024 }

    @inlinable
    static func place(_ spi: SPI) -> Int { Int(spi.value) & (size - 1) }
}

/// Addresses of peers whose packets tell something even when no SA is for them: a peer that goes on with SAs that we have
/// lost, as after a restart, has to hear of it. Of strangers' packets nobody is told, so that they cannot keep a peer's from
/// being told of.
///
/// The control thread writes, workers read (`SnapshotReader.watches`). A filter of bits: an address that was set is always
/// found, of others some are found by chance, one in seven with 10,000 peers. Whoever is told looks again.
public final class WatchedPeers: @unchecked Sendable {
    let words: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        words = .allocate(capacity: Self.wordCount)
        for index in 0..<Self.wordCount { (words + index).initialize(to: Atomic(0)) }
    }

    deinit { words.deallocate() }

    /// Replaces all addresses. For the control thread alone.
    public func set(_ addresses: some Sequence<IPAddress>) {
        var next = [UInt64](repeating: 0, count: Self.wordCount)
        for address in addresses {
            let place = Self.place(address)
            next[place >> 6] |= 1 << UInt64(place & 63)
        }
        for index in 0..<Self.wordCount { words[index].store(next[index], ordering: .relaxed) }
    }

    public func contains(_ address: IPAddress) -> Bool { Self.contains(UnsafePointer(words), address) }

    /// For workers, who count no references.
    @inlinable
    static func contains(_ words: UnsafePointer<Atomic<UInt64>>, _ address: IPAddress) -> Bool {
        let place = place(address)
        return words[place >> 6].load(ordering: .relaxed) >> UInt64(place & 63) & 1 != 0
    }

    /// 65,536 bits.
    @usableFromInline static var wordCount: Int { 1024 }

    /// The bit of an address.
    @inlinable
    static func place(_ address: IPAddress) -> Int {
        let folded = (address.high ^ address.low &* 0x9E37_79B9_7F4A_7C15) &* 0xFF51_AFD7_ED55_8CCD
        return Int(truncatingIfNeeded: folded &>> 48) & (wordCount &* 64 &- 1)
    }
}
