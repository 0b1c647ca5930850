import CLinux
import IPsec
import Packets

/// The inbound SAs by protocol and SPI: open addressing over whole cache lines.
///
/// A line holds four entries. A lookup begins at the line that the SPI hashes to and goes on to the next only when that
/// one is full, which at a load of at most one half is rare. SPIs are of our own choice or from the configuration,
/// so nobody else can make them collide.
@frozen
@usableFromInline
struct SPITable: BitwiseCopyable, @unchecked Sendable {
    @frozen
    @usableFromInline
    struct Entry: BitwiseCopyable {
        /// Network order, as in the packet.
        @usableFromInline var spi: UInt32
        /// The protocol's number, and above it the index of the SA's `InboundLink`.
        @usableFromInline var place: UInt32
        /// The entry's SA; nil: the entry is free.
        @usableFromInline var sa: UnsafeMutablePointer<InboundRuntime>?

        /// The number of links that entries can tell apart.
        static let linkLimit = 1 << 24

        init(
            _ securityProtocol: SAProtocol, spi: UInt32, link: UInt32, sa: UnsafeMutablePointer<InboundRuntime>?
        ) {
            self.spi = spi
            place = link << 8 | UInt32(securityProtocol.rawValue)
            self.sa = sa
        }

        /// Index of the SA's `InboundLink`.
        @inlinable var link: UInt32 { place &>> 8 }

        @inlinable
        @inline(__always)
        func isOf(_ securityProtocol: SAProtocol, _ spi: UInt32) -> Bool {
            self.spi == spi && UInt8(truncatingIfNeeded: place) == securityProtocol.rawValue
        }
    }

    @usableFromInline let entries: UnsafePointer<Entry>
    /// Number of lines minus one.
    @usableFromInline let lineMask: UInt32

    /// The entry of the protocol's SPI, or a free one.
    @inlinable
    @inline(__always)
    func find<Steps: LookupSteps>(
        _ securityProtocol: SAProtocol, _ spi: UInt32, steps: inout Steps
    ) -> UnsafePointer<Entry> {
        var line = lineOf(spi)
        while true {
            steps.tuple()
            let first = entries + Int(line) &* 4
            var index = 0
            while index < 4 {
                steps.entry()
                // Half of all entries are free, so the loop ends.
                if first[index].isOf(securityProtocol, spi) || first[index].sa == nil { return first + index }
                index &+= 1
            }
            line = (line &+ 1) & lineMask
        }
    }

    @inlinable
    @inline(__always)
    func prefetch(_ spi: UInt32) { sluice_prefetch(entries + Int(lineOf(spi)) &* 4) }

    @inlinable
    @inline(__always)
    func lineOf(_ spi: UInt32) -> UInt32 {
        // Of a product only the upper bits depend on all bits of both factors; SPIs of one range differ in their last
        // byte in network order, which is the topmost here.
        let mixed = UInt64(spi) &* 0x9E37_79B9_7F4A_7C15
        return UInt32(truncatingIfNeeded: mixed &>> 32 ^ mixed &>> 51) & lineMask
    }
}

/// The memory of an `SPITable`, changed in place while nobody reads it.
final class SPITables {
    private var entries: HotVector<SPITable.Entry>
    private(set) var count = 0

    private static var free: SPITable.Entry { SPITable.Entry(.esp, spi: 0, link: 0, sa: nil) }
    private static let entriesPerLine = 4

    init() { entries = HotVector(repeating: Self.free, count: Self.entriesPerLine) }

    private init(copying other: SPITables) {
        entries = other.entries.copy()
        count = other.count
    }

    func copy() -> SPITables { SPITables(copying: self) }

    /// The view that lookups use, as long as nothing changes.
    var table: SPITable {
        SPITable(
            entries: UnsafePointer(entries.base), lineMask: UInt32(entries.count / Self.entriesPerLine - 1))
    }

    /// Adds an SA, or changes its entry. SPI in network order.
    func set(_ securityProtocol: SAProtocol, _ spi: UInt32, link: Int, sa: UnsafeMutablePointer<InboundRuntime>) {
        precondition(link < SPITable.Entry.linkLimit, "more inbound SAs than a table can hold")
        if 2 * (count + 1) > entries.count { grow() }
        let place = place(of: securityProtocol, spi)
        if entries.base[place].sa == nil { count += 1 }
        entries.base[place] = SPITable.Entry(securityProtocol, spi: spi, link: UInt32(link), sa: sa)
    }

    /// Removes an SA, and moves those nearer to their lines that found theirs full: a lookup ends at the first free entry.
    func remove(_ securityProtocol: SAProtocol, _ spi: UInt32) {
        var hole = place(of: securityProtocol, spi)
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

    /// The place where the SPI is, or belongs.
    private func place(of securityProtocol: SAProtocol, _ spi: UInt32) -> Int {
        var steps = NoSteps()
        return table.find(securityProtocol, spi, steps: &steps) - UnsafePointer(entries.base)
    }

    private func place(like entry: SPITable.Entry) -> Int {
        // An entry has the number of a protocol: `Entry.init` wrote it.
        let securityProtocol = SAProtocol(rawValue: UInt8(truncatingIfNeeded: entry.place)) ?? .esp
        return place(of: securityProtocol, entry.spi)
    }

    private func grow() {
        let old = entries
        entries = HotVector(repeating: Self.free, count: old.count * 2)
        for index in 0..<old.count where old.base[index].sa != nil {
            entries.base[place(like: old.base[index])] = old.base[index]
        }
    }
}

/// The facts about an inbound SA that the policy check needs.
@frozen
@usableFromInline
struct InboundLink: BitwiseCopyable, Sendable {
    @usableFromInline let requestID: UInt32
    /// The SA's own selectors authorise its packets, where no policy speaks.
    @usableFromInline let selectorsSuffice: Bool
    @usableFromInline let source: IPAddress
    @usableFromInline let destination: IPAddress

    init(requestID: UInt32, selectorsSuffice: Bool, source: IPAddress, destination: IPAddress) {
        self.requestID = requestID
        self.selectorsSuffice = selectorsSuffice
        self.source = source
        self.destination = destination
    }
}

/// The inbound half of the SAD as lookups read it, changed in place while nobody does.
final class InboundTables {
    /// An inbound SA, and its place in the order in which all came.
    struct Member {
        var association: InboundSA
        /// The name by which packets find it.
        let key: SAKey
        var number: UInt64
    }

    let spis: SPITables
    /// The links by slot, as are the members.
    let links: HotVector<InboundLink>
    private(set) var members: [Member?]

    init() {
        spis = SPITables()
        links = HotVector([])
        members = []
    }

    private init(copying other: InboundTables) {
        spis = other.spis.copy()
        links = other.links.copy()
        members = other.members
    }

    func copy() -> InboundTables { InboundTables(copying: self) }

    /// Takes out what is in the slot.
    func clear(_ slot: Int) {
        guard members.indices.contains(slot), let member = members[slot] else { return }
        spis.remove(member.key.securityProtocol, member.key.spi.networkOrder)
        members[slot] = nil
    }

    /// Puts an SA into an empty slot. No other slot has its key.
    func set(_ slot: Int, to member: Member, link: InboundLink) {
        while members.count <= slot { members.append(nil) }
        links.grow(to: slot + 1, repeating: link)
        members[slot] = member
        links.base[slot] = link
        spis.set(
            member.key.securityProtocol, member.key.spi.networkOrder, link: slot, sa: member.association.runtime)
    }
}
