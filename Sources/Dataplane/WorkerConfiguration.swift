import Policy
import XDP

/// The parts of one worker. Whoever makes it gives each ring end and each frame to exactly one worker.
public struct WorkerConfiguration: Sendable {
    /// The worker's number: index into the mesh, owner number of its SAs.
    public var index: Int
    /// Packets taken from a queue at once, 1 ... 256.
    public var batchSize = 64
    /// Flows per direction whose policy decision and next hop are remembered; 64 bytes each, resident only when used.
    public var flowCacheCapacity = 65_536
    /// Packets that wait for unresolved neighbours, in all.
    public var neighbourQueueCapacity = 64
    /// The time that a packet waits for its neighbour, in nanoseconds: as long as three questions take, after which a
    /// neighbour counts as unreachable (RFC 4861 sections 7.2.2 and 10). An interface that has just come up asks
    /// nothing for a second or two.
    public var neighbourWaitInNanoseconds: UInt64 = 3_000_000_000
    /// Packets that wait for an SA which is being negotiated, in all.
    public var earlyPacketCapacity = 64
    /// The time that a packet waits for its SA, in nanoseconds.
    public var earlyWaitInNanoseconds: UInt64 = 500_000_000
    /// ICMP errors per second and worker, in bursts of as many.
    public var icmpErrorsPerSecond: UInt32 = 1_000
    /// The time after which a worker tells of the same thing again (a policy without SA, a peer that has moved), in
    /// nanoseconds.
    public var repetitionInNanoseconds: UInt64 = 250_000_000

    public init(index: Int) { self.index = index }
}

/// One queue of one port, on its way to the worker that will serve it. (A class, as rings can't be copied into arrays.)
public final class WorkerQueue: @unchecked Sendable {
    private var rings: SocketRings?
    /// The port's number in snapshots.
    public let portIndex: UInt16
    public let roles: PortRoles

    public init(rings: consuming SocketRings, portIndex: UInt16, roles: PortRoles) {
        self.rings = consume rings
        self.portIndex = portIndex
        self.roles = roles
    }

    /// The rings; to be taken once, by the worker.
    func take() -> SocketRings {
        guard let taken = rings.take() else { preconditionFailure("the rings of a queue were taken twice") }
        return taken
    }
}
