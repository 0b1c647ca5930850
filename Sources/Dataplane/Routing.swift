import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// The ways of packets behind a tunnel's end, and of those that no tunnel is for:
///
/// 1. Out of a tunnel: to a LAN, to this host, or to the outbound policies again (`forwardInner`, `divert`).
/// 2. Unprotected: as policies and routes say (`decline`, `forwardPlain`).
/// 3. In fragments: too big for a LAN (`tooBigForLAN`), or sealed and too big for their path (`sendFragments`).
/// 4. To the next hop (`send`): the end of every way, that of sealed packets too.
/// 5. Later: once the neighbour is known, or known not to answer (`resendWaiting`, `expireWaiting`).
///
/// Has the packets that wait for their neighbours. A packet that the outbound policies are to be asked about is put aside
/// (`WorkerContext.processLater`), so that nothing here leads back to `Outbound` or `Inbound`.
struct Routing: ~Copyable {
    private var replies: ICMPReplies
    private var waiting: NeighbourQueue
    var fragmentation: Fragmentation

    init(_ configuration: WorkerConfiguration) {
        replies = ICMPReplies(perSecond: configuration.icmpErrorsPerSecond)
        waiting = NeighbourQueue(capacity: configuration.neighbourQueueCapacity)
        fragmentation = Fragmentation(capacity: configuration.batchSize)
    }

    /// Packets that wait for their neighbour.
    var waitingCount: Int { waiting.count }

    /// Drops a packet that cannot go on and tells its sender (`ICMPReplies`).
    @inline(__always)
    mutating func answer(
        _ slot: PacketSlot, with message: ICMPError.Message, reason: DropReason, _ context: inout WorkerContext
    ) {
        replies.answer(slot, with: message, reason: reason, &context)
    }

    // MARK: 1. Out of a tunnel

    /// A decrypted packet on its way: to a LAN, to this host, or into another tunnel.
    @inline(__always)
    mutating func forwardInner(_ slot: UnsafeMutablePointer<PacketSlot>, _ context: inout WorkerContext) {
        guard let hop = slot.pointee.nextHop, context.leavesByLAN(hop) else { return divert(slot.pointee, &context) }
        guard HopLimit.decrement(slot.pointee.packet) else {
            return answer(slot.pointee, with: .timeExceeded, reason: .hopLimitExpired, &context)
        }
        guard slot.pointee.length <= UInt32(hop.pointee.mtu) else {
            return tooBigForLAN(slot.pointee, hop: hop, &context)
        }
        send(slot, &context)
    }

    /// Leads a packet that goes to no LAN to the host itself, or to where the outbound policies are asked (a hub's
    /// traffic from one site to another, RFC 4301 section 5.2 step 5). The route decides only if no policy wants the
    /// packet.
    @inline(never)
    private mutating func divert(_ slot: PacketSlot, _ context: inout WorkerContext) {
        if let hop = slot.nextHop, hop.pointee.state == .local {
            return context.handOver(slot, to: context.handover.host, kind: .toHost)
        }
        var next = slot
        next.association = nil
        next.nextHop = nil
        next.port = PacketSlot.noPort
        next.start = slot.packet - LinkLayer.untaggedLength
        LinkLayer.writeType(before: slot.packet)
        next.length = slot.length &+ UInt32(LinkLayer.untaggedLength)
        next.flags = slot.flags.intersection(.ofDivertedPackets)
        context.processLater(next)
    }

    // MARK: 2. Unprotected

    /// Ends the way of a packet that is not protected: forwarded in clear where a policy says so, else dropped.
    mutating func decline(
        _ slot: UnsafeMutablePointer<PacketSlot>, reason: DropReason?, summary: PacketSummary, policyIndex: UInt32,
        _ context: inout WorkerContext
    ) {
        // RFC 4301 section 6: an ICMP error that quotes what came protected leaves protected or not at all.
        let quotesDecrypted = slot.pointee.flags.isSuperset(of: .quotesDecrypted)
        guard let reason else {
            return quotesDecrypted ? context.drop(slot.pointee, .noPolicy) : forwardPlain(slot.pointee, &context)
        }
        if reason == .noOutboundSA, let requestID = context.tables.pointee.acquiredRequestID(policyIndex: policyIndex) {
            context.events.acquire(requestID: requestID, for: summary, now: context.now)
        }
        if reason == .noPolicy, slot.pointee.flags.contains(.decrypted), !quotesDecrypted {
            refuseInner(slot.pointee, destination: summary.destination, &context)
        } else {
            context.drop(slot.pointee, reason)
        }
    }

