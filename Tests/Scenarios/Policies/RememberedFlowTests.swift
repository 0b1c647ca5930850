import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// A hub with tunnels to two sites, whose workers know the flows of both: a change of what one rests on makes its packets be
/// decided anew, at once, and those of the other not at all.
@Suite struct RememberedFlowTests {
    /// Site 1 is the hub; flow 0 is with site 2, flow 1 with site 3.
    private final class Hub {
        let network: MemoryNetwork
        var hub: MemorySite { network.sites[0] }
        static let perFlow = 3

        init() throws {
            network = try MemoryNetwork(sites: 3)
            for other in 1...2 { try network.connect(hub, network.sites[other]) }
            // Everything is known from now on.
            #expect(try send() == [Seen(arrived: Self.perFlow, misses: 1), Seen(arrived: Self.perFlow, misses: 1)])
            #expect(try sendBack() == [Seen(arrived: Self.perFlow, misses: 1), Seen(arrived: Self.perFlow, misses: 1)])
            #expect(try send() == [.remembered, .remembered])
            #expect(try sendBack() == [.remembered, .remembered])
        }

        /// What became of the packets of a flow, and how many the hub had to decide about.
        struct Seen: Equatable {
            var arrived: Int
            var misses: UInt64
            static let remembered = Seen(arrived: perFlow, misses: 0)
            static let decidedAgain = Seen(arrived: perFlow, misses: 1)
            static let refused = Seen(arrived: 0, misses: UInt64(perFlow))
        }

        /// What the hub does with packets to each of the sites.
        func send() throws -> [Seen] {
            (1...2).map { number in
                let site = network.sites[number]
                let packets = packets(from: hub, to: site)
                return observe { network.exchange(packets, from: hub, to: site) == packets.map { $0.routed(hops: 2) } }
            }
        }

        /// What it does with packets from each.
        func sendBack() throws -> [Seen] {
            (1...2).map { number in
                let site = network.sites[number]
                let packets = packets(from: site, to: hub)
                return observe { network.exchange(packets, from: site, to: hub) == packets.map { $0.routed(hops: 2) } }
            }
        }

        private func packets(from: MemorySite, to: MemorySite) -> [[UInt8]] {
            (0..<Self.perFlow).map {
                IPPacket(from: from.plan.host(.ipv4), to: to.plan.host(.ipv4), size: 100, seed: $0).bytes
            }
        }

        private func observe(_ arrive: () -> Bool) -> Seen {
            let before = hub[.flowMisses]
            let all = arrive()
            return Seen(arrived: all ? Self.perFlow : 0, misses: hub[.flowMisses] - before)
        }

        func publish() { hub.gateway.publish(hub.builder.build()) }

        func discard(_ direction: SecurityPolicy.Direction, from: SitePlan, to: SitePlan) throws {
            _ = try hub.builder.addPolicy(
                SecurityPolicy(
                    selector: TrafficSelector(
                        source: IPPrefix(host: from.host(.ipv4)), destination: IPPrefix(host: to.host(.ipv4))),
                    direction: direction, action: .discard, priority: 0, name: "test"))
        }
    }

    @Test func aSnapshotAloneEndsNothing() throws {
        let lab = try Hub()
        for _ in 0..<3 { lab.publish() }
        #expect(try lab.send() == [.remembered, .remembered])
        #expect(try lab.sendBack() == [.remembered, .remembered])
    }

    @Test func rekeyingConcernsItsOwnFlows() throws {
        let lab = try Hub()
        let other = lab.network.sites[1]
        let old = (lab.hub.outbound[0], lab.hub.inbound[0])
        try lab.network.addAssociations(from: other, to: lab.hub, TunnelOptions(), first: 1)
        try lab.network.addAssociations(from: lab.hub, to: other, TunnelOptions(), first: 1)
        try other.publish()
        lab.publish()
        #expect(try lab.send() == [.decidedAgain, .remembered])
        #expect(try lab.sendBack() == [.decidedAgain, .remembered], "a new SA of the peer's")
        #expect(lab.hub.outbound[2].status(now: 0).packets > 0, "the new SA is used")
        lab.hub.builder.removeOutbound(old.0)
        lab.hub.builder.removeInbound(spi: old.1.parameters.spi)
        lab.publish()
        #expect(try lab.send() == [.decidedAgain, .remembered])
        #expect(try lab.sendBack() == [.remembered, .remembered])
        #expect(lab.hub.drops == [:])
    }

    @Test func anSAThatGoesIsUsedNoMore() throws {
        let lab = try Hub()
        lab.hub.builder.removeOutbound(lab.hub.outbound[0])
        lab.publish()
        #expect(try lab.send() == [.refused, .remembered])
        #expect(lab.hub.drops == [.noOutboundSA: 3])
        #expect(try lab.sendBack() == [.remembered, .remembered])
        lab.hub.builder.removeInbound(spi: lab.hub.inbound[0].parameters.spi)
        lab.publish()
        #expect(try lab.sendBack() == [Hub.Seen(arrived: 0, misses: 0), .remembered])
        #expect(lab.hub.drops == [.noOutboundSA: 3, .unknownSPI: 3])
    }

