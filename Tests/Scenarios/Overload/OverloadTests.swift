import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// More comes than the owner of an SA, or its link, can carry: what can be carried is carried, and the rest costs little.
@Suite struct OverloadTests {
    private static let batch = 64
    private static let ringSize = 512

    /// Packets a round that one worker alone carries.
    private func aloneEachRound() throws -> UInt64 {
        let flood = try Flood(workers: 1)
        _ = flood.work(rounds: 8)
        return flood.work(rounds: 16).sent / 16
    }

    /// Every worker hands its packets to the one owner, and all rings are at their limits.
    @Test(arguments: [8, 16], [Int.max, 100])
    func oneHotAssociation(workers: Int, link: Int) throws {
        let flood = try Flood(workers: workers)
        let site = flood.site
        _ = flood.work(rounds: 12, link: link)
        let work = flood.work(rounds: 24, link: link)
        let possible = UInt64(24 * min(link, Self.ringSize, workers * Self.batch))
        #expect(20 * work.sent >= 19 * possible, "\(work.sent) of \(possible)")
        #expect(20 * work.sent >= 19 * (try aloneEachRound()) * 24)
        #expect(work.sent == work.sealed, "nothing was sealed in vain")

        // The rest is counted, and was dropped before the cipher: no sequence number is missing.
        #expect(site.drops.keys.allSatisfy { $0 == .outputOverload || $0 == .handoverRingFull }, "\(site.drops)")
        #expect(site.drops[.outputOverload, default: 0] > 0 || possible >= 24 * workers * Self.batch)
        #expect(site.outbound[0].status(now: 0).packets == site[.protected])
        #expect(site[.transmitted] == site[.protected])

        // Every worker goes on receiving, and nothing is lost.
        for worker in site.gateway.statistics { #expect(worker[.received] >= UInt64(34 * Self.batch)) }
        site.settle()
        #expect(site.lostFrames == 0)
        #expect(site[.received] == UInt64(flood.taken))
        #expect(site[.handedOver] == site[.takenOver])
        #expect(site[.received] == site[.transmitted] + site.drops.values.reduce(0, +))
    }

    /// The owner of one tunnel is too slow, and pays frames back late: the other workers' own tunnels do not notice.
    @Test(arguments: [4, 16])
    func ownTunnelsGoOn(workers: Int) throws {
        let network = try MemoryNetwork(
            sites: 3,
            MemorySite.Options {
                $0.workers = workers
                $0.ringSize = Self.ringSize
                $0.framesPerWorker = 2048
            })
        let site = network.left
        try network.connect(site, network.sites[1], TunnelOptions { $0.associations = workers })
        try network.connect(site, network.sites[2])
        func frame(to other: MemorySite) -> [UInt8] {
            IPPacket(from: site.plan.host(.ipv4), to: other.plan.host(.ipv4), size: 100).bytes
                .framed(to: site.plan.lanPort, from: site.plan.hostStation())
        }
        let (own, hot) = (frame(to: network.sites[1]), frame(to: network.sites[2]))
        let (rounds, ownEachRound) = (160, 16)
        var refused = 0
        for number in 0..<rounds {
            for queue in site.gateway.queues.dropFirst() {
                for place in 0..<Self.batch {
                    refused += queue.lan.deliver(place % 4 == 0 ? own : hot) ? 0 : 1
                }
            }
            for worker in 0..<workers where worker > 0 || number % 8 == 0 {
                site.gateway.poll(worker: worker, now: site.clock.now)
            }
            for queue in site.gateway.queues { queue.wan.transmit() }
            site.clock.advance(milliseconds: 1)
        }
        #expect(refused == 0, "all queues go on receiving")
        site.settle()
        for worker in site.gateway.statistics.dropFirst() {
            #expect(worker[.transmitted] == UInt64(rounds * ownEachRound))
        }
        #expect(site.drops[.handoverRingFull, default: 0] > 0)
        #expect(site.drops.keys.allSatisfy { $0 == .outputOverload || $0 == .handoverRingFull }, "\(site.drops)")
        #expect(site.lostFrames == 0)
    }

    /// A link that is down for a while: packets are dropped unsealed, then traffic goes on without a gap in the numbers.
    @Test func linkIsDown() throws {
        let flood = try Flood(workers: 2)
        let site = flood.site
        _ = flood.work(rounds: 40, link: 0)
        #expect(site[.protected] == UInt64(Self.ringSize), "as many as the ring holds")
        // The first round still finds the ring full.
        let work = flood.work(rounds: 9)
        #expect(work.sent == 8 * 2 * UInt64(Self.batch))
        #expect(site.outbound[0].status(now: 0).packets == site[.transmitted])
        #expect(site.drops.keys.allSatisfy { $0 == .outputOverload || $0 == .handoverRingFull }, "\(site.drops)")
        #expect(site.lostFrames == 0)
    }

    /// Packets that have to leave in fragments, before or after encryption, need the room of all of them.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func fragmentsNeedRoom(family: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions(),
            MemorySite.Options {
                $0.wanMTU = 1280
                $0.ringSize = 128
                $0.framesPerWorker = 1024
            })
        let site = network.left
        var packet = IPPacket(from: site.plan.host(family), to: network.right.plan.host(family), size: 1270)
        packet.dontFragment = false
        let frame = packet.bytes.framed(to: site.plan.lanPort, from: site.plan.hostStation())
        for _ in 0..<12 {
            for _ in 0..<60 { site.gateway.queues[0].lan.deliver(frame) }
            site.gateway.pollOnce(now: site.clock.now)
            site.gateway.queues[0].wan.transmit(upTo: 20)
        }
        #expect(site.drops.keys.allSatisfy { $0 == .outputOverload }, "\(site.drops)")
        let sealed = site[.protected]
        #expect(site.drops[.outputOverload, default: 0] > 0)
        #expect(site[.transmitted] == (family == .ipv4 ? sealed : 2 * sealed))
        #expect(site.outbound[0].status(now: 0).packets == sealed && site.lostFrames == 0)
    }
}
