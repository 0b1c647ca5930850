import CLinux
import Packets
import Telemetry

extension Worker {
    /// Finds the ESP header in each slot of the inbound batch: behind the outer IP header, or in UDP on port 4500
    /// (RFC 3948 section 2). What is no ESP is dropped.
    @inline(__always)
    mutating func parseInbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            index &+= 1
            let verdict = Worker.parseInbound(slot)
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            tables.pointee.prefetchInbound(spi: slot.pointee.esp.loadUnaligned(as: UInt32.self))
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private static func parseInbound(_ slot: UnsafeMutablePointer<PacketSlot>) -> Verdict {
        var link = LinkLayer()
        let available = Int(slot.pointee.length)
        guard link.parse(slot.pointee.start, available: available) else {
            return .drop(available < 14 ? .malformedEthernet : .unsupportedEthertype)
        }
        let packet = slot.pointee.start + link.headerLength
        slot.pointee.packet = packet
        let length = available &- link.headerLength
        switch link.family {
        case .ipv4: return readOuterIPv4(packet, available: length, slot: slot)
        case .ipv6: return readOuterIPv6(packet, available: length, slot: slot)
        }
    }

    /// An outer IPv4 header without options; others take the long way.
    @inline(__always)
    private static func readOuterIPv4(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        guard available >= 28 else { return readOuterAny(packet, available: available, slot: slot) }
        let first = packet.loadUnaligned(as: UInt32.self)
        let total = Int(UInt16(truncatingIfNeeded: first >> 16).byteSwapped)
        let fragment = packet.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        guard first & 0xFF == 0x45, fragment & 0xFF3F == 0, total >= 28, total <= available else {
            return readOuterAny(packet, available: available, slot: slot)
        }
        guard Checksum.isIPv4HeaderValid(packet, headerLength: 20) else { return .drop(.ipv4Checksum) }
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 8)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        let number = packet.load(fromByteOffset: 9, as: UInt8.self)
        return locateESP(packet + 20, protocolNumber: number, length: total &- 20, slot: slot)
    }

    @inline(__always)
    private static func readOuterIPv6(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        guard available >= 48 else { return readOuterAny(packet, available: available, slot: slot) }
        let first = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        let total = 40 &+ Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        let number = packet.load(fromByteOffset: 6, as: UInt8.self)
        guard first >> 28 == 6, total >= 48, total <= available,
            number == IPProtocol.esp || number == IPProtocol.udp
        else { return readOuterAny(packet, available: available, slot: slot) }
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        return locateESP(packet + 40, protocolNumber: number, length: total &- 40, slot: slot)
    }

    /// Options, extension headers, fragments, and whatever is wrong.
    @inline(never)
    private static func readOuterAny(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        var summary = PacketSummary()
        let failure = PacketSummary.parse(packet, available: available, into: &summary)
        guard failure == .none else { return .drop(DropReason(failure, packet: packet, available: available)) }
        // The host reassembles; a piece that comes here came past the steering program.
        guard !summary.isFragment else { return .drop(.outerFragment) }
        slot.pointee.trafficClass = summary.trafficClass
        slot.pointee.length = UInt32(truncatingIfNeeded: summary.totalLength)
        return locateESP(
            packet + summary.headerLength, protocolNumber: summary.upperProtocol,
            length: summary.totalLength &- summary.headerLength, slot: slot)
    }

    /// The UDP port of ESP (RFC 3948 section 2). The steering program lets nothing else through, but a packet's way may
    /// have been another one.
    static var encapsulationPort: UInt16 { 4500 }

    /// `length` bytes from `upper` on belong to the packet.
    @inline(__always)
    private static func locateESP(
        _ upper: UnsafeMutableRawPointer, protocolNumber: UInt8, length: Int, slot: UnsafeMutablePointer<PacketSlot>
    ) -> Verdict {
        if protocolNumber == IPProtocol.esp {
            guard length >= 8 else { return .drop(.malformedESP) }
            slot.pointee.esp = upper
            slot.pointee.espLength = UInt32(truncatingIfNeeded: length)
            return .pass
        }
        guard protocolNumber == IPProtocol.udp else {
            return .drop(protocolNumber == IPProtocol.ah ? .unsupportedAH : .unexpectedPacket)
        }
        guard length >= 8 else { return .drop(.malformedUDPEncapsulation) }
        let ports = upper.loadUnaligned(as: UInt64.self)
        guard UInt16(truncatingIfNeeded: ports &>> 16) == Worker.encapsulationPort.bigEndian else {
            return .drop(.unexpectedPacket)
        }
        let datagram = Int(UInt16(truncatingIfNeeded: ports &>> 32).byteSwapped)
        guard datagram >= 8, datagram <= length else { return .drop(.malformedUDPEncapsulation) }
        if datagram == 9, upper.load(fromByteOffset: 8, as: UInt8.self) == 0xFF { return .drop(.natKeepalive) }
        guard datagram >= 16 else { return .drop(.malformedUDPEncapsulation) }
        guard upper.loadUnaligned(fromByteOffset: 8, as: UInt32.self) != 0 else { return .drop(.nonESPMarker) }
        slot.pointee.esp = upper + 8
        slot.pointee.espLength = UInt32(truncatingIfNeeded: datagram &- 8)
        slot.pointee.flags.insert(.encapsulated)
        return .pass
    }
}