    @Test func policiesThatComeConcernWhatTheyOverlap() throws {
        let lab = try Hub()
        let plans = lab.network.sites.map(\.plan)
        try lab.discard(.out, from: plans[0], to: SitePlan(9))
        try lab.discard(.forward, from: SitePlan(9), to: plans[0])
        lab.publish()
        #expect(try lab.send() == [.remembered, .remembered])
        // These SAs have no selectors of their own, so a policy may speak about the packets of any.
        #expect(try lab.sendBack() == [.decidedAgain, .decidedAgain])
        try lab.discard(.out, from: plans[0], to: plans[1])
        lab.publish()
        #expect(try lab.send() == [.refused, .remembered])
        #expect(try lab.sendBack() == [.remembered, .remembered])
        #expect(lab.hub.drops == [.notEncryptedByPolicy: 3])
    }

    @Test(arguments: [SecurityPolicy.Direction.forward, .in])
    func policiesAboutDecryptedPackets(direction: SecurityPolicy.Direction) throws {
        let lab = try Hub()
        let plans = lab.network.sites.map(\.plan)
        try lab.discard(direction, from: plans[1], to: plans[0])
        lab.publish()
        let first: Hub.Seen = direction == .forward ? .refused : .decidedAgain
        #expect(try lab.sendBack() == [first, .decidedAgain])
        #expect(try lab.send() == [.remembered, .remembered])
    }

    /// A neighbour's new address is used at once, and nothing is decided anew for it, nor for those that come and go.
    @Test func neighboursEndNothing() throws {
        let lab = try Hub()
        let hub = lab.hub
        let moved = MACAddress(0x0200_0000_0777)
        for address in [hub.plan.router(.ipv4), hub.plan.host(.ipv4)] {
            hub.neighbours = hub.neighbours.map {
                var entry = $0
                if entry.address == address { entry.state = .resolved(moved) }
                return entry
            }
        }
        hub.neighbours.insert(
            NeighbourEntry(
                interfaceIndex: SitePlan.lanInterface, address: hub.plan.host(.ipv4, 77),
                state: .resolved(MACAddress(0x0200_0000_0888))), at: 0)
        hub.builder.setNeighbours(hub.neighbours)
        lab.publish()
        #expect(try lab.send() == [.remembered, .remembered])
        #expect(try lab.sendBack() == [.remembered, .remembered])
        let packet = IPPacket(from: hub.plan.host(.ipv4), to: lab.network.sites[1].plan.host(.ipv4), size: 100).bytes
        hub.receiveFromLAN([packet])
        let frames = hub.takeWAN()
        #expect(frames.count == 1 && frames.allSatisfy { Array($0.prefix(6)) == [2, 0, 0, 0, 7, 0x77] })
    }

    /// A neighbour that is gone is not sent to any more, though the flow is remembered; when it is back, nothing was lost.
    @Test func aNeighbourThatGoesIsAskedFor() throws {
        let lab = try Hub()
        let hub = lab.hub
        let known = hub.neighbours
        hub.neighbours.removeAll { $0.address == hub.plan.host(.ipv4) }
        hub.builder.setNeighbours(hub.neighbours)
        lab.publish()
        #expect(try lab.send() == [.remembered, .remembered])
        #expect(try lab.sendBack().map(\.arrived) == [0, 0])
        let wanted = hub.gateway.takeEvents()
        #expect(wanted.map(\.address) == [hub.plan.host(.ipv4)])
        #expect(hub[.waiting] == 6)
        hub.builder.setNeighbours(known)
        lab.publish()
        hub.settle()
        #expect(hub.takeLAN().count == 6)
        #expect(try lab.sendBack() == [.remembered, .remembered])
        #expect(hub.drops == [:] && hub.lostFrames == 0)
    }

    /// A change of routes is felt by all, once.
    @Test func routesConcernAll() throws {
        let lab = try Hub()
        let hub = lab.hub
        hub.routes.append(
            RouteEntry(prefix: IPPrefix(host: lab.network.sites[1].plan.wanAddress(.ipv4)), kind: .blackhole))
        hub.builder.setRoutes(hub.routes)
        lab.publish()
        #expect(try lab.send() == [Hub.Seen(arrived: 0, misses: 1), .decidedAgain])
        #expect(try lab.sendBack() == [.decidedAgain, .decidedAgain])
        #expect(try lab.sendBack() == [.remembered, .remembered])
        #expect(hub.drops == [.routeUnreachable: 3])
    }
}
