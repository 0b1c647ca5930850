import IPsec
import Policy
import Telemetry

/// A few ESP packets that came before their SA: the peer sends by it already, and the message that lets us make it is still
/// on its way. They are opened when it is there, and not looked into before.
struct EarlyPackets: ~Copyable {
    struct Entry {
        /// As it arrived.
        var slot: PacketSlot
        /// Network order.
        var spi: UInt32
        var since: UInt64
    }

    let entries: UnsafeMutablePointer<Entry>
    let capacity: Int
    var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        entries = .allocate(capacity: self.capacity)
    }

    deinit { entries.deallocate() }
}

extension Worker {
    /// No SA has the packet's SPI: it waits if one is to come, or ends here.
    @inline(never)
    mutating func keepEarly(_ slot: PacketSlot) {
        let spi = slot.esp.loadUnaligned(as: UInt32.self)
        guard reader.expects(spi: spi) else {
            announceUnknown(slot, spi: spi)
            return drop(slot, .unknownSPI)
        }
        guard early.count < early.capacity else { return drop(slot, .unknownSPI) }
        // Nothing in the frame was changed yet: it is parsed again, as one that is handed over.
        let length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        let whole = PacketSlot(
            start: slot.start, length: length, port: slot.port, flags: slot.flags.intersection(.ofTheJourney))
        (early.entries + early.count).initialize(to: EarlyPackets.Entry(slot: whole, spi: spi, since: now))
        early.count &+= 1
    }

    /// Tells the control thread that a watched peer goes on with an SA that we do not have. Told again while packets come, but
    /// not for each of them.
    private mutating func announceUnknown(_ slot: PacketSlot, spi: UInt32) {
        let source = ESPInbound.sourceAddress(slot.packet)
        guard reader.watches(source) else { return }
        let bits = source.high ^ source.low
        let subject = UInt32(truncatingIfNeeded: bits) ^ UInt32(truncatingIfNeeded: bits &>> 32)
        guard eventLimiter.isDue(.unknownSPI, number: subject, now: now),
            events.push(WorkerEvent(.unknownSPI, number: UInt32(bigEndian: spi), address: source))
        else { return }
        eventLimiter.told(.unknownSPI, number: subject, now: now)
    }

    /// A new snapshot: what has its SA now goes on its way, as if it had just come.
    @inline(never)
    mutating func retryEarly() {
        let count = early.count
        early.count = 0
        var index = 0
        while index < count {
            let entry = early.entries[index]
            index &+= 1
            if tables.pointee.inbound(spi: entry.spi) == nil {
                early.entries[early.count] = entry
                early.count &+= 1
            } else {
                inbound.append(entry.slot)
            }
            if inbound.isFull || index == count { processInbound() }
        }
    }

    /// Ends the wait of packets whose SA did not come in time, or will not come.
    @inline(__always)
    mutating func expireEarly() {
        if early.count == 0 { return }
        dropLate()
    }

    @inline(never)
    private mutating func dropLate() {
        var kept = 0
        var index = 0
        while index < early.count {
            let entry = early.entries[index]
            index &+= 1
            if now &- entry.since > configuration.earlyWaitInNanoseconds || !reader.expects(spi: entry.spi) {
                drop(entry.slot, .unknownSPI)
            } else {
                early.entries[kept] = entry
                kept &+= 1
            }
        }
        early.count = kept
    }
}
