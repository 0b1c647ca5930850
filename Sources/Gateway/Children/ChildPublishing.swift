import Cryptography
import IKEv2
import IPsec
import Logging
import Packets
import Policy

/// The gateway's work around its CHILD_SAs. All calls are made on the control thread.
package protocol ChildPublishing: AnyObject {
    /// The dataplane's clock.
    var now: Instant { get }

    /// The place where workers see which inbound SPIs will have an SA soon.
    var expectedSPIs: ExpectedSPIs { get }

    /// `GatewayDataplane.settle` has something to do: it is to be called soon, when workers have left the tables before the last
    /// ones, which are used again then, and at the latest in a moment.
    func settleSoon()

    /// Hands a snapshot of what was built to the workers, and returns at once. The continuation runs, on this thread, when every
    /// worker has it.
    func publish(_ builder: SnapshotBuilder, whenSeen: (() -> Void)?)

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
