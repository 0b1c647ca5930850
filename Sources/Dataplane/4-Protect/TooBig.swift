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
            && length &+ OutboundSA.maximumTailroom <= roomBehind(packet)
            && roomBefore(packet) >= OutboundSA.maximumHeadroom
    }

    /// A packet that does not fit its tunnel: its sender is told the size that does (RFC 4301 section 8.2), or, where
    /// routers may fragment, it is fragmented before encryption. IPv6 is never told of less than 1280.
    @inline(never)
    mutating func handleTooBig(_ slot: PacketSlot, sa: UnsafeMutablePointer<OutboundSA>) {
        let frameLimit = min(
            frameSize &- UMEM.headroom &- Worker.largestLinkHeader &- OutboundSA.maximumTailroom,
            Int(sa.pointee.mtu))
        if slot.flags.contains(.dontFragment) {
            let isIPv6 = slot.packet.load(as: UInt8.self) >> 4 == 6
            let mtu = isIPv6 ? max(frameLimit, Worker.smallestIPv6MTU) : frameLimit
            answer(slot, with: .packetTooBig(mtu: UInt32(truncatingIfNeeded: mtu)), reason: .tooBigSentICMP)
        } else {
            fragment(slot, mtu: frameLimit)
        }
    }

    static var largestLinkHeader: Int { 18 }

    /// Splits an IPv4 packet into frames of its own; the fragments go on with the SA that was looked up.
    private mutating func fragment(_ slot: PacketSlot, mtu: Int) {
        guard var fragmenter = IPv4Fragmenter(slot.packet, available: Int(slot.length), mtu: mtu) else {
            return drop(slot, .tooBig)
        }
        let first = begotten.count
        while true {
            let frame = pool.pop()
            guard frame != FramePool.empty, !begotten.isFull else {
                if frame != FramePool.empty { pool.push(frame) }
                // A packet of which one fragment is missing is of no use: take back what was made.
                while begotten.count > first {
                    begotten.count &-= 1
                    release(begotten.slots[begotten.count])
                }
                return drop(slot, frame == FramePool.empty ? .framePoolEmpty : .roundOverflow)
            }
            let start = base + Int(truncatingIfNeeded: frame) + UMEM.headroom
            let packet = start + Worker.largestLinkHeader
            let length = fragmenter.next(into: packet)
            if length == 0 {
                pool.push(frame)
                break
            }
            var piece = slot
            piece.start = start
            piece.packet = packet
            piece.length = UInt32(truncatingIfNeeded: length)
            piece.flags.insert(.forwarded)
            begotten.append(piece)
        }
        count(.fragments, UInt64(truncatingIfNeeded: begotten.count &- first))
        count(.fragmented)
        release(slot)
    }
}
