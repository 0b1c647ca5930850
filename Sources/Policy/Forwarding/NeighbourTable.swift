import Packets

/// The neighbours of all links by interface and address: open addressing, at most half full.
@frozen
@usableFromInline
struct NeighbourTable: BitwiseCopyable, @unchecked Sendable {
    @frozen
    @usableFromInline
    struct Slot: BitwiseCopyable {
        @usableFromInline let address: IPAddress
        @usableFromInline let interfaceIndex: UInt32
        /// Index of the neighbour's next hop; `Slot.free` when nothing is stored.
        @usableFromInline let nextHop: UInt32

        init(address: IPAddress, interfaceIndex: UInt32, nextHop: UInt32) {
            self.address = address
            self.interfaceIndex = interfaceIndex
            self.nextHop = nextHop
        }

        @inlinable
        static var free: UInt32 { .max }
    }

    @usableFromInline let slots: UnsafePointer<Slot>
    @usableFromInline let slotMask: UInt32
    /// Of the hashes.
    @usableFromInline let seed: UInt64

    /// The slot of the neighbour, or the free one where it would be.
    @inlinable
    func find<Steps: LookupSteps>(
        _ address: IPAddress, interfaceIndex: UInt32, steps: inout Steps
    ) -> UnsafePointer<Slot> {
        let hash = Mixing.mix(address.low, address.high, UInt64(interfaceIndex), seed: seed)
        var index = UInt32(truncatingIfNeeded: hash) & slotMask
        steps.tuple()
        while true {
            let slot = slots + Int(index)
            steps.entry()
            // Half of all slots are free, so the loop ends.
            if slot.pointee.nextHop == Slot.free { return slot }
            if slot.pointee.interfaceIndex == interfaceIndex, slot.pointee.address == address { return slot }
            index = (index &+ 1) & slotMask
        }
    }
}

/// The memory of a `NeighbourTable` and the next hops that it leads to.
final class NeighbourTables: Sendable {
    let table: NeighbourTable
    let nextHops: HotArray<NextHop>
    private let slots: HotArray<NeighbourTable.Slot>

    /// Neighbours on interfaces that are no ports are left out. Of two entries for one neighbour the later one counts.
    init(_ neighbours: [NeighbourEntry], interfaces: [UInt32: PortInterface]) {
        let free = NeighbourTable.Slot(address: .unspecified(.ipv4), interfaceIndex: 0, nextHop: .max)
        let slots = HotArray(repeating: free, count: Mixing.powerOfTwo(max(2, neighbours.count * 2)))
        self.slots = slots
        table = NeighbourTable(
            slots: UnsafePointer(slots.base), slotMask: UInt32(slots.count - 1), seed: Mixing.processSeed)

        var nextHops: [NextHop] = []
        var steps = NoSteps()
        for neighbour in neighbours {
            guard let interface = interfaces[neighbour.interfaceIndex] else { continue }
            let slot = table.find(neighbour.address, interfaceIndex: neighbour.interfaceIndex, steps: &steps)
            slots.base[slot - UnsafePointer(slots.base)] = NeighbourTable.Slot(
                address: neighbour.address, interfaceIndex: neighbour.interfaceIndex, nextHop: UInt32(nextHops.count))
            nextHops.append(NextHop(neighbour, on: interface))
        }
        self.nextHops = HotArray(nextHops)
    }
}

extension NextHop {
    init(_ neighbour: NeighbourEntry, on interface: PortInterface) {
        switch neighbour.state {
        case .resolved(let linkAddress):
            self.init(interface: interface, address: neighbour.address, state: .resolved, destination: linkAddress)
        case .unresolved:
            self.init(interface: interface, address: neighbour.address, state: .unresolved, destination: nil)
        case .failed:
            self.init(interface: interface, address: neighbour.address, state: .failed, destination: nil)
        }
    }
}
