import Packets
import Policy
import Telemetry
import XDP

/// A few packets that wait until the kernel has found a neighbour's link-layer address (as RFC 1122 section 2.3.2.2 and
/// RFC 4861 section 7.2.2 ask for: at least one per neighbour, the latest).
struct NeighbourQueue: ~Copyable {
    struct Entry {
        var slot: PacketSlot
        var since: UInt64
        /// Out of a tunnel and towards a LAN: no outbound policy was asked.
        var isForLAN: Bool
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
    /// No resolved next hop: waits, or ends here.
    @inline(never)
    mutating func sendLater(_ slot: PacketSlot) {
        guard let hop = slot.nextHop else { return drop(slot, .noRoute) }
        guard hop.pointee.state == .unresolved else { return refuse(slot, hop: hop) }
        askForNeighbour(hop, destination: Worker.destination(of: slot.packet))
        guard waiting.count < waiting.capacity else { return drop(slot, .neighbourQueueFull) }
        (waiting.entries + waiting.count).initialize(
            to: NeighbourQueue.Entry(slot: slot, since: now, isForLAN: isForLAN(slot, hop: hop)))
        waiting.count &+= 1
    }

    /// A next hop that will not become one: to the host, or away, with word to the sender where the packet is his.
    private mutating func refuse(_ slot: PacketSlot, hop: UnsafePointer<NextHop>) {
        let reason = hop.pointee.verdict.reason ?? .noRoute
        let message: ICMPError.Message
        switch hop.pointee.state {
        case .local: return handOver(slot, to: handover.host, kind: .toHost)
        case .failed:
            // It may have come up since: a neighbour is asked for again as long as there is traffic for it.
            askForNeighbour(hop, destination: Worker.destination(of: slot.packet))
            message = .hostUnreachable
        case .unreachable: message = .hostUnreachable
        case .noRoute: message = .networkUnreachable
        case .prohibited: message = .prohibited
        case .resolved, .unresolved, .blackhole, .notAPort: return drop(slot, reason)
        }
        if slot.flags.contains(.sealed) { return drop(slot, reason) }
        answer(slot, with: message, reason: reason)
    }

    /// When the ring of events is full, the next packet asks.
    private mutating func askForNeighbour(_ hop: UnsafePointer<NextHop>, destination: IPAddress) {
        let neighbour = hop.pointee.isOnLink ? destination : hop.pointee.address
        _ = events.push(WorkerEvent(.neighbourWanted, number: hop.pointee.interfaceIndex, address: neighbour))
    }

    /// A new snapshot: pointers of the old one must not be used any more, and neighbours may be known now.
    @inline(__always)
    mutating func noticeSnapshot() {
        let current = tables.pointee.generation
        if current == snapshotGeneration { return }
        snapshotGeneration = current
        generation &+= 1
        if generation == 0 { forgetFlows() }
        if waiting.count != 0 { resendWaiting() }
        if early.count != 0 { retryEarly() }
    }

    /// Every number was used: an entry that nobody has touched since would look like one of today, and its SA may be gone.
    @inline(never)
    private mutating func forgetFlows() {
        flows.clear()
        innerFlows.clear()
        lastInner = nil
        generation = 1
    }

    /// Looks up the next hop of every waiting packet again, and lets go what need not wait any more.
    @inline(never)
    private mutating func resendWaiting() {
        let count = waiting.count
        waiting.count = 0
        var index = 0
        while index < count {
            var entry = waiting.entries[index]
            index &+= 1
            let hop = tables.pointee.route(to: Worker.destination(of: entry.slot.packet))
            entry.slot.nextHop = hop
            if hop.pointee.state == .unresolved, !entry.isForLAN || leavesByLAN(hop) {
                waiting.entries[waiting.count] = entry
                waiting.count &+= 1
            } else {
                resume(entry.slot, hop: hop, isForLAN: entry.isForLAN)
            }
        }
    }

    /// Ends the wait of packets that waited too long.
    @inline(__always)
    mutating func retryWaiting() {
        if waiting.count == 0 { return }
        expireWaiting()
    }

    @inline(never)
    private mutating func expireWaiting() {
        var kept = 0
        var index = 0
        while index < waiting.count {
            let entry = waiting.entries[index]
            index &+= 1
            if now &- entry.since > configuration.neighbourWaitInNanoseconds {
                drop(entry.slot, .neighbourUnresolved)
            } else {
                waiting.entries[kept] = entry
                kept &+= 1
            }
        }
        waiting.count = kept
    }
}
