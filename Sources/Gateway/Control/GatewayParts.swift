import Cryptography
import Dataplane
import Netlink
import Policy
import XDP

/// The parts that the control loop works with, made at the start; only ports that come back are exchanged. All of it
/// may be used from any thread.
struct GatewayParts: Sendable {
    let options: GatewayOptions
    let plan: PortPlan
    let engine: any ESPEngine
    let umem: UMEM
    let served: ServedPorts
    let tables: SteeringTables
    let publisher: SnapshotPublisher
    let statistics: [WorkerStatistics]
    /// The events of each worker.
    let events: [SPSCRing<WorkerEvent>]
    let session: NetlinkSession
    let mailbox: NetworkMailbox
    let mesh: HandoverMesh
    /// The mailboxes by which workers get queues that take the place of others.
    let mailboxes: [PortMailbox]
    let monitor: RestartableMonitor
    /// The TUN device that the host's own packets go through, if there is one.
    let hostTunnel: HostTunnel?
    /// The boundary as it was closed at the start.
    let boundary: BoundaryKeeper

    /// The ports in the order of `plan.ports`.
    var ports: [XDPPort] { served.current }
}
