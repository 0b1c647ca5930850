import Packets

/// The routes of both families. A value of the tables is the index of a next hop, with the top bit set when the
/// neighbour depends on the destination.
final class RouteTables: Sendable {
    let ipv4: LongestPrefixTables
    let ipv6: LongestPrefixTables
    /// The kind of each next hop, independent of neighbours and of the state of links.
    let targets: [RouteEntry.Kind?]

    init(_ routes: [RouteEntry]) {
        // Index 0: no route.
        var targets: [RouteEntry.Kind?] = [nil]
        var indices: [RouteEntry.Kind: UInt32] = [:]
        var best: [IPPrefix: RouteEntry] = [:]
        for route in Self.builtIn + routes {
            if let other = best[route.prefix], other.metric <= route.metric { continue }
            best[route.prefix] = route
        }
        let values = best.mapValues { route -> UInt32 in
            let index =
                indices[route.kind]
                ?? {
                    targets.append(route.kind)
                    indices[route.kind] = UInt32(targets.count - 1)
                    return UInt32(targets.count - 1)
                }()
            if case .unicast(_, gateway: nil) = route.kind { return index | LongestPrefixTable.onLinkFlag }
            return index
        }
        ipv4 = LongestPrefixTables(values.filter { $0.key.family == .ipv4 }, family: .ipv4, none: 0)
        ipv6 = LongestPrefixTables(values.filter { $0.key.family == .ipv6 }, family: .ipv6, none: 0)
        self.targets = targets
    }

    /// Multicast and broadcast are not forwarded: nothing here takes part in multicast routing (RFC 1812 section 5.3.4).
    static let builtIn: [RouteEntry] = [
        RouteEntry(prefix: IPPrefix(address: IPAddress(ipv4: 0xE000_0000), length: 4), kind: .blackhole),
        RouteEntry(prefix: IPPrefix(host: IPAddress(ipv4: 0xFFFF_FFFF)), kind: .blackhole),
        RouteEntry(
            prefix: IPPrefix(address: IPAddress(ipv6High: 0xFF00_0000_0000_0000, low: 0), length: 8), kind: .blackhole),
    ]

    /// The next hops as they are now, in the order of the indices.
    func nextHops(interfaces: [UInt32: PortInterface], neighbours: NeighbourTables) -> [NextHop] {
        targets.map { target in
            switch target {
            case nil: return NextHop(.noRoute)
            case .local?: return NextHop(.local)
            case .unreachable?: return NextHop(.unreachable)
            case .blackhole?: return NextHop(.blackhole)
            case .prohibit?: return NextHop(.prohibited)
            case .unicast(let index, let gateway)?:
                guard let interface = interfaces[index] else {
                    return NextHop(notAPort: index, address: gateway ?? .unspecified(.ipv4))
                }
                return Self.nextHop(gateway, on: interface, neighbours: neighbours)
            }
        }
    }

    private static func nextHop(
        _ gateway: IPAddress?, on interface: PortInterface, neighbours: NeighbourTables
    ) -> NextHop {
        guard let gateway else {
            return NextHop(interface: interface, address: .unspecified(.ipv4), state: .unresolved, destination: nil)
        }
        var steps = NoSteps()
        let slot = neighbours.table.find(gateway, interfaceIndex: interface.interfaceIndex, steps: &steps)
        if slot.pointee.nextHop != NeighbourTable.Slot.free {
            return neighbours.nextHops[Int(slot.pointee.nextHop)]
        }
        return NextHop(interface: interface, address: gateway, state: .unresolved, destination: nil)
    }
}

/// Longest prefix match by binary search over the prefix lengths that occur (Waldvogel et al., SIGCOMM 1997).
///
/// One hash table holds all prefixes. Where the search for a longer prefix passes a shorter length, a marker tells
/// it to go on, and carries the best match so far, so that it never has to go back. With `n` different lengths a
/// lookup makes at most ⌈log2(n + 1)⌉ probes: three for the five lengths of a usual routing table, eight for all 128.
@frozen
@usableFromInline
struct LongestPrefixTable: BitwiseCopyable, @unchecked Sendable {
    @frozen
    @usableFromInline
    struct Level: BitwiseCopyable {
        @usableFromInline let maskHigh, maskLow: UInt64
        @usableFromInline let length: UInt64
    }

    /// A prefix or a marker, with the value of the longest route that covers it.
    @frozen
    @usableFromInline
    struct Slot: BitwiseCopyable {
        @usableFromInline let high, low: UInt64
        /// `Slot.free` when nothing is stored.
        @usableFromInline let length: UInt32
        @usableFromInline let value: UInt32

        @inlinable
        static var free: UInt32 { .max }
    }

