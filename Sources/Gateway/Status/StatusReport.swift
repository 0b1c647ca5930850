import Configuration
import Packets

/// The state of a running gateway: the document behind `sluice status` and `sluice status --json`.
///
/// In JSON the names are snake_case. Counters run from the start of the gateway and are exact; they are read while the
/// workers go on, so two of them may be a few packets apart.
package struct StatusReport: Codable, Hashable, Sendable {
    package var gateway: GatewayStatus
    package var ports: [PortStatus]
    package var workers: [WorkerStatus]
    package var frames: FrameStatus
    /// The faults of the configuration; absent when all of it is served.
    package var configuration: ConfigurationStatus?
    /// The traffic that the kernel holds closed; absent when it does not tell.
    package var boundary: BoundaryReport?
    /// Absent when nothing is negotiated.
    package var negotiation: NegotiationStatus?
    package var securityAssociations: [AssociationStatus]
    package var policies: [PolicyStatus]
    package var peers: [PeerStatus]
    package var neighbours: [NeighbourStatus]
    /// Over all workers; only reasons that occurred.
    package var drops: [DropStatus]
}

/// Faults of the configuration.
package struct ConfigurationStatus: Codable, Hashable, Sendable {
    /// The errors as `sluice check` prints them.
    package var errors: [String]
    /// Connections (`site`) and children (`site/net`) that are not served for them; their packets stay closed.
    package var refused: [String]

    /// The faults of a configuration; nil when there are no errors.
    init?(errors: [Problem], refused: [String] = []) {
        guard !errors.isEmpty else { return nil }
        self.errors = errors.map(\.description)
        self.refused = refused
    }
}

/// The process.
package struct GatewayStatus: Codable, Hashable, Sendable {
    package var version: String
    package var processIdentifier: Int
    package var uptimeSeconds: Int
    package var residentBytes: Int
    package var engine: String
    /// Counts published snapshots of policies, SAs, routes and neighbours.
    package var snapshotGeneration: UInt64
}

/// One interface that the gateway takes packets from.
package struct PortStatus: Codable, Hashable, Sendable {
    package var name: String
    package var interfaceIndex: UInt32
    /// `lan`, `wan`, or both.
    package var roles: [String]
    package var isUp: Bool
    package var macAddress: String
    package var mtu: UInt32
    package var addresses: [String]
    /// `native` or `generic`, and why not the other.
    package var xdpMode: String
    package var xdpModeReason: String
    /// `zero-copy` or `copy`, and why not the other.
    package var copyMode: String
    package var copyModeReason: String
    /// The decisions of the steering program, over all CPUs.
    package var steering: [NamedCount]
    package var queues: [QueueStatus]
}

/// A figure with a name of its own.
package struct NamedCount: Codable, Hashable, Sendable {
    package var name: String
    package var packets: UInt64
}

/// The AF_XDP socket of one queue. Its figures are members of the document, by the names of `QueueMetrics`.
package struct QueueStatus: Codable, Hashable, Sendable {
    package var queue: Int
    package var worker: Int
    package var figures: [NamedCount]

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

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        queue = try container.decode(Int.self, forKey: .queue)
        worker = try container.decode(Int.self, forKey: .worker)
        figures = try QueueMetrics.all.map { metric in
            NamedCount(
                name: metric.name, packets: try container.decode(UInt64.self, forKey: Key(stringValue: metric.name)))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(queue, forKey: .queue)
        try container.encode(worker, forKey: .worker)
        for figure in figures { try container.encode(figure.packets, forKey: Key(stringValue: figure.name)) }
    }
}

/// One worker thread.
package struct WorkerStatus: Codable, Hashable, Sendable {
    package var index: Int
    package var core: Int
    /// Rounds over all ports.
    package var polls: UInt64
    /// Rounds that found packets.
    package var batches: UInt64
    package var receivedPackets: UInt64
    package var transmittedPackets: UInt64
    /// Packets per batch.
    package var batchFill: Double
    /// Time-stamp counter cycles per received packet in rounds that found packets.
    package var cyclesPerPacket: Double
    package var handoversSent: UInt64
    package var handoversReceived: UInt64
    package var sleeps: UInt64
    package var freeFrames: Int
    package var droppedPackets: UInt64
    /// Everything that the worker counts, by name.
    package var counters: [NamedCount]
}

/// The packet memory.
package struct FrameStatus: Codable, Hashable, Sendable {
    package var count: Int
    package var sizeInBytes: Int
    package var hugePages: Bool
}

/// One SA, one direction.
package struct AssociationStatus: Codable, Hashable, Sendable {
    /// `in` or `out`.
    package var direction: String
    /// `0x` and eight hexadecimal digits.
    package var spi: String
    package var source: String
    package var destination: String
    package var requestIdentifier: UInt32
    /// Connection and CHILD_SA, `home/net`; absent for manual keys.
    package var name: String?
    package var mode: String
    package var transform: String
    /// `udp 4500 4500`, when encapsulated.
    package var encapsulation: String?
    package var worker: Int
    package var packets: UInt64
    package var bytes: UInt64
    /// Out: the last number sent. In: the highest number received.
    package var sequence: UInt64
    package var extendedSequenceNumbers: Bool
    /// Packets that the replay window of an inbound SA holds; 0 = off.
    package var replayWindow: Int?
    /// Packets of an inbound SA's window that have not arrived (yet).
    package var missingInWindow: Int?
    /// Out: largest inner packet.
    package var mtu: Int?
    package var ageSeconds: Int
    /// Since the last packet; nil before the first.
    package var idleSeconds: Int?
    /// Events of its life: `first-use`, `soft-bytes`, `sequence-exhausted`, `no-source-address`, …
    package var events: [String]
    package var drops: [DropStatus]
}

/// One entry of the security policy database.
package struct PolicyStatus: Codable, Hashable, Sendable {
    package var index: Int
    package var direction: String
    package var source: String
    package var destination: String
    /// A protocol's number; absent = any.
    package var `protocol`: UInt8?
    /// One port or a range; absent = all.
    package var sourcePorts: String?
    package var destinationPorts: String?
    package var priority: UInt32
    /// `protect`, `bypass` or `discard`.
    package var action: String
    package var requestIdentifier: UInt32?
    /// Packets that the policy decided about without an SA; protected ones are counted at theirs.
    package var packets: UInt64
    package var bytes: UInt64
}

/// The way to a peer's outer address.
package struct PeerStatus: Codable, Hashable, Sendable {
    package var address: String
    /// The router; nil when the peer itself is on the link.
    package var nextHop: String?
    package var interface: String?
    /// `resolved`, `unresolved`, `failed`, `unreachable`, `noRoute`, `notAPort`, …
    package var state: String
    /// Largest outer packet; nil when there is no way out.
    package var mtu: Int?
}

/// A host on the link of a port.
package struct NeighbourStatus: Codable, Hashable, Sendable {
    package var address: String
    package var interface: String
    /// The link-layer address; nil while the neighbour has not answered.
    package var macAddress: String?
    /// `resolved`, `unresolved` or `failed`.
    package var state: String
}

/// Packets dropped for one reason.
package struct DropStatus: Codable, Hashable, Sendable {
    package var reason: String
    package var packets: UInt64
    /// Meaning and remedy; absent where the reason is listed a second time.
    package var explanation: String?
}
