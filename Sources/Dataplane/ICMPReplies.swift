import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// ICMP errors about packets that cannot go on, back the way that they came; no more of them than the rate allows.
struct ICMPReplies: ~Copyable {
    private var limiter: RateLimiter

    init(perSecond: UInt32) { limiter = RateLimiter(perSecond: perSecond, burst: perSecond) }

    /// Drops a packet that cannot go on and tells its sender, if the rules and the rate allow (RFC 1812 4.3.2).
    @inline(never)
    mutating func answer(
        _ slot: PacketSlot, with message: ICMPError.Message, reason: DropReason, _ context: inout WorkerContext
    ) {
        if slot.flags.contains(.generated) { return context.drop(slot, reason) }
        guard limiter.allow(now: context.now) else { return context.drop(slot, .icmpRateLimited) }
        let family = AddressFamily(ofPacketAt: slot.packet)
        guard let source = self.source(for: slot, message, family: family, &context) else {
            context.count(.icmpErrorsWithheld)
            return context.drop(slot, reason)
        }
        let frame = context.pool.pop()
        if frame == FramePool.empty { return context.drop(slot, reason) }
        let start = context.base + Int(truncatingIfNeeded: frame) + UMEM.headroom
        let buffer = start + LinkLayer.taggedLength
        let length = ICMPError.build(
            message, from: source, offending: slot.packet, available: Int(slot.length), into: buffer,
            capacity: context.roomBehind(buffer))
        if length == 0 {
            context.pool.push(frame)
            return context.drop(slot, reason)
        }
        context.count(.icmpErrors)
        var error = PacketSlot(
            start: buffer - LinkLayer.untaggedLength,
            length: UInt32(truncatingIfNeeded: length &+ LinkLayer.untaggedLength), port: slot.port,
            flags: .ownMessage)
        error.packet = buffer
        dispatch(error, packetLength: length, to: slot, &context)
        context.drop(slot, reason)
    }

    /// Our address towards the sender of the packet. Out of a tunnel: one from which the error goes back into a tunnel.
    @inline(never)
    private mutating func source(
        for slot: PacketSlot, _ message: ICMPError.Message, family: AddressFamily, _ context: inout WorkerContext
    ) -> IPAddress? {
        if slot.flags.contains(.decrypted) { return protectedSource(for: slot, message, family: family, &context) }
        if slot.port != PacketSlot.noPort {
            return context.tables.pointee.localAddress(
                forPort: slot.port, vlan: LinkLayer.vlan(slot.start, headerLength: slot.packet - slot.start),
                family: family)
        }
        var port = 0
        while port < context.ports.count {
            if context.ports.queue(port).pointee.roles.contains(.lan),
                let address = context.tables.pointee.localAddress(
                    forPort: context.ports.queue(port).pointee.portIndex, vlan: 0, family: family)
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
        for slot: PacketSlot, _ message: ICMPError.Message, family: AddressFamily, _ context: inout WorkerContext
    ) -> IPAddress? {
        var flow = PacketSummary(
            source: .unspecified(family), destination: PacketSlot.source(of: slot.packet),
            upperProtocol: family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6,
            sourcePort: message.typeAndCode(family))
        let count = min(context.tables.pointee.ownAddressCount, ICMPReplies.mostAnswerSources)
        var found: IPAddress?
        var index = 0
        while index < count {
            let own = context.tables.pointee.ownAddress(at: index)
            index &+= 1
            let port = context.ports.number(ofIndex: own.port)
            let isLAN = port >= 0 && context.ports.queue(port).pointee.roles.contains(.lan)
            guard own.address.family == family, own.isGlobal, isLAN || found == nil else { continue }
            flow.source = own.address
            guard context.tables.pointee.outbound(flow, worker: context.index).action == .protect else { continue }
            if isLAN { return own.address }
            found = own.address
        }
        return found
    }

    /// Each costs a look-up of policies.
    private static var mostAnswerSources: Int { 256 }

    /// Sends an error message that is ready in its frame: back the way the offending packet came.
    private mutating func dispatch(
        _ error: PacketSlot, packetLength: Int, to offending: PacketSlot, _ context: inout WorkerContext
    ) {
        if offending.flags.contains(.decrypted) {
            // Into the tunnel back, as the policy says, or nowhere: it quotes what came protected. Parsed again on its way.
            var error = error
            error.flags.insert(.decrypted)
            LinkLayer.writeType(before: error.packet)
            return context.processLater(error)
        }
        if offending.port == PacketSlot.noPort {
            var plain = error
            plain.length = UInt32(truncatingIfNeeded: packetLength)
            return context.handOver(plain, to: context.handover.host, kind: .toHost)
        }
        // To the station that sent the frame: its link header, turned round.
        let isTagged = offending.packet - offending.start == LinkLayer.taggedLength
        let linkLength = isTagged ? LinkLayer.taggedLength : LinkLayer.untaggedLength
        let link = error.packet - linkLength
        link.copyMemory(from: offending.start + 6, byteCount: 6)
        (link + 6).copyMemory(from: offending.start, byteCount: 6)
        // The tag if there is one; the EtherType is that of the packet, which is of the same family.
        (link + 12).copyMemory(from: offending.start + 12, byteCount: isTagged ? 6 : 2)
        let verdict = context.stage(
            link, length: packetLength &+ linkLength, port: context.ports.number(ofIndex: offending.port))
        if let reason = verdict.reason { context.drop(error, reason) }
    }
}
