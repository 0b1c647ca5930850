import Packets
import Policy

/// What the gateway does around its CHILD_SAs. All calls are made on the control thread.
protocol ChildHost: AnyObject {
    /// Nanoseconds of the dataplane's clock.
    var now: UInt64 { get }

    /// Where workers see which inbound SPIs will have an SA soon.
    var expectedSPIs: ExpectedSPIs { get }

    /// Hands a snapshot to the workers. With `waiting` it returns once every worker has it, or has been silent for too
    /// long to be waited for.
    func publish(_ snapshot: Snapshot, waiting: Bool)

    /// The policies have changed, and workers have them: what is steered to them and what the host routes into tunnels has to
    /// follow. All policies, those of the configuration included.
    func policiesChanged(_ policies: [SecurityPolicy])

    /// The largest outer packet in bytes on the way to a peer.
    func pathMTU(towards peer: IPAddress) -> Int
}
