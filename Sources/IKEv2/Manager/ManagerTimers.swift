import Packets

/// The events that the manager waits for. Sessions and SAs are named by number: they may be gone when the time has come.
enum ManagerTimer {
    /// A session's own deadline.
    case session(UInt32)
    /// A NAT keepalive may be due.
    case keepalive(UInt32)
    /// The IKE SA is to be authenticated anew.
    case reauthenticate(UInt32)
    /// Replaced by a later IKE SA with the same peer (`unique = replace`).
    case supersede(UInt32)
    /// The inbound SA with this SPI has drained.
    case drain(SPI)
    /// The outbound half that belongs to this inbound SPI waits for its turn.
    case takeOver(SPI)
    /// A child that has lost its SA starts again.
    case restart(ChildName, towards: Endpoint)
    /// The next try of a connection attempt.
    case attempt(ConnectionAttempt.Key)
    /// A first request may be due once more.
    case nudge(UInt32)
    /// A peer that is doubted is looked at again.
    case doubt(UInt32)
    /// Addresses that what children cover needs are looked for again.
    case addresses
}

/// Events and their times: a binary heap, so that adding and taking cost the logarithm of how much is waiting, and
/// looking costs nothing. Nothing is taken out early; who takes an event checks that it still means something.
struct TimerQueue<Event> {
    private struct Entry {
        var time: Instant
        /// Equal times keep the order in which they were added.
        var order: UInt64
        var event: Event

        func isBefore(_ other: Entry) -> Bool {
            time == other.time ? order < other.order : time < other.time
        }
    }

    private var heap: [Entry] = []
    private var added: UInt64 = 0

    var count: Int { heap.count }

    /// The earliest time.
    var first: Instant? { heap.first?.time }

    mutating func add(_ event: Event, at time: Instant) {
        added += 1
        heap.append(Entry(time: time, order: added, event: event))
        siftUp(from: heap.count - 1)
    }

    /// Takes the earliest event if its time has come.
    mutating func next(dueBy now: Instant) -> Event? {
        guard let earliest = heap.first, earliest.time <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(from: 0)
        return earliest.event
    }

    /// Forgets events that mean nothing any more.
    mutating func keep(where isMeant: (Event) -> Bool) {
        heap.removeAll { !isMeant($0.event) }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
    }

    private mutating func siftUp(from start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            if !heap[index].isBefore(heap[parent]) { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(from start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == index { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}
