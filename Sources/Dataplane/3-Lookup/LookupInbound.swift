import CLinux
import IPsec
import Packets
import Policy
import Telemetry

extension Worker {
    /// Finds the SA of each ESP packet by its SPI (RFC 4303 section 3.4.2). The SPI of the packet before is remembered:
    /// packets of one peer come in trains.
    @inline(__always)
    mutating func lookupInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var lastSPI: UInt32 = 0
        var last: UnsafeMutablePointer<InboundSA>?
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            index &+= 1
            let spi = slot.pointee.esp.loadUnaligned(as: UInt32.self)
            if spi != lastSPI || last == nil {
                lastSPI = spi
                last = tables.pointee.inbound(spi: spi)
            }
            guard let sa = last else {
                drop(slot.pointee, .unknownSPI)
                continue
            }
            guard Int(sa.pointee.owner) == self.index else {
                // Parsed again by the owner: the whole frame goes.
                handOver(slot.pointee, to: Int(sa.pointee.owner), kind: .inbound)
                continue
            }
            sluice_prefetch_write(UnsafeRawPointer(sa) + 64)
            let family: AddressFamily = slot.pointee.packet.load(as: UInt8.self) >> 4 == 4 ? .ipv4 : .ipv6
            let destination = IPAddress(loading: slot.pointee.packet + (family == .ipv4 ? 16 : 24), family: family)
            let verdict = ESPInbound.admit(
                sa, destination: destination, isEncapsulated: slot.pointee.flags.contains(.encapsulated))
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            slot.pointee.association = UnsafeMutableRawPointer(sa)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }
}
