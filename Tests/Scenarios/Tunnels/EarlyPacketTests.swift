import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// ESP packets that come before their SA: kept for a moment where one is expected, and nowhere else.
@Suite struct EarlyPacketTests {
    /// Two sites; the right one has yet to get the SA by which the left one sends.
    private final class Lab {
        let network: MemoryNetwork
        var left: MemorySite { network.left }
        var right: MemorySite { network.right }
        /// The newest, which is the one that is sent by.
        let association: InboundSA
        var spi: SPI { association.parameters.spi }

        init(
            _ tunnel: TunnelOptions = TunnelOptions(), workers: Int = 1, isExpected: Bool = true,
            configure: @escaping @Sendable (inout WorkerConfiguration) -> Void = { _ in }
        ) throws {
            network = try MemoryNetwork(
                tunnel,
                MemorySite.Options {
                    $0.workers = workers
                    $0.configure = configure
                })
            association = network.right.inbound[network.right.inbound.count - 1]
            right.builder.removeInbound(spi: spi)
            try right.publish()
            if isExpected { right.gateway.expectedSPIs.insert(spi) }
        }

        /// The left site's packets, sealed.
        func sealed(_ packets: [[UInt8]]) -> [[UInt8]] {
            left.receiveFromLAN(packets)
            return left.takeWAN()
        }

        /// As the control side does it: the SA, and when every worker has it the SPI is like others.
        func install() throws {
            try right.builder.addInbound(association)
            try right.publish()
            right.settle()
            right.gateway.expectedSPIs.remove(spi)
        }
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6], [false, true])
    func arriveInOrderOnceTheSAIsThere(outer: AddressFamily, isEncapsulated: Bool) throws {
        let lab = try Lab(
            TunnelOptions {
                $0.outer = outer
                $0.isEncapsulated = isEncapsulated
            })
        let packets = (0..<40).map { number in
            IPPacket(
                from: lab.left.plan.host(.ipv4), to: lab.right.plan.host(.ipv4), size: 60 + 30 * number, seed: number
            ).bytes
        }
        lab.right.receive(lab.sealed(packets), at: .wan)
        #expect(lab.right.takeLAN() == [] && lab.right[.waiting] == 40)
        // News about others changes nothing for them.
        try lab.right.publish()
        lab.network.clock.advance(milliseconds: 400)
        #expect(lab.right.lostFrames == 0 && lab.right.takeLAN() == [], "those that wait are accounted for")
        try lab.install()
        #expect(lab.right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        // What comes later is later, and nothing of them is left.
        let more = lab.network.packets(count: 5)
        #expect(lab.network.exchange(more) == more.map { $0.routed(hops: 2) })
        #expect(lab.right[.waiting] == 0 && lab.right[.opened] == 45)
        #expect(lab.right.drops == [:] && lab.right.lostFrames == 0)
    }

    /// Kept by the worker that they came to, opened by the one that owns the SA; with a tag of a VLAN.
    @Test(arguments: [2, 3])
    func goToTheOwnerThen(workers: Int) throws {
        let lab = try Lab(workers: workers)
        let packets = lab.network.packets(.ipv6, count: 60)
        let tagged = lab.sealed(packets).map { frame in Array(frame[..<12]) + [0x81, 0x00, 0, 7] + frame[12...] }
        lab.right.receive(tagged, at: .wan) { $0 % workers }
        #expect(lab.right.takeLAN() == [] && lab.right[.waiting] == 60)
        try lab.install()
        let arrived = lab.right.takeLANPackets()
        #expect(Set(arrived) == Set(packets.map { $0.routed(hops: 2) }) && arrived.count == 60)
        #expect(lab.right[.handedOver] == UInt64(60 - 60 / workers))
        #expect(lab.right.drops == [:] && lab.right.lostFrames == 0)
    }

    @Test func waitHalfASecondAtMost() throws {
        let lab = try Lab()
        lab.right.receive(lab.sealed(lab.network.packets(count: 10)), at: .wan)
        lab.network.clock.advance(milliseconds: 250)
        lab.right.receive(lab.sealed(lab.network.packets(count: 3)), at: .wan)
        lab.network.clock.advance(milliseconds: 250)
        lab.right.settle()
        #expect(lab.right.drops == [:])
        lab.network.clock.advance(milliseconds: 1)
        lab.right.settle()
        #expect(lab.right.drops == [.unknownSPI: 10])
        try lab.install()
        #expect(lab.right.takeLAN().count == 3 && lab.right.lostFrames == 0)
        #expect(lab.right.drops == [.unknownSPI: 10])
    }

    /// Whatever a sender makes of it: so many frames and no more, and others are not held up.
    @Test func areFew() throws {
        let lab = try Lab(TunnelOptions { $0.associations = 2 })
        let packets = lab.network.packets(count: 500)
        let frames = lab.sealed(packets)
        lab.right.receive(frames, at: .wan)
        #expect(lab.right.drops == [.unknownSPI: 436] && lab.right[.waiting] == 64)
        lab.left.builder.removeOutbound(lab.left.outbound[1])
        try lab.left.publish()
        let others = lab.network.packets(.ipv6, count: 200)
        #expect(lab.network.exchange(others) == others.map { $0.routed(hops: 2) })
        try lab.install()
        #expect(lab.right.takeLANPackets() == packets[..<64].map { $0.routed(hops: 2) })
        #expect(lab.right.drops == [.unknownSPI: 436] && lab.right.lostFrames == 0)
    }

    /// The number of an SA that is to come proves nothing: what is no packet of the peer, or one a second time, ends.
    @Test func provesNothing() throws {
        let lab = try Lab()
        let packets = lab.network.packets(count: 8)
        var frames = lab.sealed(packets)
        frames[7][frames[7].count - 1] ^= 1
        // An IP packet of 28 bytes: SPI and sequence number, and nothing behind them.
        let header = Array(frames[0][14..<42])
        let short = frames[0][..<14] + (header[..<2] + [0, 28] + header[4...]).withHeaderChecksum()
        lab.right.receive(frames + frames[..<4] + [Array(short)], at: .wan)
        #expect(lab.right.drops == [:] && lab.right[.waiting] == 13)
        try lab.install()
        #expect(lab.right.takeLANPackets() == packets[..<7].map { $0.routed(hops: 2) })
        #expect(lab.right.drops == [.replayAtCommit: 4, .integrityFailure: 1, .malformedESP: 1])
        #expect(lab.right.lostFrames == 0)
    }

    /// Nobody waits for an SA that nobody has promised; the last of those that share a place is the one that counts.
    @Test func othersEndAtOnce() throws {
        let lab = try Lab(isExpected: false)
        let expected = lab.right.gateway.expectedSPIs
        let frames = lab.sealed(lab.network.packets(count: 3))
        func countDrops(_ change: () -> Void) -> UInt64? {
            let before = lab.right.drops[.unknownSPI] ?? 0
            change()
            lab.right.receive(frames, at: .wan)
            return (lab.right.drops[.unknownSPI] ?? 0) - before
        }
        let (spi, other) = (lab.spi, lab.spi + 1 << 20)
        #expect(countDrops {} == 3)
        #expect(countDrops { expected.insert(other) } == 3)
        #expect(countDrops { expected.insert(spi) } == 0)
        // Given back, because the negotiation came to nothing: those that waited end too.
        #expect(countDrops { expected.remove(spi) } == 6)
        expected.insert(spi)
        #expect(countDrops { expected.insert(other) } == 3)
        // That is not theirs to give back.
        #expect(countDrops { expected.remove(spi) } == 3 && expected.contains(other))
        #expect(lab.right.lostFrames == 0)
    }
}
