import IPsec
import Packets
import Policy
import Telemetry
import XDP

/// A small store of packets that wait, in the order in which they came; `Subject` says for what. A worker has two: one for
/// neighbours that the kernel has not found yet, one for SAs that are being negotiated.
struct WaitingPackets<Subject: BitwiseCopyable>: ~Copyable {
    struct Entry: BitwiseCopyable {
        var slot: PacketSlot
        /// Nanoseconds.
        var since: UInt64
        var subject: Subject
    }

    private let entries: UnsafeMutablePointer<Entry>
    let capacity: Int
    private(set) var count = 0

    /// Holds one at least.
    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        entries = .allocate(capacity: self.capacity)
    }

    deinit { entries.deallocate() }

    var isFull: Bool { count >= capacity }

    subscript(index: Int) -> Entry { entries[index] }

    /// Puts a packet at the end; the caller has seen that there is room.
    mutating func append(_ entry: Entry) {
        (entries + count).initialize(to: entry)
        count &+= 1
    }

    /// Takes one out; those behind it move up.
    mutating func remove(at index: Int) -> Entry {
        let entry = entries[index]
        count &-= 1
        (entries + index).update(from: entries + index + 1, count: count &- index)
        return entry
    }

    /// Empties the store, for a walk over the first entries, as many as it returns. Each may be looked at, and then put back at
    /// the end before the next one is.
    mutating func beginWalk() -> Int {
        defer { count = 0 }
        return count
    }
}

/// The key of a packet that waits for a neighbour.
struct WantedNeighbour: BitwiseCopyable {
    /// `NeighbourLimiter.key`.
    var neighbour: UInt64
    /// The requester, as in `WorkerEvent`.
    var requester: UInt32
    /// Out of a tunnel and towards a LAN: no outbound policy was asked.
    var isForLAN: Bool
}

/// A few packets that wait until the kernel has found a neighbour's link-layer address (as RFC 1122 section 2.3.2.2 and
/// RFC 4861 section 7.2.2 ask for: at least one per neighbour, the latest).
///
/// No neighbour has more than its share. When all places are taken, the oldest packet goes of whoever brought most of them:
/// one dead host does not keep the packets of others out, nor does one tunnel whose hosts scan a network.
struct NeighbourQueue: ~Copyable {
    private var packets: WaitingPackets<WantedNeighbour>
    /// The number of packets of each requester, by the place that it hashes to.
    private let loads: UnsafeMutablePointer<Int32>

    private static var loadCount: Int { 64 }

    init(capacity: Int) {
        packets = WaitingPackets(capacity: capacity)
        loads = .allocate(capacity: Self.loadCount)
        loads.initialize(repeating: 0, count: Self.loadCount)
    }

    deinit { loads.deallocate() }

    var count: Int { packets.count }
    var capacity: Int { packets.capacity }

    /// Packets of one neighbour at most.
    var share: Int { max(capacity / 4, 1) }

    subscript(index: Int) -> WaitingPackets<WantedNeighbour>.Entry { packets[index] }

    /// Puts a packet at the end. Returns the one that has to go for it, if any.
    mutating func append(_ entry: WaitingPackets<WantedNeighbour>.Entry) -> PacketSlot? {
        let victim = victim(for: entry.subject.neighbour).map { remove(at: $0) }
        keep(entry)
        return victim
    }

    /// Begins a walk (`WaitingPackets.beginWalk`) that `keep`s those that go on waiting.
    mutating func beginWalk() -> Int {
        loads.update(repeating: 0, count: Self.loadCount)
        return packets.beginWalk()
    }

    /// There is room: the caller has taken an entry out, or has not filled the queue.
    mutating func keep(_ entry: WaitingPackets<WantedNeighbour>.Entry) {
        packets.append(entry)
        loads[Self.place(of: entry.subject.requester)] &+= 1
    }

    /// The entry that has to go before one of this neighbour can come.
    private func victim(for neighbour: UInt64) -> Int? {
        var oldest = -1
        var waiting = 0
        var index = 0
        while index < count {
            if packets[index].subject.neighbour == neighbour {
                if waiting == 0 { oldest = index }
                waiting &+= 1
            }
            index &+= 1
        }
        if waiting >= share { return oldest }
        return count < capacity ? nil : oldestOfTheGreediest()
    }

    private func oldestOfTheGreediest() -> Int {
        var found = 0
        var most: Int32 = 0
        var index = 0
        while index < count {
            let load = loads[Self.place(of: packets[index].subject.requester)]
            if load > most {
                most = load
                found = index
            }
            index &+= 1
        }
        return found
    }

    private mutating func remove(at index: Int) -> PacketSlot {
        let entry = packets.remove(at: index)
        loads[Self.place(of: entry.subject.requester)] &-= 1
        return entry.slot
    }

