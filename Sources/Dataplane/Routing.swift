import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// The ways of packets that are not on their way into a tunnel yet, or do not fit the way that they are on:
///
/// 1. Out of a tunnel: to a LAN, to this host, or to the outbound policies again (`forwardInner`, `divert`, `processDerived`).
/// 2. Unprotected: as policies and routes say (`decline`, `forwardPlain`).
/// 3. Too big: for a tunnel (`handleTooBig`, `protectInFragments`), for the path of a sealed packet (`sendFragments`), or for a
///    LAN (`tooBigForLAN`).
extension Worker {
    // MARK: 1. Out of a tunnel

    /// A decrypted packet on its way: to a LAN, to this host, or into another tunnel.
    @inline(__always)
    mutating func forwardInner(_ slot: UnsafeMutablePointer<PacketSlot>) {
        guard let hop = slot.pointee.nextHop, leavesByLAN(hop) else { return divert(slot.pointee) }
        guard HopLimit.decrement(slot.pointee.packet) else {
            return answer(slot.pointee, with: .timeExceeded, reason: .hopLimitExpired)
        }
        guard slot.pointee.length <= UInt32(hop.pointee.mtu) else { return tooBigForLAN(slot.pointee, hop: hop) }
        send(slot)
    }

    /// Whether a next hop is on a port that is LAN and nothing else: then no outbound policy can want the packet.
    @inline(__always)
    func leavesByLAN(_ hop: UnsafePointer<NextHop>) -> Bool {
        let port = ports.number(of: hop)
        return port >= 0 && ports.queue(port).pointee.roles == .lan
    }

    /// Leads a packet that goes to no LAN to the host itself, or to where the outbound policies are asked (a hub's
    /// traffic from one site to another, RFC 4301 section 5.2 step 5). The route decides only if no policy wants the
    /// packet.
    @inline(never)
    mutating func divert(_ slot: PacketSlot) {
        if let hop = slot.nextHop, hop.pointee.state == .local {
            return handOver(slot, to: handover.host, kind: .toHost)
        }
        var next = slot
        next.association = nil
        next.nextHop = nil
        next.port = PacketSlot.noPort
        next.start = slot.packet - LinkLayer.untaggedLength
        LinkLayer.writeType(before: slot.packet)
        next.length = slot.length &+ UInt32(LinkLayer.untaggedLength)
        next.flags = slot.flags.intersection(.ofDivertedPackets)
        processLater(next)
    }

    // Packets that the packets of a batch lead to and that the outbound policies are asked about: out of one tunnel and perhaps
    // into another, and ICMP errors about such packets. They go through the stages after the batch, in their order.
    //
    // Each packet leads to one at most, and an ICMP error to none. So room for as many as a batch has is enough if it is there
    // when the batch begins.

    /// Puts a packet aside as it would have come from a LAN: it starts at an Ethernet header.
    @inline(__always)
    mutating func processLater(_ slot: PacketSlot) {
        if derived.isFull { return drop(slot, .roundOverflow) }
        derived.append(slot)
    }

    /// Makes room for the packets that a batch of so many leads to; called before it.
    @inline(__always)
    mutating func makeRoomForDerived(_ count: Int) {
        if derived.count &+ count > derived.capacity { processDerived() }
    }

    /// All of them, and what they lead to in turn. Not to be called within a batch.
    @inline(never)
    mutating func processDerived() {
        while derived.count > 0 {
            let count = derived.takeFirst(into: derivedBatch)
            processOutbound(derivedBatch.slots, count: count)
        }
    }

    // MARK: 2. Unprotected

    /// Ends the way of a packet that is not protected: forwarded in clear where a policy says so, else dropped.
    mutating func decline(
        _ slot: UnsafeMutablePointer<PacketSlot>, reason: DropReason?, summary: PacketSummary, policyIndex: UInt32
    ) {
        // RFC 4301 section 6: an ICMP error that quotes what came protected leaves protected or not at all.
        let quotesDecrypted = slot.pointee.flags.isSuperset(of: .quotesDecrypted)
        guard let reason else {
            return quotesDecrypted ? drop(slot.pointee, .noPolicy) : forwardPlain(slot.pointee)
        }
        if reason == .noOutboundSA, let requestID = tables.pointee.acquiredRequestID(policyIndex: policyIndex) {
            events.acquire(requestID: requestID, for: summary, now: now)
        }
        if reason == .noPolicy, slot.pointee.flags.contains(.decrypted), !quotesDecrypted {
            refuseInner(slot.pointee, destination: summary.destination)
        } else {
            drop(slot.pointee, reason)
        }
    }

    /// A packet out of a tunnel that leads to no LAN and that no policy wants into another tunnel. Where its route itself
    /// refuses it, that is the reason, and its sender is told.
    private mutating func refuseInner(_ slot: PacketSlot, destination: IPAddress) {
        var refused = slot
        let hop = tables.pointee.route(to: destination)
        refused.nextHop = hop
        switch hop.pointee.state {
        case .resolved, .unresolved, .local, .notAPort: drop(slot, .noPolicy)
        case .failed, .unreachable, .blackhole, .prohibited, .noRoute: sendLater(refused)
        }
    }

