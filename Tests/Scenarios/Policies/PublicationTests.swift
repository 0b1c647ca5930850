import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Snapshots that change in the middle of traffic.
@Suite struct PublicationTests {
    /// The order of a rekeying: new inbound, new outbound, old outbound away, old inbound away. Nothing is lost.
    @Test(arguments: [1, 2, 4])
    func rekeying(workers: Int) throws {
        let network = try MemoryNetwork(TunnelOptions(), MemorySite.Options { $0.workers = workers })
        let (left, right) = (network.left, network.right)
        var arrived: [[UInt8]] = []
        var sent: [[UInt8]] = []
        for step in 0..<40 {
            let packets = network.packets(step % 2 == 0 ? .ipv4 : .ipv6, count: 25, size: 100 + step)
            sent += packets
            left.receiveFromLAN(packets) { $0 % workers }
            let underWay = left.takeWAN()
            // Changed between sending and receiving.
            let number = step / 4
            switch step % 4 {
            case 0: try network.addAssociations(from: left, to: right, TunnelOptions(), first: number + 1)
            case 1: try left.publish()
            case 2:
                left.builder.removeOutbound(left.outbound[number])
                try left.publish()
            default:
                right.builder.removeInbound(spi: right.inbound[number].parameters.spi)
            }
            // Right always first: it must know an SA before left uses it.
            try right.publish()
            right.receive(underWay, at: .wan) { ($0 + 1) % workers }
            arrived += right.takeLANPackets()
        }
        #expect(
            arrived.sorted { $0.lexicographicallyPrecedes($1) }
                == sent.map { $0.routed(hops: 2) }.sorted { $0.lexicographicallyPrecedes($1) })
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
        let used = left.outbound.filter { $0.status(now: 0).packets > 0 }
        #expect(used.count == 11 || used.count == 10, "each SA took over in turn")
    }

    /// An SA goes away while its packets are in flight: they are counted, nothing crashes, its memory may go.
    @Test(arguments: [1, 3])
    func removal(workers: Int) throws {
        let network = try MemoryNetwork(TunnelOptions(), MemorySite.Options { $0.workers = workers })
        let (left, right) = (network.left, network.right)
        let packets = network.packets(count: 50)
        left.receiveFromLAN(packets) { $0 % workers }
        let frames = left.takeWAN()
        right.receive(Array(frames[..<20]), at: .wan) { $0 % workers }
        #expect(right.takeLAN().count == 20)
        right.builder.removeInbound(spi: right.inbound[0].parameters.spi)
        try right.publish()
        right.receive(Array(frames[20...]), at: .wan) { $0 % workers }
        #expect(right.takeLAN() == [])
        #expect(right.drops == [.unknownSPI: 30])

        left.builder.removeOutbound(left.outbound[0])
        try left.publish()
        left.receiveFromLAN(packets) { $0 % workers }
        #expect(left.takeWAN() == [])
        #expect(left.drops == [.noOutboundSA: 50])
        for site in network.sites { #expect(site.lostFrames == 0) }
    }

    /// Removed while the packet lies in the ring between two workers.
    @Test func removalDuringHandover() throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.change = { $0.owner = 0 } }, MemorySite.Options { $0.workers = 2 })
        let (left, right) = (network.left, network.right)
        // Worker 1 is the last of a round, so what it hands over waits for the next one.
        for (number, packet) in network.packets(count: 10).enumerated() {
            let frame = packet.framed(to: left.plan.lanPort, from: left.plan.hostStation())
            #expect(left.gateway.queues[1].lan.deliver(frame), "\(number)")
        }
        left.gateway.pollOnce(now: network.clock.now)
        #expect(left[.handedOver] == 10 && left[.takenOver] == 0)
        left.builder.removeOutbound(left.outbound[0])
        try left.publish()
        left.settle()
        #expect(left.drops == [.noOutboundSA: 10])
        #expect(left.takeWAN() == [])
        #expect(left.lostFrames == 0 && right.lostFrames == 0)
    }

    /// Snapshots as fast as packets: a new one between any two rounds.
    @Test func everyRound() throws {
        let network = try MemoryNetwork(TunnelOptions { $0.associations = 2 }, MemorySite.Options { $0.workers = 2 })
        let (left, right) = (network.left, network.right)
        var count = 0
        for step in 0..<100 {
            for (number, packet) in network.packets(.ipv6, count: 8, size: 90).enumerated() {
                let frame = packet.framed(to: left.plan.lanPort, from: left.plan.hostStation())
                #expect(left.gateway.queues[number % 2].lan.deliver(frame))
                if number % 3 == step % 3 {
                    try left.publish()
                    left.round()
                    try right.publish()
                }
            }
            left.settle()
            right.receive(left.takeWAN(), at: .wan, burst: 3) { $0 % 2 }
            count += right.takeLAN().count
        }
        #expect(count == 800)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }
}