    private static func place(of requester: UInt32) -> Int {
        Int(truncatingIfNeeded: (requester &* 0x9E37_79B1) &>> 26) & (loadCount &- 1)
    }
}

// MARK: - A new snapshot

extension Worker {
    /// Pointers of the old snapshot must not be used any more; neighbours and SAs may be known now.
    @inline(__always)
    mutating func noticeSnapshot() {
        let current = tables.pointee.generation
        if current == snapshotGeneration { return }
        snapshotGeneration = current
        generation &+= 1
        if generation == 0 { forgetFlows() }
        if waiting.count != 0 { resendWaiting() }
        if early.count != 0 { openEarly() }
    }

    /// Every number was used: an entry that nobody has touched since would look like one of today, and its SA may be gone.
    @inline(never)
    private mutating func forgetFlows() {
        flows.clear()
        innerFlows.clear()
        lastInner = nil
        generation = 1
    }
}

// MARK: - For a neighbour

extension Worker {
    /// No resolved next hop: the packet waits, or ends here.
    @inline(never)
    mutating func sendLater(_ slot: PacketSlot) {
        guard let hop = slot.nextHop else { return drop(slot, .noRoute) }
        guard hop.pointee.state == .unresolved else { return refuse(slot, hop: hop) }
        let requester = Worker.requester(of: slot)
        let wanted = WantedNeighbour(
            neighbour: askForNeighbour(hop, slot: slot, requester: requester), requester: requester,
            isForLAN: isForLAN(slot, hop: hop))
        let evicted = waiting.append(WaitingPackets.Entry(slot: slot, since: now, subject: wanted))
        if let evicted { drop(evicted, .neighbourQueueFull) }
    }

    /// A next hop that will not become one: to the host, or away, with word to the sender where the packet is his.
    private mutating func refuse(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        let reason = hop.pointee.verdict.reason ?? .noRoute
        let message: ICMPError.Message
        switch hop.pointee.state {
        case .local: return handOver(slot, to: handover.host, kind: .toHost)
        case .failed:
            // It may have come up since: a neighbour is asked for again as long as there is traffic for it.
            _ = askForNeighbour(hop, slot: slot, requester: Worker.requester(of: slot))
            message = .hostUnreachable
        case .unreachable: message = .hostUnreachable
        case .noRoute: message = .networkUnreachable
        case .prohibited: message = .prohibited
        case .resolved, .unresolved, .blackhole, .notAPort: return drop(slot, reason)
        }
        if slot.flags.contains(.sealed) { return drop(slot, reason) }
        answer(slot, with: message, reason: reason)
    }

    /// The requester of a packet: ourselves towards a peer, the tunnel that it came out of, or the port of arrival.
    private static func requester(of slot: PacketSlot) -> UInt32 {
        if slot.flags.contains(.sealed) { return WorkerEvent.ownPackets }
        guard slot.flags.contains(.decrypted), let sa = slot.association else { return UInt32(slot.port) }
        return sa.assumingMemoryBound(to: InboundRuntime.self).pointee.spi.value
    }

    /// Asks the control thread for the neighbour that a packet wants. Returns the neighbour's key.
    private mutating func askForNeighbour(
        _ hop: UnsafePointer<NextHop>, slot: PacketSlot, requester: UInt32
    ) -> UInt64 {
        let address = hop.pointee.isOnLink ? Worker.destination(of: slot.packet) : hop.pointee.address
        // Tunnels do not share one sender's part.
        let sender = slot.flags.contains(.sealed) ? address : Worker.source(of: slot.packet)
        return events.neighbourWanted(
            address, interfaceIndex: hop.pointee.interfaceIndex, requester: requester, sender: sender, now: now)
    }

    /// Looks up the next hop of every waiting packet again, and lets go what need not wait any more.
    @inline(never)
    private mutating func resendWaiting() {
        let count = waiting.beginWalk()
        var index = 0
        while index < count {
            var entry = waiting[index]
            index &+= 1
            let hop = tables.pointee.route(to: Worker.destination(of: entry.slot.packet))
            entry.slot.nextHop = hop
            // The SA may be gone.
            entry.slot.association = nil
            if hop.pointee.state == .unresolved, !entry.subject.isForLAN || leavesByLAN(hop) {
                waiting.keep(entry)
            } else {
                resume(entry.slot, hop: hop, isForLAN: entry.subject.isForLAN)
            }
        }
    }

    /// Ends the wait of packets whose neighbour did not answer in time: the sender hears of it, as of one that the kernel knows
    /// not to answer (RFC 1812 section 3.3.2, RFC 4861 section 7.2.2).
    @inline(never)
    mutating func expireWaiting() {
        let count = waiting.beginWalk()
        var index = 0
        while index < count {
            let entry = waiting[index]
            index &+= 1
            if now &- entry.since <= configuration.neighbourWaitInNanoseconds {
                waiting.keep(entry)
            } else if entry.slot.flags.contains(.sealed) {
                drop(entry.slot, .neighbourUnresolved)
            } else {
                answer(entry.slot, with: .hostUnreachable, reason: .neighbourUnresolved)
            }
        }
    }

