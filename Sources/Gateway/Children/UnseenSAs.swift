import Logging
import Packets

/// Inbound SAs that a worker may not have yet, although they are published. Their SPIs are expected until it has: packets of
/// them are kept.
struct UnseenSAs {
    private struct Publication {
        var number: UInt64
        var spis: [SPI]
        var since: Instant
        var isReported = false
    }

    /// The oldest first.
    private var publications: [Publication] = []

    /// The time that a worker may take before it is told of.
    private static let patience = Duration.milliseconds(250)

    mutating func add(_ spis: [SPI], publication number: UInt64, now: Instant) {
        publications.append(Publication(number: number, spis: spis, since: now))
    }

    /// The SPIs that all workers have by now. To be called every now and then.
    mutating func takeSeen(now: Instant, _ logger: Logger, isSeen: (UInt64) -> Bool) -> [SPI] {
        var seen: [SPI] = []
        while let oldest = publications.first, isSeen(oldest.number) {
            seen += oldest.spis
            publications.removeFirst()
        }
        guard let oldest = publications.first, !oldest.isReported, now > oldest.since + Self.patience else {
            return seen
        }
        publications[0].isReported = true
        logger.warning(
            "a worker does not get to new SAs, its core may be taken by something else; packets may be lost",
            metadata: ["since-milliseconds": "\(Int((now - oldest.since) / .milliseconds(1)))"])
        return seen
    }
}
