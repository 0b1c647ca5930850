import CLinux
import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
    /// Finds the SA of each ESP packet by its SPI (RFC 4303 section 3.4.2), in two steps, so that the SAs of a batch are
    /// fetched side by side: find them all, then look into them.
    @inline(__always)
    mutating func lookupInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        findAssociations(slots, count: count)
        return admitInbound(slots, count: count)
    }

    /// The SPI of the packet before is remembered: packets of one peer come in trains.
    @inline(__always)
    private func findAssociations(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) {
        var lastSPI: UInt32 = 0
        var last: UnsafeMutablePointer<InboundRuntime>?
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            let spi = slot.pointee.esp.loadUnaligned(as: UInt32.self)
            if spi != lastSPI || last == nil {
                lastSPI = spi
                last = tables.pointee.inbound(spi: spi)
                if let sa = last { ESPInbound.prefetch(sa) }
            }
            slot.pointee.association = UnsafeMutableRawPointer(last)
        }
    }

    /// Keeps the packets that are for SAs of this worker and look it.
    @inline(__always)
    private mutating func admitInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            guard let sa = slot.pointee.association?.assumingMemoryBound(to: InboundRuntime.self) else {
                keepEarly(slot.pointee)
                continue
            }
            guard Int(sa.pointee.owner) == self.index else {
                // Parsed again by the owner: the whole frame goes.
                handOver(slot.pointee, to: Int(sa.pointee.owner), kind: .inbound)
                continue
            }
            let family: AddressFamily = slot.pointee.packet.load(as: UInt8.self) >> 4 == 4 ? .ipv4 : .ipv6
            let destination = IPAddress(loading: slot.pointee.packet + (family == .ipv4 ? 16 : 24), family: family)
            let verdict = ESPInbound.admit(
                sa, destination: destination, isEncapsulated: slot.pointee.flags.contains(.encapsulated))
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }
}
