import Packets

/// Decides which neighbours the kernel should be asked to find or to verify.
///
/// The kernel sees none of the packets that the gateway sends, so nothing tells it that a neighbour is in use: an entry in
/// use would age to "stale" (RFC 4861 section 7.3.3) and in the end be collected. The gateway therefore calls `due`
/// from time to time with the neighbours that it is sending to. Pure; the clock is passed in.
package struct NeighbourProber: Sendable {
    /// The times to wait before asking again.
    package struct Intervals: Sendable {
        /// While packets wait for an address. The kernel repeats its own requests each second, three times.
        package var unresolved = Duration.seconds(1)
        /// For an entry that did not answer.
        package var failed = Duration.seconds(3)
        /// For a usable entry that is to be verified: the kernel's delay before it does (5 s).
        package var stale = Duration.seconds(5)

        package init() {}
    }

    private let intervals: Intervals
    private var lastAsked: [Neighbour.Key: Instant] = [:]

    package init(intervals: Intervals = Intervals()) { self.intervals = intervals }

    /// The `neighbours` that are to be probed now, those that have waited longest first. Only what is returned counts
    /// as asked. Neighbours that are not named any more are forgotten.
    package mutating func due(
        _ neighbours: some Sequence<Neighbour.Key>, in state: NetworkState, now: Instant, atMost limit: Int = .max
    ) -> [Neighbour.Key] {
        var kept: [Neighbour.Key: Instant] = [:]
        var due: [(key: Neighbour.Key, asked: Instant?)] = []
        var seen: Set<Neighbour.Key> = []
        for key in neighbours where seen.insert(key).inserted {
            guard let interval = interval(state.neighbours[key]?.state) else { continue }
            let asked = lastAsked[key]
            kept[key] = asked
            if let asked, now - asked < interval { continue }
            due.append((key, asked))
        }
        if due.count > limit {
            due.sort { ($0.asked ?? .start) < ($1.asked ?? .start) }
            due.removeSubrange(limit...)
        }
        for entry in due { kept[entry.key] = now }
        lastAsked = kept
        return due.map(\.key)
    }

    /// The time between two probes in a state; nil: there is no need to ask.
    private func interval(_ state: Neighbour.State?) -> Duration? {
        switch state {
        case nil, .some(.none): intervals.unresolved
        case .failed: intervals.failed
        case .stale: intervals.stale
        case .incomplete, .delay, .probe, .reachable, .permanent, .noARP: nil
        }
    }
}
