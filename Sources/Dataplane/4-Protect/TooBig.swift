import IPsec
import Packets
import Telemetry
import XDP

extension Worker {
    /// A packet that does not fit its tunnel: its sender is told the size that does (RFC 4301 section 8.2), or, where
    /// routers may fragment, it is fragmented before encryption.
    @inline(never)
    mutating func handleTooBig(_ slot: PacketSlot, sa: UnsafeMutablePointer<OutboundSA>) {
        let frameLimit = min(
            frameSize &- UMEM.headroom &- Worker.largestLinkHeader &- OutboundSA.maximumTailroom,
            Int(sa.pointee.mtu))
        if slot.flags.contains(.dontFragment) {
            answer(
                slot, with: .packetTooBig(mtu: UInt32(truncatingIfNeeded: frameLimit)), reason: .tooBigSentICMP)
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
