import Packets
import Telemetry

/// The next hop of a packet, and what is written before it. One cache line.
@frozen
public struct NextHop: BitwiseCopyable, Sendable {
    @frozen
    public enum State: UInt8, BitwiseCopyable, Sendable {
        /// Ready: the link header is complete.
        case resolved
        /// The neighbour's link-layer address is not known; ask the kernel for it.
        case unresolved
        /// The neighbour does not answer.
        case failed
        /// For this host.
        case local
        /// A route refuses it with ICMP "host unreachable", or the interface is down.
        case unreachable
        /// A route refuses it without ICMP.
        case blackhole
        /// A route refuses it with ICMP "administratively prohibited".
        case prohibited
        /// There is no route.
        case noRoute
        /// The route leads out of an interface that is no port.
        case notAPort
    }

    /// The link header's bytes as they lie in memory. 14 or 18 are used.
    @usableFromInline let header0, header1: UInt64
    /// The address that is to be asked for on the link. Unspecified: the packet's own destination (a route without
    /// gateway).
    public let address: IPAddress
    /// The kernel's number of the egress interface; 0 when there is none.
    public let interfaceIndex: UInt32
    /// The largest IP packet in bytes that the interface carries.
    public let mtu: UInt16
    /// The egress port; `NextHop.noPort` when there is none.
    public let portIndex: UInt16
    public let state: State
    /// 14, or 18 with a VLAN tag; 0 when there is no port.
    public let linkHeaderLength: UInt8
    /// Padding to the end of the cache line.
    private let reserved0: UInt64 = 0
    private let reserved1: UInt64 = 0

    @inlinable
    public static var noPort: UInt16 { .max }

    @inlinable
    public var isResolved: Bool { state == .resolved }

    /// Whether the packet leads to the destination itself and not to a gateway.
    @inlinable
    public var isOnLink: Bool { address.isUnspecified }

    /// Why a packet with this next hop is dropped when nothing else can be done; a pass when it is resolved.
    @inlinable
    public var verdict: Verdict {
        switch state {
        case .resolved: .pass
        case .unresolved: .drop(.neighbourUnresolved)
        case .failed: .drop(.neighbourFailed)
        case .local: .drop(.localDeliveryUnavailable)
        case .unreachable, .blackhole: .drop(.routeUnreachable)
        case .prohibited: .drop(.routeProhibited)
        case .noRoute: .drop(.noRoute)
        case .notAPort: .drop(.egressNotAPort)
        }
    }

    /// Writes the link header so that it ends where the IP packet begins. The caller guarantees 18 bytes of room.
    @inlinable
    @inline(__always)
    public func writeLinkHeader(before packet: UnsafeMutableRawPointer, family: AddressFamily) {
        let start = packet - Int(linkHeaderLength)
        start.storeBytes(of: header0, as: UInt64.self)
        if Int(linkHeaderLength) == LinkLayer.taggedLength {
            start.storeBytes(of: header1, toByteOffset: 8, as: UInt64.self)
        } else {
            start.storeBytes(of: UInt32(truncatingIfNeeded: header1), toByteOffset: 8, as: UInt32.self)
        }
        (packet - 2).storeBytes(of: family.etherType.bigEndian, as: UInt16.self)
    }
}

extension NextHop {
    /// A next hop without an egress: local, no route, and so on.
    init(_ state: State) {
        header0 = 0
        header1 = 0
        address = .unspecified(.ipv4)
        interfaceIndex = 0
        mtu = .max
        portIndex = Self.noPort
        self.state = state
        linkHeaderLength = 0
    }

    /// A next hop out of an interface that is not ours.
    init(notAPort interfaceIndex: UInt32, address: IPAddress) {
        header0 = 0
        header1 = 0
        self.address = address
        self.interfaceIndex = interfaceIndex
        mtu = .max
        portIndex = Self.noPort
        state = .notAPort
        linkHeaderLength = 0
    }

