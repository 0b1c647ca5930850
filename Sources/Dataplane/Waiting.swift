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

/// Packets that came before their SA: the peer may send by it before the message is here that lets us make it.
struct EarlyPackets: ~Copyable {
    /// By SPI in network order.
    private var packets: WaitingPackets<UInt32>

    init(capacity: Int) { packets = WaitingPackets(capacity: capacity) }

    var count: Int { packets.count }

    /// No SA has the packet's SPI: it waits if one is to come, or it ends here.
    @inline(never)
    mutating func keep(_ slot: PacketSlot, _ context: inout WorkerContext) {
        let spi = slot.esp.loadUnaligned(as: UInt32.self)
        guard context.reader.expects(spi: SPI(networkOrder: spi)) else {
            let source = ESPInbound.sourceAddress(slot.packet)
            if context.reader.watches(source) {
                context.events.unknownSPI(SPI(networkOrder: spi), from: source, now: context.now)
            }
            return context.drop(slot, .unknownSPI)
        }
        guard !packets.isFull else { return context.drop(slot, .unknownSPI) }
        // Nothing in the frame was changed yet: it is parsed again, as one that is handed over.
        let length = UInt32(truncatingIfNeeded: slot.packet - slot.start) &+ slot.length
        let whole = PacketSlot(
            start: slot.start, length: length, port: slot.port, flags: slot.flags.intersection(.ofTheJourney))
        packets.append(WaitingPackets.Entry(slot: whole, since: context.now, subject: spi))
    }

    /// A walk over the packets that wait.
    struct Walk {
        var next = 0
        let count: Int

        var isFinished: Bool { next >= count }
    }

    /// Begins a walk over all packets, to be gone on with by `open` until it is finished.
    mutating func beginOpening() -> Walk { Walk(count: packets.beginWalk()) }

    /// Moves packets that have their SA now to a batch, as if they had just come, until that is full or the walk is finished.
    mutating func open(_ walk: inout Walk, into batch: inout SlotBatch, _ context: inout WorkerContext) {
        while !walk.isFinished, !batch.isFull {
            let entry = packets[walk.next]
            walk.next &+= 1
            if context.tables.pointee.inbound(spi: entry.subject) == nil {
                packets.append(entry)
            } else {
                batch.append(entry.slot)
            }
        }
    }

    /// Ends the wait of packets whose SA did not come in time, or will not come.
    @inline(never)
    mutating func expire(_ context: inout WorkerContext) {
        let count = packets.beginWalk()
        var index = 0
        while index < count {
            let entry = packets[index]
            index &+= 1
            let isLate = context.now &- entry.since > context.configuration.earlyWaitInNanoseconds
            if isLate || !context.reader.expects(spi: SPI(networkOrder: entry.subject)) {
                context.drop(entry.slot, .unknownSPI)
            } else {
                packets.append(entry)
            }
        }
    }
}
