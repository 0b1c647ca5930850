import IPsec
import Packets
import Policy
import XDP

/// The making of fragments: of packets that are too big for their tunnel, before they are sealed, and of sealed ones that are too
/// big for their path. `Outbound` seals the former, `Routing` sends the latter.
struct Fragmentation: ~Copyable {
    /// Room for the fragments of one packet that are sealed side by side.
    private var pieces: SlotBatch
    /// The identification of the last packet that was sent in fragments.
    private var identification = UInt32.random(in: 0 ... .max)

    init(capacity: Int) { pieces = SlotBatch(capacity: capacity) }

    /// The size that every link carries (RFC 8200 section 5): no sender of IPv6 can be told of less.
    static var smallestIPv6MTU: Int { 1280 }

    // MARK: Before encryption

    /// The fragments that `fill` has written.
    var slots: UnsafeMutablePointer<PacketSlot> { pieces.slots }
    /// The largest number of fragments that `fill` writes at a time.
    var capacity: Int { pieces.capacity }

    /// Whether a packet that does not fit its tunnel goes all the same, the sealed one in fragments: IPv6 that no sender can
    /// make smaller (RFC 8200 section 5).
    @inline(never)
    static func mayOutgrowPath(
        _ slot: UnsafeMutablePointer<PacketSlot>, _ context: inout WorkerContext
    ) -> Bool {
        let packet = slot.pointee.packet
        let length = Int(slot.pointee.length)
        return AddressFamily(ofPacketAt: packet) == .ipv6 && length <= smallestIPv6MTU
            && length &+ OutboundRuntime.maximumTailroom <= context.roomBehind(packet)
            && context.roomBefore(packet) >= OutboundRuntime.maximumHeadroom
    }

    /// Bytes of the largest packet that an SA carries, in a frame of its own.
    @inline(__always)
    static func innerLimit(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, _ context: borrowing WorkerContext
    ) -> Int {
        min(
            context.frameSize &- UMEM.headroom &- LinkLayer.taggedLength &- OutboundRuntime.maximumTailroom,
            Int(sa.pointee.mtu))
    }

    /// Writes the next fragments to `slots`, as many as there is room for at a time; returns how many.
    mutating func fill(
        _ fragmenter: inout IPv4Fragmenter, of slot: PacketSlot, _ context: inout WorkerContext
    ) -> Int {
        pieces.count = 0
        while !pieces.isFull {
            let frame = context.pool.pop()
            if frame == FramePool.empty { break }
            var piece = slot
            piece.start = context.base + Int(truncatingIfNeeded: frame) + UMEM.headroom
            piece.packet = piece.start + LinkLayer.taggedLength
            let length = fragmenter.next(into: piece.packet)
            if length == 0 {
                context.pool.push(frame)
                break
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            piece.flags.insert(.forwardedPiece)
            piece.flags.remove(.exceedsTunnel)
            pieces.append(piece)
        }
        return pieces.count
    }

    // MARK: Sealed

    /// The identification of one more packet that is sent in fragments.
    mutating func nextIdentification() -> UInt32 {
        identification &+= 1
        return identification
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

    /// Should a fragment turn out to be undeliverable, the answer to its sender needs the link header that came with the
    /// whole packet. One out of a tunnel has none, and of a sealed one nobody is told.
    static func keepLinkHeader(of slot: PacketSlot, for piece: inout PacketSlot) {
        let length =
            slot.packet - slot.start == LinkLayer.taggedLength ? LinkLayer.taggedLength : LinkLayer.untaggedLength
        piece.start = piece.packet - length
        if slot.flags.isDisjoint(with: .withoutLinkHeader) {
            piece.start.copyMemory(from: slot.start, byteCount: length)
        }
    }
}
