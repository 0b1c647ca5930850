import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// ICMP errors about packets that cannot go on, back the way that they came.
extension Worker {
    /// Drops a packet that cannot go on and tells its sender, if the rules and the rate allow (RFC 1812 4.3.2).
    @inline(never)
    mutating func answer(_ slot: PacketSlot, with message: ICMPError.Message, reason: DropReason) {
        if slot.flags.contains(.generated) { return drop(slot, reason) }
        guard icmpLimiter.allow(now: now) else { return drop(slot, .icmpRateLimited) }
        let family = AddressFamily(ofPacketAt: slot.packet)
        guard let source = answerSource(slot, message, family: family) else {
            count(.icmpErrorsWithheld)
            return drop(slot, reason)
        }
        let frame = pool.pop()
        if frame == FramePool.empty { return drop(slot, reason) }
        let start = base + Int(truncatingIfNeeded: frame) + UMEM.headroom
        let buffer = start + LinkLayer.taggedLength
        let length = ICMPError.build(
            message, from: source, offending: slot.packet, available: Int(slot.length), into: buffer,
            capacity: roomBehind(buffer))
        if length == 0 {
            pool.push(frame)
            return drop(slot, reason)
        }
        count(.icmpErrors)
        var error = PacketSlot(
            start: buffer - LinkLayer.untaggedLength,
            length: UInt32(truncatingIfNeeded: length &+ LinkLayer.untaggedLength), port: slot.port,
            flags: .ownMessage)
        error.packet = buffer
        dispatch(error, packetLength: length, to: slot)
        drop(slot, reason)
    }

    /// Our address towards the sender of the packet. Out of a tunnel: one from which the error goes back into a tunnel.
    @inline(never)
    private mutating func answerSource(
        _ slot: PacketSlot, _ message: ICMPError.Message, family: AddressFamily
    ) -> IPAddress? {
        if slot.flags.contains(.decrypted) { return protectedSource(slot, message, family: family) }
        if slot.port != PacketSlot.noPort {
            return tables.pointee.localAddress(
                forPort: slot.port, vlan: LinkLayer.vlan(slot.start, headerLength: slot.packet - slot.start),
                family: family)
        }
        var port = 0
        while port < ports.count {
            if ports.queue(port).pointee.roles.contains(.lan),
                let address = tables.pointee.localAddress(
                    forPort: ports.queue(port).pointee.portIndex, vlan: 0, family: family)
            {
                return address
            }
            port &+= 1
        }
        return nil
    }

    /// An own address that a policy protects on the way to the packet's sender, one of a LAN if there is. An error from any
    /// other would quote in clear what came protected, or end here (RFC 4301 section 6).
    private mutating func protectedSource(
        _ slot: PacketSlot, _ message: ICMPError.Message, family: AddressFamily
    ) -> IPAddress? {
        var flow = PacketSummary(
            source: .unspecified(family), destination: Worker.source(of: slot.packet),
            upperProtocol: family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6,
            sourcePort: message.typeAndCode(family))
        let count = min(tables.pointee.ownAddressCount, Worker.mostAnswerSources)
        var found: IPAddress?
        var index = 0
        while index < count {
            let own = tables.pointee.ownAddress(at: index)
            index &+= 1
            let port = ports.number(ofIndex: own.port)
            let isLAN = port >= 0 && ports.queue(port).pointee.roles.contains(.lan)
            guard own.address.family == family, own.isGlobal, isLAN || found == nil else { continue }
            flow.source = own.address
            guard tables.pointee.outbound(flow, worker: self.index).action == .protect else { continue }
            if isLAN { return own.address }
            found = own.address
        }
        return found
    }

    /// Each costs a look-up of policies.
    private static var mostAnswerSources: Int { 256 }

    /// Sends an error message that is ready in its frame: back the way the offending packet came.
    private mutating func dispatch(_ error: PacketSlot, packetLength: Int, to offending: PacketSlot) {
        if offending.flags.contains(.decrypted) {
            // Into the tunnel back, as the policy says, or nowhere: it quotes what came protected. Parsed again on its way.
            var error = error
            error.flags.insert(.decrypted)
            LinkLayer.writeType(before: error.packet)
            return processLater(error)
        }
        if offending.port == PacketSlot.noPort {
            var plain = error
            plain.length = UInt32(truncatingIfNeeded: packetLength)
            return handOver(plain, to: handover.host, kind: .toHost)
        }
        // To the station that sent the frame: its link header, turned round.
        let isTagged = offending.packet - offending.start == LinkLayer.taggedLength
        let linkLength = isTagged ? LinkLayer.taggedLength : LinkLayer.untaggedLength
        let link = error.packet - linkLength
        link.copyMemory(from: offending.start + 6, byteCount: 6)
        (link + 6).copyMemory(from: offending.start, byteCount: 6)
        // The tag if there is one; the EtherType is that of the packet, which is of the same family.
        (link + 12).copyMemory(from: offending.start + 12, byteCount: isTagged ? 6 : 2)
        let verdict = stage(link, length: packetLength &+ linkLength, port: ports.number(ofIndex: offending.port))
        if let reason = verdict.reason { drop(error, reason) }
    }
}
