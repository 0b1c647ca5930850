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
            sluice_prefetch(slot[SlotBatch.lookAhead].start)
            let key = scratch.keys + kept
            let verdict = parseOutbound(slot, key: key)
            index &+= 1
            if let reason = verdict.reason {
                drop(slot.pointee, reason)
                continue
            }
            // Packets come in trains: the second of a flow and those behind it need no hash.
            if kept > 0, key.pointee.isSame(as: key - 1) {
                slot.pointee.flags.insert(.repeatsFlow)
                scratch.hashes[kept] = scratch.hashes[kept &- 1]
            } else {
                let hash = key.pointee.hash(seed: flows.seed)
                scratch.hashes[kept] = hash
                flows.prefetch(hash: hash)
            }
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
        if CommonPacket.read(packet, available: length, family: link.family, slot: slot, key: key) { return .pass }
        return Worker.readAny(packet, available: length, slot: slot, key: key)
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
