import CLinux
import Packets
import Telemetry

extension Worker {
    /// Finds the IP packet in each slot of the outbound batch and writes its flow key; what is no IP packet is dropped.
    ///
    /// 1. Ethernet, one VLAN tag. 2. IPv4 without options and not a fragment, or IPv6 without extension headers: read
    /// in place. 3. Everything else: `PacketSummary`.
    @inline(__always)
    mutating func parseOutbound(_ slots: UnsafeMutablePointer<PacketSlot>, count: Int) -> Int {
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            let key = scratch.keys + kept
            let verdict = parseOutbound(slot, key: key)
            index &+= 1
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            let hash = key.pointee.hash(seed: flows.seed)
            scratch.hashes[kept] = hash
            flows.prefetch(hash: hash)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return kept
    }

    @inline(__always)
    private func parseOutbound(
        _ slot: UnsafeMutablePointer<PacketSlot>, key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        var link = LinkLayer()
        let available = Int(slot.pointee.length)
        guard link.parse(slot.pointee.start, available: available) else {
            return .drop(available < 14 ? .malformedEthernet : .unsupportedEthertype)
        }
        let packet = slot.pointee.start + link.headerLength
        slot.pointee.packet = packet
        let length = available &- link.headerLength
        switch link.family {
        case .ipv4: return Worker.readIPv4(packet, available: length, slot: slot, key: key)
        case .ipv6: return Worker.readIPv6(packet, available: length, slot: slot, key: key)
        }
    }

    /// The common IPv4 packet, with the checks of RFC 1812 section 5.2.2.
    @inline(__always)
    private static func readIPv4(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        guard available >= 24 else { return readAny(packet, available: available, slot: slot, key: key) }
        let first = packet.loadUnaligned(as: UInt32.self)
        let total = Int(UInt16(truncatingIfNeeded: first >> 16).byteSwapped)
        let fragment = packet.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        // 0xFF3F: more-fragments and offset, as they lie in the header.
        guard first & 0xFF == 0x45, fragment & 0xFF3F == 0, total >= 24, total <= available else {
            return readAny(packet, available: available, slot: slot, key: key)
        }
        guard Checksum.isIPv4HeaderValid(packet, headerLength: 20) else { return .drop(.ipv4Checksum) }
        let number = packet.load(fromByteOffset: 9, as: UInt8.self)
        var ports = packet.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
        if number == IPProtocol.icmp {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return readAny(packet, available: available, slot: slot, key: key)
        }
        key.pointee = FlowKey(ipv4: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 8)
        slot.pointee.nextHeader = IPProtocol.ipv4
        if fragment & 0x0040 != 0 { slot.pointee.flags.insert(.dontFragment) }
        return .pass
    }

    /// The common IPv6 packet: TCP, UDP or ICMPv6 right behind the fixed header.
    @inline(__always)
    private static func readIPv6(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        guard available >= 44 else { return readAny(packet, available: available, slot: slot, key: key) }
        let first = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
        let total = 40 &+ Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
        let number = packet.load(fromByteOffset: 6, as: UInt8.self)
        guard first >> 28 == 6, total >= 44, total <= available else {
            return readAny(packet, available: available, slot: slot, key: key)
        }
        var ports = packet.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
        if number == IPProtocol.icmpv6 {
            ports &= 0xFFFF
        } else if number != IPProtocol.tcp, number != IPProtocol.udp {
            return readAny(packet, available: available, slot: slot, key: key)
        }
        key.pointee = FlowKey(ipv6: packet, protocolNumber: number, ports: ports)
        slot.pointee.length = UInt32(truncatingIfNeeded: total)
        slot.pointee.trafficClass = UInt8(truncatingIfNeeded: first >> 20)
        slot.pointee.nextHeader = IPProtocol.ipv6
        slot.pointee.flags.insert(.dontFragment)
        return .pass
    }

    /// Options, fragments, extension headers, other protocols, and whatever is wrong.
    @inline(never)
    private static func readAny(
        _ packet: UnsafeMutableRawPointer, available: Int, slot: UnsafeMutablePointer<PacketSlot>,
        key: UnsafeMutablePointer<FlowKey>
    ) -> Verdict {
        var summary = PacketSummary()
        let failure = PacketSummary.parse(packet, available: available, into: &summary)
        guard failure == .none else { return .drop(DropReason(failure, packet: packet, available: available)) }
        key.pointee = FlowKey(summary, header: packet)
        slot.pointee.length = UInt32(truncatingIfNeeded: summary.totalLength)
        slot.pointee.trafficClass = summary.trafficClass
        slot.pointee.nextHeader = summary.family == .ipv4 ? IPProtocol.ipv4 : IPProtocol.ipv6
        if summary.dontFragment { slot.pointee.flags.insert(.dontFragment) }
        return .pass
    }
}

extension DropReason {
    /// Why a packet that is no IP packet is dropped.
    init(_ failure: ParseFailure, packet: UnsafeRawPointer, available: Int) {
        switch failure {
        case .headerChecksum: self = .ipv4Checksum
        case .extensionLimit: self = .extensionHeaderLimit
        default:
            let isIPv6 = available > 0 && packet.load(as: UInt8.self) >> 4 == 6
            self = isIPv6 ? .malformedIPv6 : .malformedIPv4
        }
    }
}
