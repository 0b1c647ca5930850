import Cryptography
import IPsec
import Packets
import Telemetry
import TestSupport
import Testing

/// Limits of SAs as whole gateways keep them: the packet that crosses a limit is carried, the next one is not.
@Suite struct LifetimeTests {
    private func network(_ lifetime: Lifetime) throws -> MemoryNetwork {
        try MemoryNetwork(TunnelOptions { $0.change = { $0.lifetime = lifetime } })
    }

    @Test func packets() throws {
        let network = try network(Lifetime(softPackets: 4, hardPackets: 10))
        let packets = network.packets(count: 25)
        #expect(network.exchange(Array(packets[..<4])).count == 4)
        #expect(network.exchange(Array(packets[4..<5])).count == 1)
        #expect(network.left.outbound[0].events == [.firstUse, .softPackets])
        #expect(network.right.inbound[0].events == [.firstUse, .softPackets])
        #expect(network.exchange(Array(packets[5...])) == packets[5..<10].map { $0.routed(hops: 2) })
        #expect(network.left.drops == [.lifetimePackets: 15])
        #expect(network.left.outbound[0].events.contains(.hardPackets))
        #expect(network.right.drops == [:])
        #expect(network.left.lostFrames == 0)
    }

    /// Bytes are those of the inner packets.
    @Test func bytes() throws {
        let network = try network(Lifetime(hardBytes: 1000))
        let packets = network.packets(count: 20, size: 300)
        #expect(network.exchange(packets) == packets[..<4].map { $0.routed(hops: 2) })
        #expect(network.left.drops == [.lifetimeBytes: 16])
        #expect(network.left.outbound[0].status(now: 0).bytes == 1200)
    }

    @Test(arguments: [false, true])
    func time(afterUse: Bool) throws {
        let network = try network(
            afterUse ? Lifetime(hardSecondsAfterUse: 10) : Lifetime(softSecondsAfterAdd: 5, hardSecondsAfterAdd: 10))
        let packets = network.packets(count: 3)
        let expected = packets.map { $0.routed(hops: 2) }
        network.clock.advance(milliseconds: 4_000)
        #expect(network.exchange(packets) == expected)
        #expect(network.left.outbound[0].events == .firstUse)
        network.clock.advance(milliseconds: 5_999)
        #expect(network.exchange(packets) == expected)
        #expect(network.left.outbound[0].events == (afterUse ? .firstUse : [.firstUse, .softTime]))
        network.clock.advance(milliseconds: 2)
        if afterUse {
            #expect(network.exchange(packets) == expected)
            network.clock.advance(milliseconds: 4_000)
        }
        #expect(network.exchange(packets) == [])
        #expect(network.left.drops == [.lifetimeTime: 3])
        #expect(network.left.outbound[0].events.contains(.hardTime))
    }

    /// One of the policy's SAs has come to its end: its flows go on by the other, whoever owns it, and no packet is lost.
    @Test(arguments: [1, 2], [Lifetime(hardPackets: 10), Lifetime(hardBytes: 1000), Lifetime(hardSecondsAfterAdd: 2)])
    func flowsGoOnByAnother(workers: Int, lifetime: Lifetime) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.associations = 2
                $0.change = { if $0.spi.value & 1 == 1 { $0.lifetime = lifetime } }
            }, MemorySite.Options { $0.workers = workers })
        let packets = network.packets(count: 60)
        var arrived: [[UInt8]] = []
        for start in stride(from: 0, to: packets.count, by: 20) {
            // By the queue of the worker that owns the limited SA, the newer one.
            network.left.receiveFromLAN(Array(packets[start..<start + 20])) { _ in workers - 1 }
            network.right.receive(network.left.takeWAN(), at: .wan)
            arrived += network.right.takeLANPackets()
            network.clock.advance(milliseconds: 1_500)
        }
        #expect(Set(arrived) == Set(packets.map { $0.routed(hops: 2) }))
        let (living, spent) = (network.left.outbound[0], network.left.outbound[1])
        #expect(!spent.events.isDisjoint(with: .hard) && living.events.isDisjoint(with: .hard))
        #expect(spent.status(now: 0).packets >= 10 && living.status(now: 0).packets >= 20)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// None of the policy's SAs lives: packets are dropped for the reason of one.
    @Test func allAreSpent() throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.associations = 3
                $0.change = { $0.lifetime = Lifetime(hardPackets: 5) }
            })
        #expect(network.exchange(network.packets(count: 40)).count == 15)
        #expect(network.left.drops == [.lifetimePackets: 25] && network.left.lostFrames == 0)
    }

    /// The receiver keeps its own limits, against a sender that has none.
    @Test func receiver() throws {
        let network = try MemoryNetwork(TunnelOptions { $0.change = { $0.lifetime = Lifetime(hardPackets: 6) } })
        let left = network.left
        for association in left.outbound { left.builder.removeOutbound(association) }
        let unlimited = TunnelOptions().parameters(from: left.plan, to: network.right.plan, number: 0, owner: 0)
        try left.builder.addOutbound(OutboundSA(unlimited, engine: OpenSSLEngine(), now: network.clock.now))
        try left.publish()
        let packets = network.packets(count: 10)
        #expect(network.exchange(packets) == packets[..<6].map { $0.routed(hops: 2) })
        #expect(network.right.drops == [.lifetimePackets: 4])
        #expect(left.drops == [:])
    }
}
