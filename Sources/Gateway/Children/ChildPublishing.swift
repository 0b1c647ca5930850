import Cryptography
import IKEv2
import IPsec
import Logging
import Packets
import Policy

/// The gateway's work around its CHILD_SAs. All calls are made on the control thread.
package protocol ChildPublishing: AnyObject {
    /// Nanoseconds of the dataplane's clock.
    var now: Instant { get }

    /// The place where workers see which inbound SPIs will have an SA soon.
    var expectedSPIs: ExpectedSPIs { get }

    /// `GatewayDataplane.settle` has something to do: it is to be called before the control thread waits for anything.
    func settleSoon()

    /// Hands a snapshot of what was built to the workers, and returns the number of the publication. With `waiting` it returns
    /// once every worker has it, unless one does not get to it in a moment.
    func publish(_ builder: SnapshotBuilder, waiting: Bool) -> UInt64

    /// Whether every worker has what was published with this number.
    func isSeenByAll(_ publication: UInt64) -> Bool

    /// The policies, or the outbound SAs that serve them, have changed, and workers have them: what is steered to them and
    /// what the host routes into tunnels has to follow. `change` may be empty.
    func policiesChanged(_ change: PolicyChange)

    /// Whether what an SA with these selectors protects can be kept from leaving in clear: the steering program has room.
    func canSteer(_ selectors: [TrafficSelector]) -> Bool

    /// The largest outer packet in bytes on the way to a peer.
    func pathMTU(towards peer: IPAddress) -> Int
}

/// Policies that came and went. One that did both may be in both lists.
package struct PolicyChange {
    package var added: [SecurityPolicy] = []
    package var removed: [SecurityPolicy] = []

    var isEmpty: Bool { added.isEmpty && removed.isEmpty }
}

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

/// The gateway's tables of CHILD_SAs by themselves, as `sluice bench --ike` measures them.
package enum ChildTables {
    /// Tables for one worker, with nothing configured. They do not keep `host`.
    package static func make(around host: any ChildPublishing, logger: Logger) -> any ChildDataplane {
        let dataplane = GatewayDataplane(
            builder: SnapshotBuilder(workers: 1), configured: [], engine: OpenSSLEngine(), logger: logger)
        dataplane.host = host
        return dataplane
    }
}
