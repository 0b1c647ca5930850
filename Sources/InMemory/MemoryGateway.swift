import Dataplane
import Packets
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

    /// - `framesPerWorker`: each worker's share of the UMEM.
    /// - `wanRoles`: of port 1, which may be LAN as well.
    /// - `configure`: may change each worker's configuration.
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

// MARK: - Rounds, publications and the host

extension MemoryGateway {
    /// One round of each worker. Returns how many packets moved.
    @discardableResult
    public func pollOnce(now: UInt64) -> Int {
        var work = 0
        for index in boxes.indices { work += poll(worker: index, now: now) }
        return work
    }

    /// One round of one worker: a test in which some are slower than others. Returns how many packets moved.
    @discardableResult
    public func poll(worker index: Int, now: UInt64) -> Int { boxes[index].worker.poll(now: now) }

    /// Rounds until nothing moves any more; bounded, so that a loop in the dataplane ends in a test.
    public func settle(now: UInt64, rounds: Int = 64) {
        for _ in 0..<rounds where pollOnce(now: now) == 0 { return }
    }

    /// Replaces what the workers know. Packets that wait for a neighbour notice it in their next round.
    /// Returns the number of the publication.
    @discardableResult
    public func publish(_ snapshot: Snapshot) -> UInt64 { publisher.publish(snapshot) }

    /// Whether every worker has had a round since this publication.
    public func isSeenByAll(_ publication: UInt64) -> Bool { publisher.isSeenByAll(publication) }

    /// The place where workers see which inbound SPIs will have an SA soon.
    public var expectedSPIs: ExpectedSPIs { publisher.expectedSPIs }
    public var watchedPeers: WatchedPeers { publisher.watchedPeers }

    /// The snapshot that was published last.
    public var current: Snapshot { publisher.current }

    /// The events that the workers told the control thread of since the last call.
    public func takeEvents() -> [WorkerEvent] {
        var taken: [WorkerEvent] = []
        for index in boxes.indices {
            while let event = events[index].ring.pop() { taken.append(event) }
        }
        return taken
    }

    /// The IP packets that workers passed to the host since the last call; their frames stay with the host.
    public func takeHostPackets() -> [[UInt8]] {
        var packets: [[UInt8]] = []
        for index in boxes.indices {
            while let entry = fromWorkers[index].ring.pop() {
                if entry.kind == .toHost {
                    let start = UnsafeRawPointer(umem.pointer(at: entry.address))
                    packets.append([UInt8](UnsafeRawBufferPointer(start: start, count: Int(entry.length))))
                    hostOwes[index] += 1
                }
                hostFrames.append(entry.address & ~UInt64(umem.frameSize - 1))
            }
            payBack(index)
        }
        return packets
    }

    /// The host sends an IP packet into a tunnel, through worker 0, or (`inbound`) gives it one for the gateway that the kernel
    /// has put together. False when it has no free frame.
    @discardableResult
    public func sendFromHost(_ packet: [UInt8], kind: HandoverEntry.Kind = .fromHost) -> Bool {
        guard let frame = hostFrames.popLast(), packet.count <= umem.frameSize - UMEM.headroom - 32 else {
            return false
        }
        let address = frame + UInt64(UMEM.headroom)
        let start = umem.pointer(at: address)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: 12)
        packet.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress {
                (start + LinkLayer.untaggedLength).copyMemory(from: source, byteCount: bytes.count)
            }
        }
        LinkLayer.writeType(before: start + LinkLayer.untaggedLength)
        return toWorkers[0].ring.push(
            HandoverEntry(
                address: address, length: UInt32(LinkLayer.untaggedLength + packet.count), port: .max, kind: kind))
    }

    /// Frames with the workers' pools, the fill and completion rings, the host, and on their way to it: all of them when
    /// nothing else is under way.
    public var accountedFrames: Int {
        var count = hostFrames.count
        for index in boxes.indices {
            count += boxes[index].worker.heldFrames
            count += fromWorkers[index].ring.peek(upTo: fromWorkers[index].ring.capacity).count
        }
        return count
    }

    private func payBack(_ index: Int) {
        while hostOwes[index] > 0, let frame = hostFrames.popLast() {
            let entry = HandoverEntry(address: frame, length: 0, port: .max, kind: .freeFrame)
            guard toWorkers[index].ring.push(entry) else { return hostFrames.append(frame) }
            hostOwes[index] -= 1
        }
    }
}
