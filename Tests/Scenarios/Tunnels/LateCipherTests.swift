import Dataplane
import IPsec
import InMemory
import Packets
import Telemetry
import TestSupport
import Testing

/// A cipher engine that is done with a batch only rounds later: nothing of the worker assumes that it is at once.
@Suite struct LateCipherTests {
    private func late(_ engine: LateEngine, _ change: (inout TunnelOptions) -> Void = { _ in }) -> TunnelOptions {
        TunnelOptions {
            change(&$0)
            $0.engine = engine
        }
    }

    /// Through both ends, in the order of each SA, none lost and none doubled.
    @Test(arguments: [0, 1, 2, 7], [AddressFamily.ipv4, .ipv6])
    func everyPacketArrivesInOrder(delay: Int, outer: AddressFamily) throws {
        let engine = LateEngine(delay: delay)
        let network = try MemoryNetwork(
            late(engine) {
                $0.outer = outer
                $0.isEncapsulated = delay == 2
            })
        for burst in [1, 7, 32] {
            let packets = network.packets(count: 150)
            network.left.receiveFromLAN(packets, burst: burst)
            network.right.receive(network.left.takeWAN(), at: .wan, burst: burst)
            #expect(network.right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        }
        #expect(network.left[.protected] == 450 && network.right[.opened] == 450)
        #expect(engine.kept == 0 && engine.disturbed == 0)
        #expect(engine.runs.max() ?? 0 > 1, "whole runs of one SA")
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// While an engine keeps packets of one tunnel, those of another one go on in both directions, and more of the same SA are
    /// taken; these stay behind the first ones.
    @Test func othersGoOnMeanwhile() throws {
        let engine = LateEngine(delay: 1)
        let network = try MemoryNetwork(sites: 3)
        let (left, right, third) = (network.sites[0], network.sites[1], network.sites[2])
        try network.connect(left, right, late(engine))
        try network.connect(left, third)
        func packets(_ from: MemorySite, _ to: MemorySite, _ numbers: Range<Int>) -> [[UInt8]] {
            numbers.map { IPPacket(from: from.plan.host(.ipv4), to: to.plan.host(.ipv4), size: 100, seed: $0).bytes }
        }
        engine.isHolding = true
        let first = packets(left, right, 0..<20)
        left.receiveFromLAN(first)
        #expect(left.takeWAN() == [] && engine.kept == 20)
        let others = packets(left, third, 0..<50)
        #expect(network.exchange(others, from: left, to: third) == others.map { $0.routed(hops: 2) })
        let back = packets(third, left, 0..<50)
        #expect(network.exchange(back, from: third, to: left) == back.map { $0.routed(hops: 2) })
        let more = packets(left, right, 20..<60)
        left.receiveFromLAN(more)
        #expect(left.takeWAN() == [] && engine.kept == 60)
        #expect(left.gateway.pollOnce(now: network.clock.now) > 0, "the worker does not sleep meanwhile")
        #expect(left.lostFrames == 0, "those in flight are accounted for")
        engine.isHolding = false
        left.settle()
        right.receive(left.takeWAN(), at: .wan)
        #expect(right.takeLANPackets() == (first + more).map { $0.routed(hops: 2) })
        #expect(engine.kept == 0 && engine.disturbed == 0)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// A copy of a packet that is not done yet passes the first replay check; the check behind the cipher finds it, in whatever
    /// batch it is.
    @Test(arguments: [1, 3])
    func copiesInOtherBatchesAreReplays(delay: Int) throws {
        let engine = LateEngine(delay: delay)
        let network = try MemoryNetwork(late(engine))
        network.left.receiveFromLAN(network.packets(count: 10))
        let frames = network.left.takeWAN()
        engine.isHolding = true
        network.right.receive(frames, at: .wan)
        network.right.receive(frames.reversed(), at: .wan)
        #expect(network.right.drops == [:] && engine.kept == 20)
        engine.isHolding = false
        network.right.settle()
        #expect(network.right.takeLANPackets() == network.packets(count: 10).map { $0.routed(hops: 2) })
        #expect(network.right.drops == [.replayAtCommit: 10])
        network.right.receive(frames, at: .wan)
        #expect(network.right.drops == [.replayAtCommit: 10, .replayDuplicate: 10] && network.right.lostFrames == 0)
    }

    /// When engines have as many batches as a worker gives them, packets stay in the ring of their port; nothing is lost.
    @Test func packetsWaitInTheRing() throws {
        let engine = LateEngine(delay: 1)
        let network = try MemoryNetwork(late(engine))
        engine.isHolding = true
        let packets = network.packets(count: 100)
        #expect(network.left.receiveFromLAN(packets, burst: 10) == 100)
        #expect(engine.kept == 50, "five batches, and then no more")
        #expect(network.left.drops == [:])
        engine.isHolding = false
        network.left.settle()
        network.right.receive(network.left.takeWAN(), at: .wan)
        #expect(network.right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        #expect(network.left[.protected] == 100 && engine.kept == 0)
        #expect(network.left.drops == [:] && network.left.lostFrames == 0)
    }

    /// Packets that are in already, and need more batches than there are, are dropped with a reason.
    @Test func overloadHasAReason() throws {
        let engine = LateEngine(delay: 1)
        let network = try MemoryNetwork(late(engine))
        engine.isHolding = true
        // Each is split, and so ends a run: a batch for each.
        let packets = (0..<30).map { number in
            var packet = IPPacket(
                from: network.left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 1500, seed: number)
            packet.dontFragment = false
            return packet.bytes
        }
        network.left.receiveFromLAN(packets)
        #expect(engine.kept == 16 && network.left.drops == [.cipherOverload: 22])
        engine.isHolding = false
        network.left.settle()
        #expect(network.left.takeWAN().count == 16 && network.left.drops == [.cipherOverload: 22])
        #expect(network.left.lostFrames == 0 && engine.disturbed == 0)
        let more = network.packets(count: 40)
        #expect(network.exchange(more) == more.map { $0.routed(hops: 2) })
    }

    /// A replaced snapshot, with the SAs in it, stays as long as packets in flight point into it; and traffic that never ends
    /// does not keep it for ever.
    @Test func snapshotsOutlivePacketsInFlight() throws {
        let engine = LateEngine(delay: 2)
        let network = try MemoryNetwork(late(engine))
        let left = network.left
        engine.isHolding = true
        left.receiveFromLAN(network.packets(count: 10))
        left.builder.removeOutbound(left.outbound[0])
        let publication = left.gateway.publish(left.builder.build())
        left.settle()
        #expect(!left.gateway.isSeenByAll(publication) && engine.kept == 10)
        engine.isHolding = false
        left.settle()
        #expect(left.gateway.isSeenByAll(publication) && left.takeWAN().count == 10)
        #expect(left.drops == [:] && left.lostFrames == 0)
    }

    @Test func trafficThatNeverEndsIsNoObstacle() throws {
        let engine = LateEngine(delay: 2)
        let network = try MemoryNetwork(late(engine))
        let left = network.left
        let frames = network.packets(count: 400).map { $0.framed(to: left.plan.lanPort, from: left.plan.hostStation()) }
        var publication: UInt64 = 0
        var roundsUntilSeen: Int?
        for (round, frame) in frames.enumerated() {
            #expect(left.gateway.queues[0].lan.deliver(frame))
            if round == 200 { publication = left.gateway.publish(left.builder.build()) }
            left.round()
            if round >= 200, roundsUntilSeen == nil, left.gateway.isSeenByAll(publication) {
                roundsUntilSeen = round - 200
            }
        }
        #expect(roundsUntilSeen ?? .max <= 4)
        left.settle()
        #expect(left.takeWAN().count == 400 && left.drops == [:] && left.lostFrames == 0)
    }
}
