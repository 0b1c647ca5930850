import Telemetry

/// The counters of a worker besides drops. One writer, the worker; any reader.
public enum WorkerCounter: Int, CaseIterable, Sendable {
    /// Rounds over all queues.
    case rounds
    /// Rounds that found at least one packet.
    case busyRounds
    /// Time-stamp counter cycles spent in busy rounds.
    case busyCycles
    /// Batches taken from receive rings.
    case batches
    /// Packets taken from receive rings.
    case received
    /// Packets put into transmit rings.
    case transmitted
    /// Packets sealed.
    case protected
    /// Packets opened and accepted.
    case opened
    /// Packets forwarded without protection because a policy says so.
    case bypassed
    /// Packets handed to another worker.
    case handedOver
    /// Packets taken over from another worker.
    case takenOver
    /// Packets for the host itself.
    case toHost
    /// Packets that the host sent into tunnels.
    case fromHost
    /// ESP packets that came in fragments, which the kernel has put together.
    case reassembled
    /// ICMP errors sent.
    case icmpErrors
    /// ICMP errors not sent, as the gateway has no address of its own to send them from: none on the port, or, about a packet
    /// out of a tunnel, none from which policies protect the way back to its sender.
    case icmpErrorsWithheld
    /// Fragments made, before encryption or for a LAN.
    case fragments
    /// Packets that were split into those.
    case fragmented
    /// Times that the worker slept.
    case sleeps
    /// System calls that asked the kernel to send.
    case kicks
    /// System calls that asked a driver to look at its fill ring.
    case receiveWakeUps
    /// Flow cache misses.
    case flowMisses
    /// Free frames in the pool at the end of the last round.
    case freeFrames
    /// Packets that wait for a neighbour, or for their SA, at the end of the last round.
    case waiting

    /// The name in JSON and tables.
    public var name: String { "\(self)" }
}

/// One worker's counters. Lives as long as the process needs it; shared with the control side.
public final class WorkerStatistics: Sendable {
    let counters = CounterBlock.allocate(count: WorkerCounter.allCases.count)
    /// Drops by reason, of all SAs and none.
    public let drops = DropCounters.allocate()

    public init() {}

    deinit {
        counters.deallocate()
        drops.deallocate()
    }

    /// The value now, from any thread.
    public subscript(counter: WorkerCounter) -> UInt64 { counters[counter.rawValue].load() }
}
