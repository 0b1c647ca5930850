import Dataplane
import Netlink
import Packets
import Policy
import XDP

/// The state that the host path's thread works on: the rings to and from each worker, the free frames, and the TUN
/// device.
final class HostEnds {
    private let umem: UMEM
    private let mesh: HandoverMesh
    private let workers: Int
    private let inboxes: UnsafeMutablePointer<ConsumerRing<HandoverEntry>>
    private let outboxes: UnsafeMutablePointer<ProducerRing<HandoverEntry>>
    /// Frames that were received from each worker and not paid back yet.
    private var owed: [Int]
    private var freeFrames: [UInt64]
    private let publisher: SnapshotPublisher
    private let tunnel: HostTunnel?
    private let reassembly: ReassemblySockets
    let deviceDescriptor: Int32
    /// An Ethernet header goes before the packet, as workers expect one.
    private static let linkHeaderLength = 14
    /// Packets per round and source, so that neither direction starves the other.
    private static let burst = 64

    init(
        umem: UMEM, mesh: HandoverMesh, workers: Int, frames: Range<Int>, publisher: SnapshotPublisher,
        tunnel: HostTunnel?, reassembly: ReassemblySockets = ReassemblySockets(isWanted: false)
    ) {
        self.reassembly = reassembly
        self.umem = umem
        self.mesh = mesh
        self.workers = workers
        inboxes = .allocate(capacity: workers)
        outboxes = .allocate(capacity: workers)
        for worker in 0..<workers {
            (inboxes + worker).initialize(to: mesh.consumer(from: worker, to: mesh.host))
            (outboxes + worker).initialize(to: mesh.producer(from: mesh.host, to: worker))
        }
        owed = Array(repeating: 0, count: workers)
        freeFrames = frames.map { UInt64($0 * umem.frameSize) }
        self.publisher = publisher
        self.tunnel = tunnel
        deviceDescriptor = tunnel?.device.fileDescriptor ?? -1
    }

    deinit {
        inboxes.deinitialize(count: workers)
        outboxes.deinitialize(count: workers)
        inboxes.deallocate()
        outboxes.deallocate()
    }

    /// The descriptors by which packets from the kernel come, for `poll`.
    var descriptors: [Int32] { [deviceDescriptor] + reassembly.descriptors }

    /// Whether a worker has handed something over.
    var hasWork: Bool {
        (0..<workers).contains { inboxes[$0].peek(upTo: 1).count > 0 }
    }

    /// One burst in each direction; false when there was nothing to do.
    func round(_ counters: inout HostPath.Counters) -> Bool {
        var worked = false
        for worker in 0..<workers where receive(from: worker, &counters) { worked = true }
        if readDevice(&counters) { worked = true }
        for index in 0..<reassembly.count where readReassembled(index, &counters) { worked = true }
        return worked
    }

    private func receive(from worker: Int, _ counters: inout HostPath.Counters) -> Bool {
        guard inboxes[worker].peek(upTo: 1).count > 0 else {
            payBack(to: worker)
            return false
        }
        let snapshot = publisher.current
        var taken = 0
        while taken < Self.burst, let entry = inboxes[worker].pop() {
            taken += 1
            if entry.kind == .toHost {
                deliver(entry, snapshot, &counters)
                owed[worker] += 1
            }
            freeFrames.append(entry.address & ~UInt64(umem.frameSize - 1))
        }
        payBack(to: worker)
        return taken > 0
    }

    /// Gives a decrypted packet to the kernel, as received on the TUN device.
    private func deliver(_ entry: HandoverEntry, _ snapshot: Snapshot, _ counters: inout HostPath.Counters) {
        let packet = UnsafeRawBufferPointer(start: umem.pointer(at: entry.address), count: Int(entry.length))
        // The address may have gone since the worker looked: the kernel would forward the packet, in clear.
        guard Self.isForHost(packet, in: snapshot) else {
            counters.notLocal += 1
            return
        }
        // The kernel refuses what is no IP packet, or everything while the device is down: counted, not fatal.
        if (try? tunnel?.device.write(packet)) == true { counters.delivered += 1 } else { counters.refused += 1 }
    }