    /// A next hop out of a port. `destination` is nil as long as it is not known.
    init(interface: PortInterface, address: IPAddress, state: State, destination: MACAddress?) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        if let base = bytes.baseAddress {
            destination?.store(to: base)
            interface.linkAddress.store(to: base + 6)
            if let vlan = interface.vlan {
                base.storeBytes(of: EtherType.vlan.bigEndian, toByteOffset: 12, as: UInt16.self)
                base.storeBytes(of: vlan.bigEndian, toByteOffset: 14, as: UInt16.self)
            }
        }
        header0 = bytes.load(as: UInt64.self)
        header1 = bytes.load(fromByteOffset: 8, as: UInt64.self)
        self.address = address
        interfaceIndex = interface.interfaceIndex
        mtu = UInt16(clamping: interface.mtu)
        portIndex = interface.port
        self.state = interface.isUp ? state : .unreachable
        linkHeaderLength = UInt8(interface.vlan == nil ? LinkLayer.untaggedLength : LinkLayer.taggedLength)
    }
}

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
    /// The seed of the hashes.
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
    /// By the neighbours' numbers.
    let nextHops: [NextHop]
    private let slots: HotArray<NeighbourTable.Slot>

    /// The neighbours on interfaces that are ports. Of two entries for one neighbour the later one counts. One that has a number
    /// and is not there any more keeps its next hop, which is unresolved.
    init(_ neighbours: [NeighbourEntry], interfaces: [UInt32: PortInterface], numbers: NeighbourNumbers) {
        let free = NeighbourTable.Slot(address: .unspecified(.ipv4), interfaceIndex: 0, nextHop: .max)
        let slots = HotArray(repeating: free, count: Mixing.powerOfTwo(max(2, neighbours.count * 2)))
        self.slots = slots
        table = NeighbourTable(
            slots: UnsafePointer(slots.base), slotMask: UInt32(slots.count - 1), seed: Mixing.processSeed)

        var nextHops = numbers.keys.map { NextHop(ofFormer: $0, on: interfaces[$0.interfaceIndex]) }
        var steps = NoSteps()
        for neighbour in neighbours {
            let key = NeighbourNumbers.Key(neighbour)
            guard let interface = interfaces[neighbour.interfaceIndex], let number = numbers[key] else { continue }
            let slot = table.find(neighbour.address, interfaceIndex: neighbour.interfaceIndex, steps: &steps)
            slots.base[slot - UnsafePointer(slots.base)] = NeighbourTable.Slot(
                address: neighbour.address, interfaceIndex: neighbour.interfaceIndex, nextHop: UInt32(number))
            nextHops[number] = NextHop(neighbour, on: interface)
        }
        self.nextHops = nextHops
    }

    convenience init(_ neighbours: [NeighbourEntry], interfaces: [UInt32: PortInterface]) {
        var numbers = NeighbourNumbers()
        numbers.follow(neighbours)
        self.init(neighbours, interfaces: interfaces, numbers: numbers)
    }
}

/// The numbers of neighbours, each of which keeps its own for as long as it may be in use: decisions of workers name next hops by
/// them. One that went and comes back has the number that it had.
struct NeighbourNumbers {
    struct Key: Hashable {
        let interfaceIndex: UInt32
        let address: IPAddress

        init(_ neighbour: NeighbourEntry) {
            interfaceIndex = neighbour.interfaceIndex
            address = neighbour.address
        }
    }

    /// The neighbours by number.
    private(set) var keys: [Key] = []
    private var numbers: [Key: Int] = [:]

    /// The numbers of neighbours that are gone are given away again when they are more than the others, and these.
    private static let spare = 64

    subscript(key: Key) -> Int? { numbers[key] }

    /// Gives a number to each neighbour. True when numbers that there were may mean another neighbour now.
    @discardableResult
    mutating func follow(_ neighbours: [NeighbourEntry]) -> Bool {
        for neighbour in neighbours { add(Key(neighbour)) }
        guard keys.count > 2 * neighbours.count + Self.spare else { return false }
        keys = []
        numbers = [:]
        for neighbour in neighbours { add(Key(neighbour)) }
        return true
    }

    private mutating func add(_ key: Key) {
        guard numbers[key] == nil else { return }
        numbers[key] = keys.count
        keys.append(key)
    }
}

extension NextHop {
    /// The next hop of a neighbour that is not there any more.
    init(ofFormer neighbour: NeighbourNumbers.Key, on interface: PortInterface?) {
        if let interface {
            self.init(interface: interface, address: neighbour.address, state: .unresolved, destination: nil)
        } else {
            self.init(notAPort: neighbour.interfaceIndex, address: neighbour.address)
        }
    }

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