    /// Set in a value: the route has no gateway, so the neighbour is the destination itself.
    @inlinable static var onLinkFlag: UInt32 { 1 << 31 }

    /// Ascending by length, without length 0.
    @usableFromInline let levels: UnsafePointer<Level>
    @usableFromInline let slots: UnsafePointer<Slot>
    @usableFromInline let levelCount: UInt32
    @usableFromInline let slotMask: UInt32
    /// The seed of the hashes.
    @usableFromInline let seed: UInt64
    /// The value of the default route, or `none`.
    @usableFromInline let defaultValue: UInt32

    /// The value of the longest prefix that contains the address. The table is of the address's family.
    @inlinable
    func find<Steps: LookupSteps>(_ address: IPAddress, steps: inout Steps) -> UInt32 {
        var found = defaultValue
        var low: UInt32 = 0
        var high = levelCount
        while low < high {
            let middle = (low &+ high) &>> 1
            let level = levels[Int(middle)]
            steps.tuple()
            let slot = probe(
                high: address.high & level.maskHigh, low: address.low & level.maskLow, length: level.length,
                steps: &steps)
            if slot.pointee.length == Slot.free {
                high = middle
            } else {
                found = slot.pointee.value
                low = middle &+ 1
            }
        }
        return found
    }

    /// The slot of a prefix, or the free one where it would be. At most half of the slots are taken, so the loop ends.
    @inlinable
    @inline(__always)
    func probe<Steps: LookupSteps>(
        high: UInt64, low: UInt64, length: UInt64, steps: inout Steps
    ) -> UnsafePointer<Slot> {
        var index = UInt32(truncatingIfNeeded: Mixing.mix(low, high, length, seed: seed)) & slotMask
        while true {
            let slot = slots + Int(index)
            steps.entry()
            if slot.pointee.length == Slot.free { return slot }
            if slot.pointee.low == low, slot.pointee.high == high, UInt64(slot.pointee.length) == length { return slot }
            index = (index &+ 1) & slotMask
        }
    }
}

/// The memory of a `LongestPrefixTable`, built once from prefixes of one family.
final class LongestPrefixTables: Sendable {
    let table: LongestPrefixTable
    private let levels: HotArray<LongestPrefixTable.Level>
    private let slots: HotArray<LongestPrefixTable.Slot>

    /// `none` is the value of addresses that no prefix contains.
    init(_ routes: [IPPrefix: UInt32], family: AddressFamily, none: UInt32) {
        let lengths = Set(routes.keys.lazy.map(\.length)).subtracting([0]).sorted()
        var keys = Set<IPPrefix>()
        for prefix in routes.keys where prefix.length > 0 {
            Self.visit(prefix.length, in: lengths) { keys.insert(IPPrefix(address: prefix.address, length: $0)) }
        }
        let defaultValue = routes[.all(family)] ?? none

        levels = HotArray(
            lengths.map { length in
                let mask = IPPrefix.mask(length: length, family: family)
                return LongestPrefixTable.Level(maskHigh: mask.high, maskLow: mask.low, length: UInt64(length))
            })
        let free = LongestPrefixTable.Slot(high: 0, low: 0, length: LongestPrefixTable.Slot.free, value: none)
        let slots = HotArray(repeating: free, count: Mixing.powerOfTwo(max(2, keys.count * 2)))
        self.slots = slots
        table = LongestPrefixTable(
            levels: UnsafePointer(levels.base), slots: UnsafePointer(slots.base), levelCount: UInt32(lengths.count),
            slotMask: UInt32(slots.count - 1), seed: Mixing.processSeed, defaultValue: defaultValue)
        var steps = NoSteps()
        for key in keys {
            let place = table.probe(
                high: key.address.high, low: key.address.low, length: UInt64(key.length), steps: &steps)
            let best = lengths.last { length in
                length <= key.length && routes[IPPrefix(address: key.address, length: length)] != nil
            }
            let value = best.flatMap { routes[IPPrefix(address: key.address, length: $0)] } ?? defaultValue
            slots.base[place - UnsafePointer(slots.base)] = LongestPrefixTable.Slot(
                high: key.address.high, low: key.address.low, length: UInt32(key.length), value: value)
        }
    }

    /// Calls `body` with each length at which the search for `length` has to find something: markers, then itself.
    private static func visit(_ length: Int, in lengths: [Int], _ body: (Int) -> Void) {
        var low = 0
        var high = lengths.count
        while low < high {
            let middle = (low + high) / 2
            if lengths[middle] <= length { body(lengths[middle]) }
            if lengths[middle] == length { return }
            if lengths[middle] < length { low = middle + 1 } else { high = middle }
        }
    }
}
