import Packets
import Policy
import XDP

extension Worker {
    /// Takes back the frames of sent packets, and gives the port free ones for packets to come.
    @inline(__always)
    mutating func reclaimAndRefill(_ number: Int) {
        reclaim(number)
        // By a pointer of its own: under ThreadSanitizer the compiler takes `ports[port]` for a use of the whole worker.
        let port = ports + number
        // Twice a batch: frames must go in faster than packets come out, or a burst would leave a debt.
        _ = pool.refill(&port.pointee.rings.fill, upTo: 2 &* configuration.batchSize)
        if port.pointee.rings.fill.needsWakeup { wakeReceiver(number) }
    }

    /// Takes back the frames of all sent packets. One round sends what several queues and workers brought, so any smaller
    /// number would sooner or later leave the kernel no place for more, and it would stop sending.
    @inline(__always)
    mutating func reclaim(_ port: Int) {
        let port = ports + port
        _ = pool.reclaim(&port.pointee.rings.completion, upTo: port.pointee.rings.completion.capacity)
    }

    /// A driver that had run out of frames looks at the fill ring again only when asked, however busy other ports are.
    @inline(never)
    private mutating func wakeReceiver(_ number: Int) {
        let port = ports + number
        guard port.pointee.rings.fileDescriptor >= 0, port.pointee.rings.fill.pending > 0 else { return }
        count(.receiveWakeUps)
        port.pointee.rings.wakeReceive()
    }

    /// Takes up to a batch from a port and sorts it by direction. Returns how many.
    @inline(__always)
    mutating func receive(_ port: Int) -> Int {
        let (first, count) = ports[port].rings.receive.peek(upTo: configuration.batchSize)
        if count == 0 { return 0 }
        let roles = ports[port].roles
        let number = ports[port].portIndex
        var offset = 0
        while offset < count {
            let descriptor = ports[port].rings.receive.read(at: first &+ UInt32(truncatingIfNeeded: offset))
            let start = base + Int(truncatingIfNeeded: descriptor.address)
            let slot = PacketSlot(start: start, length: descriptor.length, port: number)
            if roles == .lan {
                outbound.append(slot)
            } else if roles == .wan || Worker.looksProtected(start, length: descriptor.length, tables: tables) {
                inbound.append(slot)
            } else {
                outbound.append(slot)
            }
            offset &+= 1
        }
        ports[port].rings.receive.release(count)
        countBatch(count)
        return count
    }

    @inline(__always)
    private func countBatch(_ received: Int) {
        count(.batches)
        count(.received, UInt64(truncatingIfNeeded: received))
    }

    /// On a port that is LAN and WAN at once: whether the packet is ESP, AH or UDP-encapsulated ESP for the gateway
    /// itself, as the steering program judges it. What a LAN host sends to others through the tunnel may be ESP too.
    ///
    /// Takes neither the slot nor the worker. A slot that a call may look at has to lie in memory as a whole, and copying it
    /// from there waits until its fields are stored, 12 cycles a packet on every port; of the worker the compiler makes a copy.
    @inline(never)
    private static func looksProtected(
        _ start: UnsafeMutableRawPointer, length: UInt32, tables: UnsafePointer<SnapshotTables>
    ) -> Bool {
        var link = LinkLayer()
        guard link.parse(start, available: Int(length)) else { return false }
        let header = start + link.headerLength
        let available = Int(length) &- link.headerLength
        let number: UInt8
        let upper: Int
        switch link.family {
        case .ipv4:
            guard available >= 20 else { return false }
            number = header.load(fromByteOffset: 9, as: UInt8.self)
            upper = Int(header.load(as: UInt8.self) & 0xF) &* 4
        case .ipv6:
            guard available >= 40 else { return false }
            let length = 40 &+ Int(UInt16(bigEndian: header.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
            var walk = IPv6ExtensionWalk()
            guard IPv6ExtensionWalk.walk(header, totalLength: min(length, available), into: &walk) == .none else {
                return false
            }
            number = walk.upperProtocol
            upper = Int(walk.offset)
        }
        guard tables.pointee.route(to: Worker.destination(of: header)).pointee.state == .local else { return false }
        if number == IPProtocol.esp || number == IPProtocol.ah { return true }
        guard number == IPProtocol.udp, available >= upper &+ 12 else { return false }
        return header.loadUnaligned(fromByteOffset: upper &+ 2, as: UInt16.self) == UInt16(4500).bigEndian
    }
}
