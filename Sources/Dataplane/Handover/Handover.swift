import Telemetry
import XDP

extension Worker {
    /// Gives a packet to another participant of the mesh; its frame is paid back later.
    mutating func handOver(_ slot: PacketSlot, to target: Int, kind: HandoverEntry.Kind) {
        let isPlain = kind == .toHost
        let start = isPlain ? slot.packet : slot.start
        // Outbound and inbound packets start at their Ethernet header, and are parsed again where they arrive.
        let skipped = slot.packet - slot.start
        let length = isPlain ? Int(slot.length) : Int(slot.length) &+ skipped
        var entry = HandoverEntry(
            address: address(of: start), length: UInt32(truncatingIfNeeded: length), port: slot.port, kind: kind)
        entry.flags = UInt8(truncatingIfNeeded: slot.flags.intersection(.ofTheJourney).rawValue)
        if handover.send(entry, to: target, most: lendable) {
            count(kind == .toHost ? .toHost : .handedOver)
        } else {
            drop(slot, .handoverRingFull)
        }
    }

    /// How many frames one participant may have and not have paid back. While frames are plenty, any number. When they run
    /// short, no more than are left: whoever cannot keep up, and so pays back late, does not take the frames that the worker's
    /// own packets need, and those for others.
    @inline(__always)
    private var lendable: Int {
        pool.count >= lendingReserve ? .max : max(pool.count, 2 &* configuration.batchSize)
    }

    /// Takes what the other participants handed over, up to a batch from each. Returns how many packets.
    mutating func receiveHandedOver() -> Int {
        var taken = 0
        var other = 0
        while other < handover.participants {
            taken &+= receiveHandedOver(from: other)
            other &+= 1
        }
        return taken
    }

    private mutating func receiveHandedOver(from other: Int) -> Int {
        let (first, ready) = handover.inboxes[other].peek(upTo: configuration.batchSize)
        if ready == 0 { return 0 }
        var packets = 0
        var offset = 0
        while offset < ready {
            if outbound.isFull { processOutbound() }
            if inbound.isFull { processInbound() }
            let entry = handover.inboxes[other].read(at: first &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
            if entry.kind == .freeFrame {
                pool.push(entry.address)
                handover.wasPaidBack(by: other)
                continue
            }
            packets &+= 1
            handover.owed[other] &+= 1
            let start = base + Int(truncatingIfNeeded: entry.address)
            var slot = PacketSlot(
                start: start, length: entry.length, port: entry.port,
                flags: PacketSlot.Flags(rawValue: UInt16(entry.flags)))
            if entry.kind == .inbound {
                if entry.port == PacketSlot.noPort { count(.reassembled) }
                inbound.append(slot)
                continue
            }
            if entry.kind == .fromHost {
                count(.fromHost)
                slot.port = PacketSlot.noPort
                slot.flags = .local
            }
            outbound.append(slot)
        }
        handover.inboxes[other].release(ready)
        count(.takenOver, UInt64(truncatingIfNeeded: packets))
        return ready
    }
}
