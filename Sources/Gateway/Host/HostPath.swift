import Dataplane
import Netlink
import Platform
import Policy
import Synchronization
import XDP

/// The slow path: decrypted packets for this host go to the kernel through a TUN device, and what the host sends into a
/// tunnel comes from there. The last participant of the handover mesh, on a thread of its own, `sluice-host`.
///
/// Every frame that a worker hands over is paid back with a free one, and the other way round, so nobody's pool runs dry.
final class HostPath: @unchecked Sendable {
    /// Packets written to and read from the TUN device, those it did not take, those whose address was not the host's any more,
    /// and ESP that the kernel had put together.
    struct Counters: Sendable, Equatable {
        var delivered: UInt64 = 0
        var sent: UInt64 = 0
        var refused: UInt64 = 0
        var notLocal: UInt64 = 0
        var reassembled: UInt64 = 0
    }

    private let ends: HostEnds
    private let wakeUp: WakeUp
    private let stopping = Atomic<Bool>(false)
    private let shared = Mutex(Counters())
    private var thread: NamedThread?

    var counters: Counters { shared.withLock { $0 } }

    /// - Parameters:
    ///   - frames: numbers of the frames that the host starts with.
    ///   - publisher: knows which addresses are the host's.
    ///   - tunnel: nil when the kernel has no TUN device; packets for the host are then dropped.
    init(
        umem: UMEM, mesh: HandoverMesh, workers: Int, frames: Range<Int>, publisher: SnapshotPublisher,
        tunnel: HostTunnel?
    ) {
        wakeUp = mesh.wakeUp(of: mesh.host)
        ends = HostEnds(
            umem: umem, mesh: mesh, workers: workers, frames: frames, publisher: publisher, tunnel: tunnel,
            reassembly: ReassemblySockets(isWanted: true))
    }

    func start() throws(GatewayError) {
        thread = try NamedThread("sluice-host", purpose: "the host path") { self.run() }
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeUp.signal()
        thread?.join()
        thread = nil
    }

    private func run() {
        let descriptors = PollSet([wakeUp.fileDescriptor] + ends.descriptors)
        var counters = Counters()
        while !stopping.load(ordering: .relaxed) {
            if ends.round(&counters) {
                let now = counters
                shared.withLock { $0 = now }
                continue
            }
            wakeUp.announce()
            if !ends.hasWork, !stopping.load(ordering: .relaxed) {
                descriptors.wait(atMostMilliseconds: 100)
            }
            wakeUp.clear()
        }
    }
}
