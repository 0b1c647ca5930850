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
    /// Two addresses for each port, IPv4 and IPv6; unspecified when it has none.
    @usableFromInline let portAddresses: UnsafePointer<IPAddress>
    @usableFromInline let portCount: Int
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

    /// The gateway's own address on a port, as the source of ICMP errors; nil when the port has none of the family.
    @inlinable
    public func localAddress(forPort port: UInt16, family: AddressFamily) -> IPAddress? {
        if Int(port) >= portCount { return nil }
        let address = portAddresses[Int(port) &* 2 &+ (family == .ipv4 ? 0 : 1)]
        return address.isUnspecified ? nil : address
    }
}
