import IPsec
import Packets
import Policy
import Telemetry
import XDP

extension Worker {
    /// Sends an ESP packet that does not fit its path in fragments, which the peer's host puts together (RFC 4301 section 8.2,
    /// RFC 2473 section 7.1): inside it is IPv6 of no more than 1280 bytes, which every link has to carry (RFC 8200 section 5).
    @inline(never)
    mutating func sendFragments(_ slot: PacketSlot, sa: UnsafeMutablePointer<OutboundRuntime>) {
        let length = Int(slot.length)
        let pathMTU = Int(sa.pointee.pathMTU)
        nextFragmentIdentification &+= 1
        if slot.packet.load(as: UInt8.self) >> 4 == 4 {
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

    /// `next` writes a fragment and returns its length; 0 after the last one.
    @inline(__always)
    private mutating func sendPieces(of slot: PacketSlot, _ next: (UnsafeMutableRawPointer) -> Int) {
        while true {
            let frame = pool.pop()
            if frame == FramePool.empty { return drop(slot, .framePoolEmpty) }
            var piece = slot
            piece.packet = base + Int(truncatingIfNeeded: frame) + UMEM.headroom + Worker.largestLinkHeader
            piece.start = piece.packet - 14
            let length = next(piece.packet)
            if length == 0 {
                pool.push(frame)
                count(.fragmented)
                return release(slot)
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            count(.fragments)
            withUnsafeMutablePointer(to: &piece) { send($0) }
        }
    }

    /// What every link carries (RFC 8200 section 5): no sender of IPv6 can be told of less.
    static var smallestIPv6MTU: Int { 1280 }
}
