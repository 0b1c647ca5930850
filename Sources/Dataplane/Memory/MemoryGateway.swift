import Policy
import Telemetry
import XDP

/// Carries one end of a ring, which cannot be copied, in an array.
final class RingEnd<Ring: ~Copyable> {
    var ring: Ring
    init(_ ring: consuming Ring) { self.ring = ring }
}

/// A whole dataplane in memory: the real workers over rings whose other end is a `FakeKernel`, with a clock that the
/// caller moves. For `sluice bench` and for tests; one thread plays all workers, one after the other.
///
/// Port 0 is the LAN, port 1 the WAN; each worker has one queue of both.
public final class MemoryGateway {
    public static let lanPort: UInt16 = 0
    public static let wanPort: UInt16 = 1

    /// The kernel's side of one worker's two queues.
    public struct Queues {
        public let lan: FakeKernel
        public let wan: FakeKernel
    }

    final class Box {
        var worker: Worker
        init(_ worker: consuming Worker) { self.worker = worker }
    }

    public let umem: UMEM
    public let queues: [Queues]
    public let statistics: [WorkerStatistics]
    public let mesh: HandoverMesh
    let boxes: [Box]
    let publisher: SnapshotPublisher
    let events: [RingEnd<ConsumerRing<WorkerEvent>>]
    let fromWorkers: [RingEnd<ConsumerRing<HandoverEntry>>]
    let toWorkers: [RingEnd<ProducerRing<HandoverEntry>>]
    /// The host's free frames, and how many it owes each worker.
    var hostFrames: [UInt64] = []
    var hostOwes: [Int]

    /// - Parameters:
    ///   - framesPerWorker: each worker's share of the UMEM.
    ///   - wanRoles: of port 1, which may be LAN as well.
    ///   - configure: may change each worker's configuration.
    public init(
        workers: Int = 1, framesPerWorker: Int = 2048, frameSize: Int = 2048, ringSize: Int = 512,
        wanRoles: PortRoles = .wan, snapshot: Snapshot, configure: (inout WorkerConfiguration) -> Void = { _ in }
    ) throws {
        let hostShare = 64
        umem = try UMEM(frames: workers * framesPerWorker + hostShare, frameSize: frameSize, hugePages: .auto)
        mesh = HandoverMesh(workers: workers)
        publisher = SnapshotPublisher(workers: workers, initial: snapshot)
        var queues: [Queues] = []
        var boxes: [Box] = []
        var statistics: [WorkerStatistics] = []
        var events: [RingEnd<ConsumerRing<WorkerEvent>>] = []
        var fromWorkers: [RingEnd<ConsumerRing<HandoverEntry>>] = []
        var toWorkers: [RingEnd<ProducerRing<HandoverEntry>>] = []
        for index in 0..<workers {
            let queue = Queues(
                lan: FakeKernel(umem: umem, ringSize: ringSize), wan: FakeKernel(umem: umem, ringSize: ringSize))
            let counters = WorkerStatistics()
            let ring = SPSCRing<WorkerEvent>(capacity: 64)
            var configuration = WorkerConfiguration(index: index)
            configure(&configuration)
            boxes.append(
                Box(
                    Worker(
                        configuration: configuration,
                        queues: [
                            WorkerQueue(rings: queue.lan.makeRings(), portIndex: Self.lanPort, roles: .lan),
                            WorkerQueue(rings: queue.wan.makeRings(), portIndex: Self.wanPort, roles: wanRoles),
                        ],
                        umem: umem,
                        pool: FramePool(umem: umem, frames: index * framesPerWorker..<(index + 1) * framesPerWorker),
                        reader: publisher.makeReader(worker: index), mesh: mesh, events: ring.producer(),
                        statistics: counters)))
            queues.append(queue)
            statistics.append(counters)
            events.append(RingEnd(ring.consumer()))
            fromWorkers.append(RingEnd(mesh.consumer(from: index, to: mesh.host)))
            toWorkers.append(RingEnd(mesh.producer(from: mesh.host, to: index)))
        }
        self.events = events
        self.fromWorkers = fromWorkers
        self.toWorkers = toWorkers
        hostOwes = .init(repeating: 0, count: workers)
        self.queues = queues
        self.boxes = boxes
        self.statistics = statistics
        let first = workers * framesPerWorker
        hostFrames = (first..<first + hostShare).map { UInt64($0 * frameSize) }
    }
}
