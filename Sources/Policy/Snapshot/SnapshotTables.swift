import IPsec
import Packets
import Telemetry

/// Everything that workers look up, at one point in time. Read-only; valid from `SnapshotReader.acquire` until the
/// reader's next `quiescent`. No lookup allocates, locks or fails.
@frozen
public struct SnapshotTables: @unchecked Sendable {
    /// Grows with every snapshot of a builder, from 1.
    public let generation: UInt64
    @usableFromInline let spaces: UnsafePointer<TupleSpace>
    @usableFromInline let records: UnsafePointer<PolicyRecord>
    /// By policy index.
    @usableFromInline let outboundLinks: UnsafePointer<OutboundLinks>
    @usableFromInline let spiTable: SPITable
    @usableFromInline let inboundLinks: UnsafePointer<InboundLink>
    @usableFromInline let routesIPv4: LongestPrefixTable
    @usableFromInline let routesIPv6: LongestPrefixTable
    @usableFromInline let routeNextHops: UnsafePointer<NextHop>
    @usableFromInline let neighbours: NeighbourTable
    @usableFromInline let neighbourNextHops: UnsafePointer<NextHop>
    @usableFromInline let ownAddresses: UnsafePointer<OwnAddress>
    public let ownAddressCount: Int
    /// Policy indices are below it.
    public let policyCount: Int
}

// MARK: - SAs

extension SnapshotTables {
    /// The inbound SA with this SPI, given in network order as it lies in the packet; nil when there is none.
    @inlinable
    @inline(__always)
    public func inbound(spi: UInt32) -> UnsafeMutablePointer<InboundRuntime>? {
        var steps = NoSteps()
        return spiTable.find(spi, steps: &steps).pointee.sa
    }

    /// Brings the cache line near that `inbound` will read. SPI in network order.
    @inlinable
    @inline(__always)
    public func prefetchInbound(spi: UInt32) { spiTable.prefetch(spi) }
}

// MARK: - Forwarding

extension SnapshotTables {
    /// Where a packet to this address goes next. There is always an answer; `NextHop.state` says what it is worth.
    @inlinable
    public func route(to destination: IPAddress) -> UnsafePointer<NextHop> {
        var steps = NoSteps()
        return route(to: destination, steps: &steps)
    }

    @inlinable
    func route<Steps: LookupSteps>(to destination: IPAddress, steps: inout Steps) -> UnsafePointer<NextHop> {
        let value: UInt32
        switch destination.family {
        case .ipv4: value = routesIPv4.find(destination, steps: &steps)
        case .ipv6: value = routesIPv6.find(destination, steps: &steps)
        }
        let nextHop = routeNextHops + Int(value & ~LongestPrefixTable.onLinkFlag)
        if value & LongestPrefixTable.onLinkFlag == 0 { return nextHop }
        let slot = neighbours.find(destination, interfaceIndex: nextHop.pointee.interfaceIndex, steps: &steps)
        if slot.pointee.nextHop == NeighbourTable.Slot.free { return nextHop }
        return neighbourNextHops + Int(slot.pointee.nextHop)
    }

    /// The gateway's own address towards where a frame came from, as the source of ICMP errors: that of the VLAN, or, where
    /// that has none of the family, another one of the port. nil when the port has none at all. VLAN 0: an untagged frame.
    @inlinable
    public func localAddress(forPort port: UInt16, vlan: UInt16, family: AddressFamily) -> IPAddress? {
        var found: IPAddress?
        var rank = Int.max
        var index = 0
        while index < ownAddressCount, rank > 0 {
            let own = ownAddresses[index]
            index &+= 1
            guard own.port == port, own.address.family == family, own.rank(forVLAN: vlan) < rank else { continue }
            found = own.address
            rank = own.rank(forVLAN: vlan)
        }
        return found
    }

    /// One of the gateway's own addresses; `index` is less than `ownAddressCount`. The global ones come first.
    @inlinable
    public func ownAddress(at index: Int) -> OwnAddress { ownAddresses[index] }
}
