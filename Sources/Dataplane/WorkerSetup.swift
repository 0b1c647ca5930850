import Glibc
import IPsec
import Packets
import Policy
import Telemetry
import XDP

extension Worker {
    /// A worker over its queues. Traps on a configuration that no gateway can have; nothing here runs per packet.
    ///
    /// - Parameters:
    ///   - queues: what it receives from and sends to; queues of one port may be several.
    ///   - pool: its share of the frames.
    ///   - events: what it tells the control thread; when the ring is full, events are lost and asked for again.
    public init(
        configuration: WorkerConfiguration, queues: [WorkerQueue], umem: UMEM, pool: consuming FramePool,
        reader: consuming SnapshotReader, mesh: HandoverMesh, events: consuming ProducerRing<WorkerEvent>,
        statistics: WorkerStatistics
    ) {
        precondition((1...256).contains(configuration.batchSize), "a batch holds 1 to 256 packets")
        self.configuration = configuration
        index = configuration.index
        self.umem = umem
        base = umem.base
        frameSize = umem.frameSize
        frameMask = ~UInt64(umem.frameSize - 1)
        self.statistics = statistics
        counters = statistics.counters
        drops = statistics.drops

        portCount = queues.count
        ports = .allocate(capacity: max(queues.count, 1))
        let highest = queues.map { Int($0.portIndex) }.max() ?? 0
        portIndexLimit = highest + 1
        portOfIndex = .allocate(capacity: portIndexLimit)
        portOfIndex.initialize(repeating: -1, count: portIndexLimit)
        for (number, queue) in queues.enumerated() {
            let portIndex = queue.portIndex
            (ports + number).initialize(
                to: WorkerPort(rings: queue.take(), portIndex: portIndex, roles: queue.roles))
            if portOfIndex[Int(portIndex)] < 0 { portOfIndex[Int(portIndex)] = Int32(number) }
        }
        self.pool = pool
        lendingReserve = self.pool.count / 8
        handover = HandoverEnds(mesh: mesh, index: configuration.index)
        self.events = events
        descriptors = .allocate(capacity: portCount + 1)
        for number in 0..<portCount {
            let socket = ports[number].rings.fileDescriptor
            (descriptors + number).initialize(to: pollfd(fd: socket, events: Int16(POLLIN), revents: 0))
        }
        (descriptors + portCount).initialize(
            to: pollfd(fd: handover.wakeUp.fileDescriptor, events: Int16(POLLIN), revents: 0))
        self.reader = reader
        tables = self.reader.acquire()
        flows = FlowCache(capacity: configuration.flowCacheCapacity)
        innerFlows = FlowCache(capacity: configuration.flowCacheCapacity)
        waiting = NeighbourQueue(capacity: configuration.neighbourQueueCapacity)
        early = EarlyPackets(capacity: configuration.earlyPacketCapacity)
        icmpLimiter = RateLimiter(
            perSecond: configuration.icmpErrorsPerSecond, burst: configuration.icmpErrorsPerSecond)
        eventLimiter = EventLimiter(interval: configuration.repetitionInNanoseconds)
        neighbourLimiter = NeighbourLimiter(interval: configuration.repetitionInNanoseconds)
        outbound = SlotBatch(capacity: configuration.batchSize)
        inbound = SlotBatch(capacity: configuration.batchSize)
        derived = SlotBatch(capacity: Worker.derivedCapacity(configuration))
        derivedBatch = SlotBatch(capacity: configuration.batchSize)
        pieces = SlotBatch(capacity: configuration.batchSize)
        scratch = BatchScratch(capacity: configuration.batchSize)
    }

    /// Packets that may lead to others at a time: those of a batch, or all that wait.
    private static func derivedCapacity(_ configuration: WorkerConfiguration) -> Int {
        max(256, configuration.batchSize, configuration.neighbourQueueCapacity)
    }
}