    /// A packet that a policy lets pass unprotected: plain routing.
    @inline(never)
    mutating func forwardPlain(_ slot: PacketSlot) {
        var next = slot
        let hop = tables.pointee.route(to: Worker.destination(of: slot.packet))
        next.nextHop = hop
        // For this host, or for nowhere: it is not forwarded, so hop limit and size do not matter.
        if hop.pointee.state != .resolved, hop.pointee.state != .unresolved { return sendLater(next) }
        if slot.flags.isDisjoint(with: .notToBeRouted) {
            guard HopLimit.decrement(slot.packet) else {
                return answer(slot, with: .timeExceeded, reason: .hopLimitExpired)
            }
            next.flags.insert(.forwarded)
        }
        guard slot.length <= UInt32(hop.pointee.mtu) else {
            if slot.flags.contains(.dontFragment) {
                return answer(
                    next, with: .packetTooBig(mtu: UInt32(hop.pointee.mtu)), reason: .tooBigSentICMP)
            }
            return fragmentPlain(next, mtu: Int(hop.pointee.mtu))
        }
        count(.bypassed)
        withUnsafeMutablePointer(to: &next) { send($0) }
    }

    // MARK: 3. Too big

    /// Whether a packet that does not fit its tunnel goes all the same, the sealed one in fragments: IPv6 that no sender can
    /// make smaller (RFC 8200 section 5).
    ///
    /// `mutating`, like all methods here that are not inlined: for a call of another one the compiler copies the worker.
    @inline(never)
    mutating func mayOutgrowPath(_ slot: UnsafeMutablePointer<PacketSlot>) -> Bool {
        let packet = slot.pointee.packet
        let length = Int(slot.pointee.length)
        return AddressFamily(ofPacketAt: packet) == .ipv6 && length <= Worker.smallestIPv6MTU
            && length &+ OutboundRuntime.maximumTailroom <= roomBehind(packet)
            && roomBefore(packet) >= OutboundRuntime.maximumHeadroom
    }

    /// A packet that does not fit its tunnel: its sender is told the size that does (RFC 4301 section 8.2), or, where
    /// routers may fragment, it is marked to be fragmented before encryption. IPv6 is never told of less than 1280.
    @inline(never)
    mutating func handleTooBig(_ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>) {
        let flags = slot.pointee.flags
        // The path has become narrower while the packet was split for it.
        if flags.contains(.piece) { return drop(slot.pointee, .tooBig) }
        guard flags.contains(.dontFragment) else {
            slot.pointee.flags.insert(.exceedsTunnel)
            return
        }
        let limit = innerLimit(sa)
        let isIPv6 = AddressFamily(ofPacketAt: slot.pointee.packet) == .ipv6
        let mtu = isIPv6 ? max(limit, Worker.smallestIPv6MTU) : limit
        answer(slot.pointee, with: .packetTooBig(mtu: UInt32(truncatingIfNeeded: mtu)), reason: .tooBigSentICMP)
    }

    /// Bytes of the largest packet that an SA carries, in a frame of its own.
    @inline(__always)
    private func innerLimit(_ sa: UnsafeMutablePointer<OutboundRuntime>) -> Int {
        min(
            frameSize &- UMEM.headroom &- LinkLayer.taggedLength &- OutboundRuntime.maximumTailroom,
            Int(sa.pointee.mtu))
    }

    /// Splits an IPv4 packet whose SA is known into frames of its own, which are sealed and sent in its place. A packet of which
    /// one fragment is missing is of no use: it is split only if there are frames and room for all.
    @inline(never)
    mutating func protectInFragments(_ slot: PacketSlot) {
        guard let sa = slot.association?.assumingMemoryBound(to: OutboundRuntime.self),
            var fragmenter = IPv4Fragmenter(slot.packet, available: Int(slot.length), mtu: innerLimit(sa))
        else { return drop(slot, .tooBig) }
        let needed = fragmenter.fragmentCount
        makeRoom(for: needed)
        guard hasRoomForFragments(needed, of: slot) else { return drop(slot, .outputOverload) }
        guard pool.count >= needed else { return drop(slot, .framePoolEmpty) }
        var isFinished = false
        while !isFinished {
            let count = fillPieces(&fragmenter, of: slot)
            isFinished = count < pieces.capacity
            self.count(.fragments, UInt64(truncatingIfNeeded: count))
            protect(pieces.slots, count: count)
        }
        count(.fragmented)
        release(slot)
    }

    @inline(__always)
    private func hasRoomForFragments(_ count: Int, of slot: PacketSlot) -> Bool {
        guard let hop = slot.nextHop, hop.pointee.isResolved else { return true }
        return ports.hasRoom(for: count, towards: hop)
    }

