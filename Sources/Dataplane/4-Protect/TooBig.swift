import IPsec
import Packets
import Telemetry
import XDP

extension Worker {
    /// Whether a packet that does not fit its tunnel goes all the same, the sealed one in fragments: IPv6 that no sender can
    /// make smaller (RFC 8200 section 5).
    ///
    /// `mutating`, like all methods here that are not inlined: for a call of another one the compiler copies the worker.
    @inline(never)
    mutating func mayOutgrowPath(_ slot: UnsafeMutablePointer<PacketSlot>) -> Bool {
        let packet = slot.pointee.packet
        let length = Int(slot.pointee.length)
        return packet.load(as: UInt8.self) >> 4 == 6 && length <= Worker.smallestIPv6MTU
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
        let isIPv6 = slot.pointee.packet.load(as: UInt8.self) >> 4 == 6
        let mtu = isIPv6 ? max(limit, Worker.smallestIPv6MTU) : limit
        answer(slot.pointee, with: .packetTooBig(mtu: UInt32(truncatingIfNeeded: mtu)), reason: .tooBigSentICMP)
    }

    static var largestLinkHeader: Int { 18 }

    /// Bytes of the largest packet that an SA carries, in a frame of its own.
    @inline(__always)
    private func innerLimit(_ sa: UnsafeMutablePointer<OutboundRuntime>) -> Int {
        min(
            frameSize &- UMEM.headroom &- Worker.largestLinkHeader &- OutboundRuntime.maximumTailroom,
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
        let port = portNumber(of: hop)
        return port < 0 || port >= portCount || ports[port].hasRoom(for: count)
    }

    /// Writes the next fragments, as many as the batch of pieces holds; returns how many.
    private mutating func fillPieces(_ fragmenter: inout IPv4Fragmenter, of slot: PacketSlot) -> Int {
        pieces.count = 0
        while !pieces.isFull {
            let frame = pool.pop()
            if frame == FramePool.empty { break }
            var piece = slot
            piece.start = base + Int(truncatingIfNeeded: frame) + UMEM.headroom
            piece.packet = piece.start + Worker.largestLinkHeader
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
}