    /// Whether the packet came out of a tunnel and leaves by a LAN: then no outbound policy was asked.
    @inline(__always)
    func isForLAN(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) -> Bool {
        slot.flags.contains(.decrypted) && !slot.flags.contains(.sealed) && leavesByLAN(hop)
    }

    /// Sends a packet that has waited, to its next hop of today.
    @inline(never)
    mutating func resume(_ slot: PacketSlot, hop: UnsafePointer<NextHop>, isForLAN: Bool) {
        if slot.flags.contains(.sealed) { return resumeSealed(slot, hop: hop) }
        if isForLAN {
            guard leavesByLAN(hop) else { return redirect(slot, hop: hop) }
            guard slot.length <= UInt32(hop.pointee.mtu) else { return tooBigForLAN(slot, hop: hop) }
            return sendNow(slot)
        }
        var summary = PacketSummary()
        let length = Int(slot.length)
        guard PacketSummary.parse(slot.packet, available: length, into: &summary) == .none,
            tables.pointee.outbound(summary, worker: index).action == .bypass
        else { return decideAgain(slot) }
        guard slot.length <= UInt32(hop.pointee.mtu) else {
            guard !slot.flags.contains(.dontFragment) else {
                return answer(
                    slot, with: .packetTooBig(mtu: UInt32(hop.pointee.mtu)), reason: .tooBigSentICMP)
            }
            return fragmentPlain(slot, mtu: Int(hop.pointee.mtu))
        }
        sendNow(slot)
    }

    private mutating func sendNow(_ slot: PacketSlot) {
        var slot = slot
        withUnsafeMutablePointer(to: &slot) { send($0) }
    }

    /// An ESP packet goes wherever its peer is now. What does not fit there any more ends here: nobody can be told.
    private mutating func resumeSealed(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        guard slot.length <= UInt32(hop.pointee.mtu) else { return drop(slot, .tooBig) }
        sendNow(slot)
    }

    /// The LAN's route has gone. For the host it is not: the policy that let it pass was one for forwarded packets.
    private mutating func redirect(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        if hop.pointee.state == .local { return drop(slot, .localDeliveryUnavailable) }
        var slot = slot
        slot.flags.insert(.forwarded)
        divert(slot)
    }

    /// No policy lets it pass in clear any more: as a packet that has just come.
    private mutating func decideAgain(_ slot: PacketSlot) {
        var next = slot
        LinkLayer.writeType(before: slot.packet)
        next.length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        next.association = nil
        next.nextHop = nil
        next.flags = slot.flags.intersection(.ofTheJourney)
        processLater(next)
    }
}

// MARK: - For an SA

extension Worker {
    /// No SA has the packet's SPI: it waits if one is to come, as the peer may send by it before the message is here that lets us
    /// make it; or it ends here.
    @inline(never)
    mutating func keepEarly(_ slot: PacketSlot) {
        let spi = slot.esp.loadUnaligned(as: UInt32.self)
        guard reader.expects(spi: SPI(networkOrder: spi)) else {
            let source = ESPInbound.sourceAddress(slot.packet)
            if reader.watches(source) { events.unknownSPI(SPI(networkOrder: spi), from: source, now: now) }
            return drop(slot, .unknownSPI)
        }
        guard !early.isFull else { return drop(slot, .unknownSPI) }
        // Nothing in the frame was changed yet: it is parsed again, as one that is handed over.
        let length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        let whole = PacketSlot(
            start: slot.start, length: length, port: slot.port, flags: slot.flags.intersection(.ofTheJourney))
        early.append(WaitingPackets.Entry(slot: whole, since: now, subject: spi))
    }

    /// Sends packets that have their SA now on their way, as if they had just come.
    @inline(never)
    private mutating func openEarly() {
        let count = early.beginWalk()
        var index = 0
        while index < count {
            let entry = early[index]
            index &+= 1
            if tables.pointee.inbound(spi: entry.subject) == nil {
                early.append(entry)
            } else {
                inbound.append(entry.slot)
            }
            if inbound.isFull || index == count { processInbound() }
        }
    }

    /// Ends the wait of packets whose SA did not come in time, or will not come.
    @inline(never)
    mutating func expireEarly() {
        let count = early.beginWalk()
        var index = 0
        while index < count {
            let entry = early[index]
            index &+= 1
            if now &- entry.since > configuration.earlyWaitInNanoseconds
                || !reader.expects(spi: SPI(networkOrder: entry.subject))
            {
                drop(entry.slot, .unknownSPI)
            } else {
                early.append(entry)
            }
        }
    }
}
