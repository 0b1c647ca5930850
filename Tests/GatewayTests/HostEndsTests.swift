import Dataplane
import Packets
import Policy
import Testing
import XDP

@testable import Gateway

/// The host path's rings and frames without a TUN device: what is handed over is paid back, whatever becomes of it.
@Suite struct HostEndsTests {
    private let umem: UMEM
    private let mesh = HandoverMesh(workers: 2, capacity: 64)

    private let builder = SnapshotBuilder(workers: 2)
    private let publisher: SnapshotPublisher
    private static let own = IPAddress(ipv4: 0x0A01_0001)
    private static let ownIPv6 = IPAddress(ipv6High: 0x2001_0DB8_0001_0000, low: 1)

    init() throws {
        builder.setRoutes([
            RouteEntry(prefix: .all(.ipv4), kind: .unicast(interfaceIndex: 7, gateway: nil)),
            RouteEntry(prefix: IPPrefix(host: Self.own), kind: .local),
            RouteEntry(prefix: IPPrefix(host: Self.ownIPv6), kind: .local),
        ])
        publisher = SnapshotPublisher(workers: 2, initial: builder.build())
        umem = try UMEM(frames: 64, frameSize: 2048, hugePages: .never)
    }

    private func makeEnds(frames: Range<Int>) -> HostEnds {
        HostEnds(umem: umem, mesh: mesh, workers: 2, frames: frames, publisher: publisher, tunnel: nil)
    }

    /// An IP header at this place of the UMEM.
    private func write(_ destination: IPAddress, at address: UInt64) {
        let start = umem.pointer(at: address)
        start.storeBytes(of: destination.family == .ipv4 ? 0x45 : 0x60, as: UInt8.self)
        destination.store(to: start + (destination.family == .ipv4 ? 16 : 24))
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
        let ends = makeEnds(frames: 32..<40)
        var toHost = mesh.producer(from: 1, to: mesh.host)
        var fromHost = mesh.consumer(from: mesh.host, to: 1)
        var counters = HostPath.Counters()
        #expect(!ends.hasWork)
        for frame in UInt64(0)..<20 {
            write(Self.own, at: frame * 2048 + 300)
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

    /// What a worker took for the host's own is not given to the kernel, which would forward it, once the address has gone.
    @Test func packetsForAnAddressThatHasGone() {
        let ends = makeEnds(frames: 32..<60)
        var toHost = mesh.producer(from: 0, to: mesh.host)
        var counters = HostPath.Counters()
        func hand(_ destination: IPAddress, length: UInt32 = 60) {
            write(destination, at: 300)
            self.hand(HandoverEntry(address: 300, length: length, port: 0, kind: .toHost), over: &toHost)
            while ends.round(&counters) {}
        }
        hand(Self.own)
        hand(Self.ownIPv6)
        #expect(counters == HostPath.Counters(refused: 2))
        hand(Self.own, length: 19)
        hand(Self.ownIPv6, length: 39)
        hand(IPAddress(ipv4: 0x0A01_0002))
        #expect(counters == HostPath.Counters(refused: 2, notLocal: 3))
        builder.setRoutes([RouteEntry(prefix: .all(.ipv4), kind: .unicast(interfaceIndex: 7, gateway: nil))])
        publisher.publish(builder.build())
        hand(Self.own)
        hand(Self.ownIPv6)
        #expect(counters == HostPath.Counters(refused: 2, notLocal: 5))
    }

    @Test func takesBackWhatItIsOwed() {
        let ends = makeEnds(frames: 32..<33)
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
        let ends = makeEnds(frames: 0..<0)
        var toHost = mesh.producer(from: 0, to: mesh.host)
        var fromHost = mesh.consumer(from: mesh.host, to: 0)
        var counters = HostPath.Counters()
        for lap in 0..<2 {
            for frame in UInt64(0)..<40 {
                write(Self.own, at: frame * 2048)
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