    private static func isForHost(_ packet: UnsafeRawBufferPointer, in snapshot: Snapshot) -> Bool {
        guard let start = packet.baseAddress, packet.count >= 20 else { return false }
        let isIPv4 = packet[0] >> 4 == 4
        guard isIPv4 || (packet[0] >> 4 == 6 && packet.count >= 40) else { return false }
        let destination = IPAddress(loading: start + (isIPv4 ? 16 : 24), family: isIPv4 ? .ipv4 : .ipv6)
        return snapshot.tables.pointee.route(to: destination).pointee.state == .local
    }

    private func payBack(to worker: Int) {
        while owed[worker] > 0, let frame = freeFrames.popLast() {
            guard outboxes[worker].push(HandoverEntry(address: frame, length: 0, port: .max, kind: .freeFrame)) else {
                freeFrames.append(frame)
                return
            }
            owed[worker] -= 1
        }
    }

    /// Takes what the host sends into tunnels. One worker gets all of it, and hands each packet to its SA's owner.
    private func readDevice(_ counters: inout HostPath.Counters) -> Bool {
        guard deviceDescriptor >= 0 else { return false }
        var taken = 0
        while taken < Self.burst, let frame = freeFrames.popLast() {
            let address = frame + UInt64(UMEM.headroom)
            let start = umem.pointer(at: address)
            let room = umem.frameSize - UMEM.headroom - Self.linkHeaderLength
            let buffer = UnsafeMutableRawBufferPointer(start: start + Self.linkHeaderLength, count: room)
            guard let length = try? tunnel?.device.read(into: buffer), length > 0 else {
                freeFrames.append(frame)
                break
            }
            taken += 1
            writeLinkHeader(at: start, isIPv6: buffer[0] >> 4 == 6)
            let entry = HandoverEntry(
                address: address, length: UInt32(Self.linkHeaderLength + length), port: .max, kind: .fromHost)
            if outboxes[0].push(entry) { counters.sent += 1 } else { freeFrames.append(frame) }
        }
        if taken > 0 { mesh.wakeUp(of: 0).signal() }
        return taken > 0
    }

    /// Takes ESP that the kernel has put together. One worker gets all of it, as if it had come by a WAN port.
    private func readReassembled(_ index: Int, _ counters: inout HostPath.Counters) -> Bool {
        var taken = 0
        while taken < Self.burst, let frame = freeFrames.popLast() {
            let address = frame + UInt64(UMEM.headroom)
            let start = umem.pointer(at: address)
            let room = umem.frameSize - UMEM.headroom - Self.linkHeaderLength
            let buffer = UnsafeMutableRawBufferPointer(start: start + Self.linkHeaderLength, count: room)
            let outcome = reassembly.read(index, into: buffer)
            if case .nothing = outcome {
                freeFrames.append(frame)
                break
            }
            taken += 1
            guard case .packet(let length) = outcome, length > 0 else {
                freeFrames.append(frame)
                counters.refused += 1
                continue
            }
            writeLinkHeader(at: start, isIPv6: buffer[0] >> 4 == 6)
            let entry = HandoverEntry(
                address: address, length: UInt32(Self.linkHeaderLength + length), port: .max, kind: .inbound)
            if outboxes[0].push(entry) { counters.reassembled += 1 } else { freeFrames.append(frame) }
        }
        if taken > 0 { mesh.wakeUp(of: 0).signal() }
        return taken > 0
    }

    private func writeLinkHeader(at start: UnsafeMutableRawPointer, isIPv6: Bool) {
        start.initializeMemory(as: UInt8.self, repeating: 0, count: 12)
        let type: UInt16 = isIPv6 ? EtherType.ipv6 : EtherType.ipv4
        start.storeBytes(of: type.bigEndian, toByteOffset: 12, as: UInt16.self)
    }
}
