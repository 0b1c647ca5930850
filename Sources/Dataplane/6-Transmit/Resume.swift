import Packets
import Policy
import Telemetry

/// What has waited for a neighbour goes on under another snapshot than the one that decided about it. Whatever would leave in
/// clear is decided anew: routes, policies and link MTUs may have changed meanwhile.
extension Worker {
    /// Whether the packet came out of a tunnel and leaves by a LAN: then no outbound policy was asked.
    @inline(__always)
    func isForLAN(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) -> Bool {
        slot.flags.contains(.decrypted) && !slot.flags.contains(.sealed) && leavesByLAN(hop)
    }

    /// Sends a packet that has waited, to its next hop of today.
    @inline(never)
    mutating func resume(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, isForLAN: Bool) {
        if slot.flags.contains(.sealed) { return resumeSealed(slot, hop: hop) }
        if isForLAN {
            guard leavesByLAN(hop) else { return redirect(slot, hop: hop) }
            guard slot.length <= UInt32(hop.pointee.mtu) else { return tooBigForLAN(slot, hop: hop) }
            return sendNow(slot)
        }
        var summary = PacketSummary()
        let length = Int(slot.length)
        guard PacketSummary.parse(slot.packet, available: length, into: &summary) == .none,
            tables.pointee.outbound(summary, worker: index).action == .bypass
        else { return decideAgain(slot) }
        guard slot.length <= UInt32(hop.pointee.mtu) else {
            guard !slot.flags.contains(.dontFragment) else {
                return answer(
                    slot, with: .packetTooBig(mtu: UInt32(hop.pointee.mtu)), reason: .tooBigSentICMP)
            }
            return fragmentPlain(slot, mtu: Int(hop.pointee.mtu))
        }
        sendNow(slot)
    }

    private mutating func sendNow(_ slot: PacketSlot) {
        var slot = slot
        withUnsafeMutablePointer(to: &slot) { send($0) }
    }

    /// An ESP packet goes wherever its peer is now. What does not fit there any more ends here: nobody can be told.
    private mutating func resumeSealed(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        guard slot.length <= UInt32(hop.pointee.mtu) else { return drop(slot, .tooBig) }
        sendNow(slot)
    }

    /// The LAN's route has gone. For the host it is not: the policy that let it pass was one for forwarded packets.
    private mutating func redirect(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        if hop.pointee.state == .local { return drop(slot, .localDeliveryUnavailable) }
        var slot = slot
        slot.flags.insert(.forwarded)
        divert(slot)
    }

    /// No policy lets it pass in clear any more: as a packet that has just come.
    private mutating func decideAgain(_ slot: PacketSlot) {
        var next = slot
        let type = slot.packet.load(as: UInt8.self) >> 4 == 4 ? LinkLayer.ipv4 : LinkLayer.ipv6
        slot.packet.storeBytes(of: type, toByteOffset: -2, as: UInt16.self)
        next.length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        next.association = nil
        next.nextHop = nil
        next.flags = slot.flags.intersection(.ofTheJourney)
        processLater(next)
    }
}
