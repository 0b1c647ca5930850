import Configuration

/// The state of a running gateway: the document behind `sluice status` and `sluice status --json`.
///
/// In JSON the names are snake_case. Counters run from the start of the gateway and are exact; they are read while the
/// workers go on, so two of them may be a few packets apart.
public struct StatusReport: Codable, Hashable, Sendable {
    public var gateway: GatewayStatus
    public var ports: [PortStatus]
    public var workers: [WorkerStatus]
    public var frames: FrameStatus
    /// The faults of the configuration; absent when all of it is served.
    public var configuration: ConfigurationStatus?
    /// The traffic that the kernel holds closed; absent when it does not tell.
    public var boundary: BoundaryReport?
    /// Absent when nothing is negotiated.
    public var negotiation: NegotiationStatus?
    public var securityAssociations: [AssociationStatus]
    public var policies: [PolicyStatus]
    public var peers: [PeerStatus]
    public var neighbours: [NeighbourStatus]
    /// Over all workers; only reasons that occurred.
    public var drops: [DropStatus]
}

/// Faults of the configuration.
public struct ConfigurationStatus: Codable, Hashable, Sendable {
    /// The errors as `sluice check` prints them.
    public var errors: [String]
    /// Connections (`site`) and children (`site/net`) that are not served for them; their packets stay closed.
    public var refused: [String]

    /// The faults of a configuration; nil when there are no errors.
    init?(errors: [ConfigurationProblem], refused: [String] = []) {
        guard !errors.isEmpty else { return nil }
        self.errors = errors.map(\.description)
        self.refused = refused
    }
}

/// The process.
public struct GatewayStatus: Codable, Hashable, Sendable {
    public var version: String
    public var processIdentifier: Int
    public var uptimeSeconds: Int
    public var residentBytes: Int
    public var engine: String
    /// Counts published snapshots of policies, SAs, routes and neighbours.
    public var snapshotGeneration: UInt64
}

/// One interface that the gateway takes packets from.
public struct PortStatus: Codable, Hashable, Sendable {
    public var name: String
    public var interfaceIndex: UInt32
    /// `lan`, `wan`, or both.
    public var roles: [String]
    public var isUp: Bool
    public var macAddress: String
    public var mtu: UInt32
    public var addresses: [String]
    /// `native` or `generic`, and why not the other.
    public var xdpMode: String
    public var xdpModeReason: String
    /// `zero-copy` or `copy`, and why not the other.
    public var copyMode: String
    public var copyModeReason: String
    /// The decisions of the steering program, over all CPUs.
    public var steering: [NamedCount]
    public var queues: [QueueStatus]
}

/// A figure with a name of its own.
public struct NamedCount: Codable, Hashable, Sendable {
    public var name: String
    public var packets: UInt64
}

/// The AF_XDP socket of one queue. Its figures are members of the document, by the names of `QueueMetrics`.
public struct QueueStatus: Codable, Hashable, Sendable {
    public var queue: Int
    public var worker: Int
    public var figures: [NamedCount]

    init(queue: Int, worker: Int, figures: [NamedCount]) {
        (self.queue, self.worker, self.figures) = (queue, worker, figures)
    }

    func figure(_ name: String) -> UInt64 { figures.first { $0.name == name }?.packets ?? 0 }

    private struct Key: CodingKey {
        static let queue = Key(stringValue: "queue")
        static let worker = Key(stringValue: "worker")

        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        queue = try container.decode(Int.self, forKey: .queue)
        worker = try container.decode(Int.self, forKey: .worker)
        figures = try QueueMetrics.all.map { metric in
            NamedCount(
                name: metric.name, packets: try container.decode(UInt64.self, forKey: Key(stringValue: metric.name)))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(queue, forKey: .queue)
        try container.encode(worker, forKey: .worker)
        for figure in figures { try container.encode(figure.packets, forKey: Key(stringValue: figure.name)) }
    }
}

/// One worker thread.
public struct WorkerStatus: Codable, Hashable, Sendable {
    public var index: Int
    public var core: Int
    /// Rounds over all ports.
    public var polls: UInt64
    /// Rounds that found packets.
    public var batches: UInt64
    public var receivedPackets: UInt64
    public var transmittedPackets: UInt64
    /// Packets per batch.
    public var batchFill: Double
    /// Time-stamp counter cycles per received packet in rounds that found packets.
    public var cyclesPerPacket: Double
    public var handoversSent: UInt64
    public var handoversReceived: UInt64
    public var sleeps: UInt64
    public var freeFrames: Int
    public var droppedPackets: UInt64
    /// Everything that the worker counts, by name.
    public var counters: [NamedCount]
}

/// The packet memory.
public struct FrameStatus: Codable, Hashable, Sendable {
    public var count: Int
    public var sizeInBytes: Int
    public var hugePages: Bool
}

/// One SA, one direction.
public struct AssociationStatus: Codable, Hashable, Sendable {
    /// `in` or `out`.
    public var direction: String
    /// `0x` and eight hexadecimal digits.
    public var spi: String
    public var source: String
    public var destination: String
    public var requestIdentifier: UInt32
    /// Connection and CHILD_SA, `home/net`; absent for manual keys.
    public var name: String?
    public var mode: String
    public var transform: String
    /// `udp 4500 4500`, when encapsulated.
    public var encapsulation: String?
    public var worker: Int
    public var packets: UInt64
    public var bytes: UInt64
    /// Out: the last number sent. In: the highest number received.
    public var sequence: UInt64
    public var extendedSequenceNumbers: Bool
    /// Packets that the replay window of an inbound SA holds; 0 = off.
    public var replayWindow: Int?
    /// Packets of an inbound SA's window that have not arrived (yet).
    public var missingInWindow: Int?
    /// Out: largest inner packet.
    public var mtu: Int?
    public var ageSeconds: Int
    /// Since the last packet; nil before the first.
    public var idleSeconds: Int?
    /// Events of its life: `first-use`, `soft-bytes`, `sequence-exhausted`, `no-source-address`, …
    public var events: [String]
    public var drops: [DropStatus]
}

/// One entry of the security policy database.
public struct PolicyStatus: Codable, Hashable, Sendable {
    public var index: Int
    public var direction: String
    public var source: String
    public var destination: String
    /// A protocol's number; absent = any.
    public var `protocol`: UInt8?
    /// One port or a range; absent = all.
    public var sourcePorts: String?
    public var destinationPorts: String?
    public var priority: UInt32
    /// `protect`, `bypass` or `discard`.
    public var action: String
    public var requestIdentifier: UInt32?
    /// Packets that the policy decided about without an SA; protected ones are counted at theirs.
    public var packets: UInt64
    public var bytes: UInt64
}

/// The way to a peer's outer address.
public struct PeerStatus: Codable, Hashable, Sendable {
    public var address: String
    /// The router; nil when the peer itself is on the link.
    public var nextHop: String?
    public var interface: String?
    /// `resolved`, `unresolved`, `failed`, `unreachable`, `noRoute`, `notAPort`, …
    public var state: String
    /// Largest outer packet; nil when there is no way out.
    public var mtu: Int?
}

/// A host on the link of a port.
public struct NeighbourStatus: Codable, Hashable, Sendable {
    public var address: String
    public var interface: String
    /// The link-layer address; nil while the neighbour has not answered.
    public var macAddress: String?
    /// `resolved`, `unresolved` or `failed`.
    public var state: String
}

/// Packets dropped for one reason.
public struct DropStatus: Codable, Hashable, Sendable {
    public var reason: String
    public var packets: UInt64
    /// Meaning and remedy; absent where the reason is listed a second time.
    public var explanation: String?
}
