import IPsec
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
