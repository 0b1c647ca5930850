import Packets
import Synchronization

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
