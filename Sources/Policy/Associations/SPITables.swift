import IPsec

/// The memory of an `SPITable`, changed in place while nobody reads it.
final class SPITables {
    private var entries: HotVector<SPITable.Entry>
    private(set) var count = 0

    private static var free: SPITable.Entry { SPITable.Entry(spi: 0, link: 0, sa: nil) }
    private static let entriesPerLine = 4

    init() { entries = HotVector(repeating: Self.free, count: Self.entriesPerLine) }

    private init(copying other: SPITables) {
        entries = other.entries.copy()
        count = other.count
    }

    func copy() -> SPITables { SPITables(copying: self) }

    /// What lookups use, as long as nothing changes.
    var table: SPITable {
        SPITable(
            entries: UnsafePointer(entries.base), lineMask: UInt32(entries.count / Self.entriesPerLine - 1))
    }

    /// Adds an SA, or changes its entry. SPI in network order.
    func set(_ spi: UInt32, link: Int, sa: UnsafeMutablePointer<InboundRuntime>) {
        if 2 * (count + 1) > entries.count { grow() }
        let place = place(of: spi)
        if entries.base[place].sa == nil { count += 1 }
        entries.base[place] = SPITable.Entry(spi: spi, link: UInt32(link), sa: sa)
    }

    /// Removes an SA, and moves those nearer to their lines that found theirs full: a lookup ends at the first free entry.
    func remove(_ spi: UInt32) {
        var hole = place(of: spi)
        guard entries.base[hole].sa != nil else { return }
        count -= 1
        let mask = entries.count - 1
        var next = hole
        while true {
            next = (next + 1) & mask
            let entry = entries.base[next]
            if entry.sa == nil { break }
            let home = Int(table.lineOf(entry.spi)) * Self.entriesPerLine
            // It stays unless the hole lies between its line's begin and itself, going round.
            if (next - home) & mask < (next - hole) & mask { continue }
            entries.base[hole] = entry
            hole = next
        }
        entries.base[hole] = Self.free
    }

    /// Where the SPI is, or belongs.
    private func place(of spi: UInt32) -> Int {
        var steps = NoSteps()
        return table.find(spi, steps: &steps) - UnsafePointer(entries.base)
    }

    private func grow() {
        let old = entries
        entries = HotVector(repeating: Self.free, count: old.count * 2)
        for index in 0..<old.count where old.base[index].sa != nil {
            let place = place(of: old.base[index].spi)
            entries.base[place] = old.base[index]
        }
    }
}