    /// A packet out of a tunnel that leads to no LAN and that no policy wants into another tunnel. Where its route itself
    /// refuses it, that is the reason, and its sender is told.
    private mutating func refuseInner(_ slot: PacketSlot, destination: IPAddress, _ context: inout WorkerContext) {
        var refused = slot
        let hop = context.tables.pointee.route(to: destination)
        refused.nextHop = hop
        switch hop.pointee.state {
        case .resolved, .unresolved, .local, .notAPort: context.drop(slot, .noPolicy)
        case .failed, .unreachable, .blackhole, .prohibited, .noRoute: sendLater(refused, &context)
        }
    }

    /// A packet that a policy lets pass unprotected: plain routing.
    @inline(never)
    private mutating func forwardPlain(_ slot: PacketSlot, _ context: inout WorkerContext) {
        var next = slot
        let hop = context.tables.pointee.route(to: PacketSlot.destination(of: slot.packet))
        next.nextHop = hop
        // For this host, or for nowhere: it is not forwarded, so hop limit and size do not matter.
        if hop.pointee.state != .resolved, hop.pointee.state != .unresolved { return sendLater(next, &context) }
        if slot.flags.isDisjoint(with: .notToBeRouted) {
            guard HopLimit.decrement(slot.packet) else {
                return answer(slot, with: .timeExceeded, reason: .hopLimitExpired, &context)
            }
            next.flags.insert(.forwarded)
        }
        guard slot.length <= UInt32(hop.pointee.mtu) else {
            if slot.flags.contains(.dontFragment) {
                return answer(
                    next, with: .packetTooBig(mtu: UInt32(hop.pointee.mtu)), reason: .tooBigSentICMP, &context)
            }
            return fragmentPlain(next, mtu: Int(hop.pointee.mtu), &context)
        }
        context.count(.bypassed)
        withUnsafeMutablePointer(to: &next) { send($0, &context) }
    }

    // MARK: 3. In fragments

    /// The LAN's MTU is smaller than the packet: plain routing (RFC 1812 section 5.2.7.3, RFC 8200 section 5).
    @inline(never)
    private mutating func tooBigForLAN(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, _ context: inout WorkerContext)
    {
        let mtu = UInt32(hop.pointee.mtu)
        if slot.flags.contains(.dontFragment) {
            return answer(slot, with: .packetTooBig(mtu: mtu), reason: .tooBigSentICMP, &context)
        }
        fragmentPlain(slot, mtu: Int(mtu), &context)
    }

    /// Fragments of a packet that leaves unprotected, sent at once.
    private mutating func fragmentPlain(_ slot: PacketSlot, mtu: Int, _ context: inout WorkerContext) {
        guard var fragmenter = IPv4Fragmenter(slot.packet, available: Int(slot.length), mtu: mtu) else {
            return context.drop(slot, .tooBig)
        }
        var whole = slot
        whole.flags.insert(.forwarded)
        sendPieces(of: whole, &context) { fragmenter.next(into: $0) }
    }

    /// Sends an ESP packet that does not fit its path in fragments, which the peer's host puts together (RFC 4301 section 8.2,
    /// RFC 2473 section 7.1): inside it is IPv6 of no more than 1280 bytes, which every link has to carry (RFC 8200 section 5).
    @inline(never)
    mutating func sendFragments(
        _ slot: PacketSlot, sa: UnsafeMutablePointer<OutboundRuntime>, _ context: inout WorkerContext
    ) {
        let length = Int(slot.length)
        let pathMTU = Int(sa.pointee.pathMTU)
        let identification = fragmentation.nextIdentification()
        if AddressFamily(ofPacketAt: slot.packet) == .ipv4 {
            IPv4Fragmenter.allow(slot.packet, identification: UInt16(truncatingIfNeeded: identification))
            guard var fragmenter = IPv4Fragmenter(slot.packet, available: length, mtu: pathMTU) else {
                return context.drop(slot, .tooBig)
            }
            sendPieces(of: slot, &context) { fragmenter.next(into: $0) }
        } else {
            let fragmenter = IPv6Fragmenter(
                slot.packet, available: length, mtu: max(pathMTU, Fragmentation.smallestIPv6MTU),
                identification: identification)
            guard var fragmenter else { return context.drop(slot, .tooBig) }
            sendPieces(of: slot, &context) { fragmenter.next(into: $0) }
        }
    }

