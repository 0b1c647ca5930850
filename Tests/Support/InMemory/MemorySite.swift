import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import XDP

/// A whole gateway of one site in memory, with its configuration as the control side would hold it.
///
/// Change what is to change (`policies`, `routes`, `neighbours`, `interfaces`, SAs), then `publish`.
public final class MemorySite {
    public let plan: SitePlan
    public let gateway: MemoryGateway
    public let builder: SnapshotBuilder
    public let clock: MemoryClock
    public var policies: [SecurityPolicy] = []
    public var routes: [RouteEntry] = []
    public var neighbours: [NeighbourEntry] = []
    public var interfaces: [PortInterface] = []
    public internal(set) var outbound: [OutboundSA] = []
    public internal(set) var inbound: [InboundSA] = []
    /// Frames that the ports sent and nobody has taken yet.
    var sentByLAN: [[UInt8]] = []
    var sentByWAN: [[UInt8]] = []

    /// What a test may want of a gateway.
    public struct Options: Sendable {
        public var workers = 1
        public var framesPerWorker = 512
        public var frameSize = 2048
        public var ringSize = 128
        public var lanMTU = 1500
        public var wanMTU = 1500
        public var wanRoles = PortRoles.wan
        public var configure: @Sendable (inout WorkerConfiguration) -> Void = { _ in }

        public init() {}
        public init(_ change: (inout Options) -> Void) { change(&self) }
    }

    /// A gateway with its ports, networks and neighbours, and no policy yet.
    public init(_ plan: SitePlan, _ options: Options = Options(), clock: MemoryClock) throws {
        self.plan = plan
        self.clock = clock
        builder = SnapshotBuilder(workers: options.workers)
        gateway = try MemoryGateway(
            workers: options.workers, framesPerWorker: options.framesPerWorker, frameSize: options.frameSize,
            ringSize: options.ringSize, wanRoles: options.wanRoles, snapshot: builder.build(),
            configure: {
                $0.flowCacheCapacity = 1024
                options.configure(&$0)
            })
        interfaces = [
            PortInterface(
                interfaceIndex: SitePlan.lanInterface, port: MemoryGateway.lanPort, linkAddress: plan.lanPort,
                mtu: options.lanMTU, addresses: [plan.lanAddress(.ipv4), plan.lanAddress(.ipv6)]),
            PortInterface(
                interfaceIndex: SitePlan.wanInterface, port: MemoryGateway.wanPort, linkAddress: plan.wanPort,
                mtu: options.wanMTU, addresses: [plan.wanAddress(.ipv4), plan.wanAddress(.ipv6)]),
        ]
        for family in [AddressFamily.ipv4, .ipv6] {
            routes += [
                RouteEntry(
                    prefix: plan.network(family), kind: .unicast(interfaceIndex: SitePlan.lanInterface, gateway: nil)),
                RouteEntry(prefix: IPPrefix(host: plan.lanAddress(family)), kind: .local),
                RouteEntry(prefix: IPPrefix(host: plan.wanAddress(family)), kind: .local),
                RouteEntry(
                    prefix: .all(family),
                    kind: .unicast(interfaceIndex: SitePlan.wanInterface, gateway: plan.router(family))),
            ]
            neighbours.append(
                NeighbourEntry(
                    interfaceIndex: SitePlan.wanInterface, address: plan.router(family),
                    state: .resolved(plan.routerStation)))
            neighbours += (2...SitePlan.neighbours).map {
                NeighbourEntry(
                    interfaceIndex: SitePlan.lanInterface, address: plan.host(family, $0),
                    state: .resolved(plan.hostStation($0)))
            }
        }
        try publish()
        gateway.pollOnce(now: clock.now)
    }

    /// Shows the workers the configuration as it is now.
    public func publish() throws {
        builder.setInterfaces(interfaces)
        builder.setRoutes(routes)
        builder.setNeighbours(neighbours)
        try builder.setPolicies(policies)
        gateway.publish(builder.build())
    }

    /// How often packets were dropped, by reason: the complete set of counters, of all workers.
    public var drops: [DropReason: UInt64] {
        gateway.statistics.reduce(into: [:]) { sum, worker in
            for (reason, packets) in worker.drops.nonZero() { sum[reason, default: 0] += packets }
        }
    }

    /// A counter summed over the workers.
    public subscript(_ counter: WorkerCounter) -> UInt64 { gateway.statistics.reduce(0) { $0 + $1[counter] } }
}

/// The one clock of a test, in nanoseconds.
public final class MemoryClock {
    public var now: UInt64 = 1_000_000_000

    public init() {}

    public func advance(milliseconds: UInt64) { now += milliseconds * 1_000_000 }
}