    /// Writes the next fragments, as many as the batch of pieces holds; returns how many.
    private mutating func fillPieces(_ fragmenter: inout IPv4Fragmenter, of slot: PacketSlot) -> Int {
        pieces.count = 0
        while !pieces.isFull {
            let frame = pool.pop()
            if frame == FramePool.empty { break }
            var piece = slot
            piece.start = base + Int(truncatingIfNeeded: frame) + UMEM.headroom
            piece.packet = piece.start + LinkLayer.taggedLength
            let length = fragmenter.next(into: piece.packet)
            if length == 0 {
                pool.push(frame)
                break
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            piece.flags.insert(.forwardedPiece)
            piece.flags.remove(.exceedsTunnel)
            pieces.append(piece)
        }
        return pieces.count
    }

    /// The LAN's MTU is smaller than the packet: plain routing (RFC 1812 section 5.2.7.3, RFC 8200 section 5).
    @inline(never)
    mutating func tooBigForLAN(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        let mtu = UInt32(hop.pointee.mtu)
        if slot.flags.contains(.dontFragment) {
            return answer(slot, with: .packetTooBig(mtu: mtu), reason: .tooBigSentICMP)
        }
        fragmentPlain(slot, mtu: Int(mtu))
    }

    /// Fragments of a packet that leaves unprotected, sent at once.
    mutating func fragmentPlain(_ slot: PacketSlot, mtu: Int) {
        guard var fragmenter = IPv4Fragmenter(slot.packet, available: Int(slot.length), mtu: mtu) else {
            return drop(slot, .tooBig)
        }
        var whole = slot
        whole.flags.insert(.forwarded)
        sendPieces(of: whole) { fragmenter.next(into: $0) }
    }

    /// Sends an ESP packet that does not fit its path in fragments, which the peer's host puts together (RFC 4301 section 8.2,
    /// RFC 2473 section 7.1): inside it is IPv6 of no more than 1280 bytes, which every link has to carry (RFC 8200 section 5).
    @inline(never)
    mutating func sendFragments(_ slot: PacketSlot, sa: UnsafeMutablePointer<OutboundRuntime>) {
        let length = Int(slot.length)
        let pathMTU = Int(sa.pointee.pathMTU)
        nextFragmentIdentification &+= 1
        if AddressFamily(ofPacketAt: slot.packet) == .ipv4 {
            IPv4Fragmenter.allow(slot.packet, identification: UInt16(truncatingIfNeeded: nextFragmentIdentification))
            guard var fragmenter = IPv4Fragmenter(slot.packet, available: length, mtu: pathMTU) else {
                return drop(slot, .tooBig)
            }
            sendPieces(of: slot) { fragmenter.next(into: $0) }
        } else {
            let fragmenter = IPv6Fragmenter(
                slot.packet, available: length, mtu: max(pathMTU, Worker.smallestIPv6MTU),
                identification: nextFragmentIdentification)
            guard var fragmenter else { return drop(slot, .tooBig) }
            sendPieces(of: slot) { fragmenter.next(into: $0) }
        }
    }

    /// Fragments at most of a sealed packet that outgrows its path.
    static func outerFragments(_ sa: UnsafeMutablePointer<OutboundRuntime>) -> Int {
        let pathMTU = Int(sa.pointee.pathMTU)
        // The headers of a fragment over IPv6; data in units of eight bytes.
        let data = max((pathMTU &- 48) & ~7, 8)
        var left = smallestIPv6MTU &+ OutboundRuntime.maximumHeadroom &+ OutboundRuntime.maximumTailroom
        var fragments = 1
        while left > max(pathMTU, data) {
            left &-= data
            fragments &+= 1
        }
        return fragments
    }

    /// Sends the fragments of a packet in its place. `next` writes a fragment and returns its length; 0 after the last one.
    @inline(__always)
    private mutating func sendPieces(of slot: PacketSlot, _ next: (UnsafeMutableRawPointer) -> Int) {
        while true {
            let frame = pool.pop()
            if frame == FramePool.empty { return drop(slot, .framePoolEmpty) }
            var piece = slot
            piece.packet = base + Int(truncatingIfNeeded: frame) + UMEM.headroom + LinkLayer.taggedLength
            let length = next(piece.packet)
            if length == 0 {
                pool.push(frame)
                count(.fragmented)
                return release(slot)
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            Worker.keepLinkHeader(of: slot, for: &piece)
            count(.fragments)
            withUnsafeMutablePointer(to: &piece) { send($0) }
        }
    }

    /// Should a fragment turn out to be undeliverable, the answer to its sender needs the link header that came with the
    /// whole packet. One out of a tunnel has none, and of a sealed one nobody is told.
    private static func keepLinkHeader(of slot: PacketSlot, for piece: inout PacketSlot) {
        let length =
            slot.packet - slot.start == LinkLayer.taggedLength ? LinkLayer.taggedLength : LinkLayer.untaggedLength
        piece.start = piece.packet - length
        if slot.flags.isDisjoint(with: .withoutLinkHeader) {
            piece.start.copyMemory(from: slot.start, byteCount: length)
        }
    }

    /// The size that every link carries (RFC 8200 section 5): no sender of IPv6 can be told of less.
    static var smallestIPv6MTU: Int { 1280 }
}