    /// Sends the fragments of a packet in its place. `next` writes a fragment and returns its length; 0 after the last one.
    @inline(__always)
    private mutating func sendPieces(
        of slot: PacketSlot, _ context: inout WorkerContext, _ next: (UnsafeMutableRawPointer) -> Int
    ) {
        while true {
            let frame = context.pool.pop()
            if frame == FramePool.empty { return context.drop(slot, .framePoolEmpty) }
            var piece = slot
            piece.packet = context.base + Int(truncatingIfNeeded: frame) + UMEM.headroom + LinkLayer.taggedLength
            let length = next(piece.packet)
            if length == 0 {
                context.pool.push(frame)
                context.count(.fragmented)
                return context.release(slot)
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            Fragmentation.keepLinkHeader(of: slot, for: &piece)
            context.count(.fragments)
            withUnsafeMutablePointer(to: &piece) { send($0, &context) }
        }
    }

    // MARK: 4. To the next hop

    /// Puts the link header in front of an IP packet and stages it at the port of its next hop. A next hop without a
    /// link-layer address makes the packet wait.
    @inline(__always)
    mutating func send(_ slot: UnsafeMutablePointer<PacketSlot>, _ context: inout WorkerContext) {
        guard let hop = slot.pointee.nextHop, hop.pointee.isResolved else { return sendLater(slot.pointee, &context) }
        let packet = slot.pointee.packet
        hop.pointee.writeLinkHeader(before: packet, family: AddressFamily(ofPacketAt: packet))
        let linkLength = Int(hop.pointee.linkHeaderLength)
        let link = packet - linkLength
        let length = linkLength &+ Int(slot.pointee.length)
        // The slot is copied where the packet is dropped, and nowhere else: its fields were just written one by one, and
        // reading them as a whole would wait for the stores.
        if let reason = context.stage(link, length: length, port: context.ports.number(of: hop)).reason {
            context.drop(slot.pointee, reason)
        }
    }

    /// No resolved next hop: the packet waits, or ends here.
    @inline(never)
    private mutating func sendLater(_ slot: PacketSlot, _ context: inout WorkerContext) {
        guard let hop = slot.nextHop else { return context.drop(slot, .noRoute) }
        guard hop.pointee.state == .unresolved else { return refuse(slot, hop: hop, &context) }
        let requester = Routing.requester(of: slot)
        let wanted = WantedNeighbour(
            neighbour: askForNeighbour(hop, slot: slot, requester: requester, &context), requester: requester,
            isForLAN: isForLAN(slot, hop: hop, &context))
        let evicted = waiting.append(WaitingPackets.Entry(slot: slot, since: context.now, subject: wanted))
        if let evicted { context.drop(evicted, .neighbourQueueFull) }
    }

    /// A next hop that will not become one: to the host, or away, with word to the sender where the packet is his.
    private mutating func refuse(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, _ context: inout WorkerContext) {
        let reason = hop.pointee.verdict.reason ?? .noRoute
        let message: ICMPError.Message
        switch hop.pointee.state {
        case .local: return context.handOver(slot, to: context.handover.host, kind: .toHost)
        case .failed:
            // It may have come up since: a neighbour is asked for again as long as there is traffic for it.
            _ = askForNeighbour(hop, slot: slot, requester: Routing.requester(of: slot), &context)
            message = .hostUnreachable
        case .unreachable: message = .hostUnreachable
        case .noRoute: message = .networkUnreachable
        case .prohibited: message = .prohibited
        case .resolved, .unresolved, .blackhole, .notAPort: return context.drop(slot, reason)
        }
        if slot.flags.contains(.sealed) { return context.drop(slot, reason) }
        answer(slot, with: message, reason: reason, &context)
    }

    /// The requester of a packet: ourselves towards a peer, the tunnel that it came out of, or the port of arrival.
    private static func requester(of slot: PacketSlot) -> UInt32 {
        if slot.flags.contains(.sealed) { return WorkerEvent.ownPackets }
        guard slot.flags.contains(.decrypted), let sa = slot.association else { return UInt32(slot.port) }
        return sa.assumingMemoryBound(to: InboundRuntime.self).pointee.spi.value
    }

    /// Asks the control thread for the neighbour that a packet wants. Returns the neighbour's key.
    private mutating func askForNeighbour(
        _ hop: UnsafePointer<NextHop>, slot: PacketSlot, requester: UInt32, _ context: inout WorkerContext
    ) -> UInt64 {
        let address = hop.pointee.isOnLink ? PacketSlot.destination(of: slot.packet) : hop.pointee.address
        // Tunnels do not share one sender's part.
        let sender = slot.flags.contains(.sealed) ? address : PacketSlot.source(of: slot.packet)
        return context.events.neighbourWanted(
            address, interfaceIndex: hop.pointee.interfaceIndex, requester: requester, sender: sender, now: context.now)
    }

    /// Whether the packet came out of a tunnel and leaves by a LAN: then no outbound policy was asked.
    @inline(__always)
    private func isForLAN(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, _ context: inout WorkerContext) -> Bool {
        slot.flags.contains(.decrypted) && !slot.flags.contains(.sealed) && context.leavesByLAN(hop)
    }

    // MARK: 5. After a wait

    /// Looks up the next hop of every waiting packet again, and lets go what need not wait any more.
    @inline(never)
    mutating func resendWaiting(_ context: inout WorkerContext) {
        let count = waiting.beginWalk()
        var index = 0
        while index < count {
            var entry = waiting[index]
            index &+= 1
            let hop = context.tables.pointee.route(to: PacketSlot.destination(of: entry.slot.packet))
            entry.slot.nextHop = hop
            // The SA may be gone.
            entry.slot.association = nil
            if hop.pointee.state == .unresolved, !entry.subject.isForLAN || context.leavesByLAN(hop) {
                waiting.keep(entry)
            } else {
                resume(entry.slot, hop: hop, isForLAN: entry.subject.isForLAN, &context)
            }
        }
    }

    /// Ends the wait of packets whose neighbour did not answer in time: the sender hears of it, as of one that the kernel knows
    /// not to answer (RFC 1812 section 3.3.2, RFC 4861 section 7.2.2).
    @inline(never)
    mutating func expireWaiting(_ context: inout WorkerContext) {
        let count = waiting.beginWalk()
        var index = 0
        while index < count {
            let entry = waiting[index]
            index &+= 1
            if context.now &- entry.since <= context.configuration.neighbourWaitInNanoseconds {
                waiting.keep(entry)
            } else if entry.slot.flags.contains(.sealed) {
                context.drop(entry.slot, .neighbourUnresolved)
            } else {
                answer(entry.slot, with: .hostUnreachable, reason: .neighbourUnresolved, &context)
            }
        }
    }

    /// Sends a packet that has waited, to its next hop of today.
    @inline(never)
    private mutating func resume(
        _ slot: PacketSlot, hop: UnsafePointer<NextHop>, isForLAN: Bool, _ context: inout WorkerContext
    ) {
        if slot.flags.contains(.sealed) { return resumeSealed(slot, hop: hop, &context) }
        if isForLAN {
            guard context.leavesByLAN(hop) else { return redirect(slot, hop: hop, &context) }
            guard slot.length <= UInt32(hop.pointee.mtu) else { return tooBigForLAN(slot, hop: hop, &context) }
            return sendNow(slot, &context)
        }
        var summary = PacketSummary()
        let length = Int(slot.length)
        guard PacketSummary.parse(slot.packet, available: length, into: &summary) == .none,
            context.tables.pointee.outbound(summary, worker: context.index).action == .bypass
        else { return decideAgain(slot, &context) }
        guard slot.length <= UInt32(hop.pointee.mtu) else {
            guard !slot.flags.contains(.dontFragment) else {
                return answer(
                    slot, with: .packetTooBig(mtu: UInt32(hop.pointee.mtu)), reason: .tooBigSentICMP, &context)
            }
            return fragmentPlain(slot, mtu: Int(hop.pointee.mtu), &context)
        }
        sendNow(slot, &context)
    }

    private mutating func sendNow(_ slot: PacketSlot, _ context: inout WorkerContext) {
        var slot = slot
        withUnsafeMutablePointer(to: &slot) { send($0, &context) }
    }

    /// An ESP packet goes wherever its peer is now. What does not fit there any more ends here: nobody can be told.
    private mutating func resumeSealed(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, _ context: inout WorkerContext)
    {
        guard slot.length <= UInt32(hop.pointee.mtu) else { return context.drop(slot, .tooBig) }
        sendNow(slot, &context)
    }

    /// The LAN's route has gone. For the host it is not: the policy that let it pass was one for forwarded packets.
    private mutating func redirect(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, _ context: inout WorkerContext) {
        if hop.pointee.state == .local { return context.drop(slot, .localDeliveryUnavailable) }
        var slot = slot
        slot.flags.insert(.forwarded)
        divert(slot, &context)
    }

    /// No policy lets it pass in clear any more: as a packet that has just come.
    private mutating func decideAgain(_ slot: PacketSlot, _ context: inout WorkerContext) {
        var next = slot
        LinkLayer.writeType(before: slot.packet)
        next.length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        next.association = nil
        next.nextHop = nil
        next.flags = slot.flags.intersection(.ofTheJourney)
        context.processLater(next)
    }
}
