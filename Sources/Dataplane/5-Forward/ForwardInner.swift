import IPsec
import Packets
import Policy
import Telemetry
import XDP

extension Worker {
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
        let port = portNumber(of: hop)
        return port >= 0 && ports[port].roles == .lan
    }

    /// Not to a LAN: to the host itself, or to where the outbound policies are asked (a hub's traffic from one site to
    /// another, RFC 4301 section 5.2 step 5). The route decides only if no policy wants the packet.
    @inline(never)
    mutating func divert(_ slot: PacketSlot) {
        if let hop = slot.nextHop, hop.pointee.state == .local {
            return handOver(slot, to: handover.host, kind: .toHost)
        }
        var next = slot
        next.association = nil
        next.nextHop = nil
        next.port = PacketSlot.noPort
        next.start = slot.packet - 14
        let type = slot.packet.load(as: UInt8.self) >> 4 == 4 ? LinkLayer.ipv4 : LinkLayer.ipv6
        slot.packet.storeBytes(of: type, toByteOffset: -2, as: UInt16.self)
        next.length = slot.length &+ 14
        next.flags = slot.flags.intersection(.ofDivertedPackets)
        processLater(next)
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

    /// Fragments of a packet that leaves unprotected, sent at once.
    mutating func fragmentPlain(_ slot: PacketSlot, mtu: Int) {
        guard var fragmenter = IPv4Fragmenter(slot.packet, available: Int(slot.length), mtu: mtu) else {
            return drop(slot, .tooBig)
        }
        while true {
            let frame = pool.pop()
            if frame == FramePool.empty { return drop(slot, .framePoolEmpty) }
            var piece = slot
            piece.packet = base + Int(truncatingIfNeeded: frame) + UMEM.headroom + Worker.largestLinkHeader
            let length = fragmenter.next(into: piece.packet)
            if length == 0 {
                pool.push(frame)
                count(.fragmented)
                return release(slot)
            }
            piece.length = UInt32(truncatingIfNeeded: length)
            piece.flags.insert(.forwarded)
            keepLinkHeader(of: slot, for: &piece)
            count(.fragments)
            withUnsafeMutablePointer(to: &piece) { send($0) }
        }
    }

    /// Should a fragment turn out to be undeliverable, the answer to its sender needs the link header that came with the
    /// whole packet. One out of a tunnel has none.
    private func keepLinkHeader(of slot: PacketSlot, for piece: inout PacketSlot) {
        let length = slot.packet - slot.start == Worker.largestLinkHeader ? Worker.largestLinkHeader : 14
        piece.start = piece.packet - length
        if slot.flags.isDisjoint(with: .withoutLinkHeader) {
            piece.start.copyMemory(from: slot.start, byteCount: length)
        }
    }

    /// The destination of a packet whose IP header was checked.
    @inline(__always)
    static func destination(of packet: UnsafeRawPointer) -> IPAddress {
        packet.load(as: UInt8.self) >> 4 == 4
            ? IPAddress(loading: packet + 16, family: .ipv4) : IPAddress(loading: packet + 24, family: .ipv6)
    }
}
