import Dataplane
import Testing
import XDP

@testable import Gateway

/// The host path's rings and frames without a TUN device: what is handed over is paid back, whatever becomes of it.
@Suite struct HostEndsTests {
    private let umem: UMEM
    private let mesh = HandoverMesh(workers: 2, capacity: 64)

    init() throws {
        umem = try UMEM(frames: 64, frameSize: 2048, hugePages: .never)
    }

    private func hand(_ entry: HandoverEntry, over ring: inout ProducerRing<HandoverEntry>) {
        let taken = ring.push(entry)
        #expect(taken)
    }

    private func drain(_ ring: inout ConsumerRing<HandoverEntry>) -> [HandoverEntry] {
        var entries: [HandoverEntry] = []
        while let entry = ring.pop() { entries.append(entry) }
        return entries
    }

    @Test func paysBackEveryFrame() {
        let ends = HostEnds(umem: umem, mesh: mesh, workers: 2, frames: 32..<40, tunnel: nil)
        var toHost = mesh.producer(from: 1, to: mesh.host)
        var fromHost = mesh.consumer(from: mesh.host, to: 1)
        var counters = HostPath.Counters()
        #expect(!ends.hasWork)
        for frame in UInt64(0)..<20 {
            let entry = HandoverEntry(address: frame * 2048 + 300, length: 84, port: 1, kind: .toHost)
            hand(entry, over: &toHost)
        }
        #expect(ends.hasWork)
        while ends.round(&counters) {}
        let back = drain(&fromHost)
        #expect(back.allSatisfy { $0.kind == .freeFrame })
        #expect(back.count == 20)
        #expect(Set(back.map { $0.address / 2048 }).count == 20)
        // Nobody is there to take the packets.
        #expect(counters == HostPath.Counters(delivered: 0, sent: 0, refused: 20))
    }

    @Test func takesBackWhatItIsOwed() {
        let ends = HostEnds(umem: umem, mesh: mesh, workers: 2, frames: 32..<33, tunnel: nil)
        var toHost = mesh.producer(from: 0, to: mesh.host)
        var fromHost = mesh.consumer(from: mesh.host, to: 0)
        var counters = HostPath.Counters()
        hand(HandoverEntry(address: 5 * 2048, length: 0, port: .max, kind: .freeFrame), over: &toHost)
        while ends.round(&counters) {}
        #expect(drain(&fromHost).isEmpty)
        #expect(counters == HostPath.Counters())
    }

    /// A worker that takes nothing for a while gets its frames later.
    @Test func keepsADebtWhileTheRingIsFull() {
        let ends = HostEnds(umem: umem, mesh: mesh, workers: 2, frames: 0..<0, tunnel: nil)
        var toHost = mesh.producer(from: 0, to: mesh.host)
        var fromHost = mesh.consumer(from: mesh.host, to: 0)
        var counters = HostPath.Counters()
        for lap in 0..<2 {
            for frame in UInt64(0)..<40 {
                hand(HandoverEntry(address: frame * 2048, length: 20, port: 0, kind: .toHost), over: &toHost)
            }
            while ends.round(&counters) {}
            #expect(counters.refused == UInt64(40 * (lap + 1)))
        }
        let first = drain(&fromHost)
        #expect(first.count == 64)
        hand(HandoverEntry(address: 63 * 2048, length: 20, port: 0, kind: .toHost), over: &toHost)
        while ends.round(&counters) {}
        #expect(first.count + drain(&fromHost).count == 81)
    }
}
