import Dataplane
import IKEv2
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// What CHILD_SAs bring into the SAD and SPD, and that they take it away again.
@Suite struct InstallationTests {
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [false, true])
    func carriesAndLeavesNothing(outer: AddressFamily, isEncapsulated: Bool) throws {
        let lab = try ChildLab()
        let pair = try lab.connect(
            ChildLab.Options {
                $0.outer = outer
                $0.isEncapsulated = isEncapsulated
            })
        for family in [AddressFamily.ipv4, .ipv6] { #expect(lab.carries(family) && lab.carriesBack(family)) }
        #expect(lab.left.site.drops == [:] && lab.right.site.drops == [:])
        #expect(lab.left.steered.filter { $0.direction == .out }.map(\.selector) == lab.wholeNetworks)
        lab.remove(pair)
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
        #expect(!lab.carries())
        #expect(lab.left.site.drops == [.noPolicy: 5], "the flow cache forgets with the policy")
        // Twice is as good as once.
        lab.remove(pair)
        #expect(lab.left.leftovers == "" && lab.left.site.lostFrames == 0)
    }

    /// What the steering program has no room for is not installed: its packets would go past the gateway.
    @Test func withoutRoomInTheSteeringProgram() throws {
        let lab = try ChildLab()
        lab.left.hasRoom = false
        #expect(!lab.left.dataplane.hasRoom(for: lab.wholeNetworks))
        let pair = try lab.negotiate(ChildLab.Options { _ in })
        let failure = #expect(throws: InstallationError.self) { try lab.left.dataplane.installInbound(pair.left) }
        #expect(failure?.description.contains("no room") == true)
        lab.left.dataplane.releaseSPI(pair.left.inboundSPI)
        lab.left.dataplane.settle()
        #expect(lab.left.leftovers == "")
    }

    /// What comes in one round is one publication, and nothing of it is live before that.
    @Test func comesAndGoesTogether() throws {
        let lab = try ChildLab()
        lab.left.isDeferred = true
        let pairs = try (0..<4).map { number in
            try lab.negotiate(
                ChildLab.Options {
                    $0.name = "net\(number)"
                    $0.requestID = 7 + UInt32(number)
                })
        }
        for pair in pairs { try lab.install(pair) }
        #expect(lab.left.published == 0 && lab.left.steered.isEmpty)
        #expect(lab.left.site.gateway.current.counts == (0, 0, 0))
        lab.left.dataplane.settle()
        lab.left.dataplane.settle()
        #expect(lab.left.published == 1)
        #expect(lab.left.site.gateway.current.counts == (4, 4, 6))
        for family in [AddressFamily.ipv4, .ipv6] { #expect(lab.carries(family)) }
        for pair in pairs { lab.remove(pair) }
        #expect(lab.carries() == false && lab.left.published == 1)
        lab.left.dataplane.settle()
        #expect(lab.left.published == 2 && lab.left.leftovers == "")
    }

    @Test func numbersAreFreeAndNotReserved() throws {
        let lab = try ChildLab()
        let spis = try (0..<2_000).map { _ in try lab.left.dataplane.allocateSPI() }
        #expect(Set(spis).count == spis.count && spis.allSatisfy { $0 > 255 })
        #expect(lab.left.dataplane.spis == Set(spis))
        spis.forEach(lab.left.dataplane.releaseSPI)
        #expect(lab.left.leftovers == "")
        let pair = try lab.connect()
        lab.left.dataplane.releaseSPI(pair.left.inboundSPI)
        #expect(lab.left.dataplane.spis == [pair.left.inboundSPI], "an installed SA keeps its SPI")
    }

    /// The workers' cores are taken: nobody waits for them, and what the peer sends by its new SA meanwhile waits, not longer
    /// than until they are back.
    @Test(arguments: [1, 3])
    func stalledWorkers(workers: Int) throws {
        let lab = try ChildLab(workers: workers)
        let pair = try lab.negotiate()
        lab.right.areWorkersStalled = true
        let before = lab.right.published
        try lab.install(pair)
        #expect(lab.right.published > before)
        let spi = pair.right.inboundSPI
        #expect(lab.right.expectedSPIs.contains(spi), "not seen by all yet")
        lab.right.followWorkers()
        #expect(lab.right.expectedSPIs.contains(spi))
        lab.right.site.round()
        lab.right.followWorkers()
        #expect(!lab.right.expectedSPIs.contains(spi))
        lab.right.areWorkersStalled = false
        #expect(lab.carries() && lab.carriesBack())
        lab.remove(pair)
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
    }

    /// The responder has the SA, and the answer that lets the initiator make it too is overtaken by packets.
    @Test(arguments: [1, 2])
    func packetsBeforeTheAnswerAreKept(workers: Int) throws {
        let lab = try ChildLab(workers: workers)
        let expected = lab.left.expectedSPIs
        let pair = try lab.negotiate()
        #expect(expected.contains(pair.left.inboundSPI) && !expected.contains(pair.right.inboundSPI))
        try lab.right.dataplane.installInbound(pair.right)
        try lab.right.dataplane.installOutbound(pair.right)
        let packets = ChildLab.packets(from: lab.right, to: lab.left, count: 30)
        #expect(lab.network.exchange(packets, from: lab.right.site, to: lab.left.site) == [])
        try lab.left.dataplane.installInbound(pair.left)
        lab.left.site.settle()
        #expect(lab.left.site.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        #expect(!expected.contains(pair.left.inboundSPI), "there it is")
        #expect(lab.left.site.drops == [:] && lab.left.site.lostFrames == 0)
        try lab.left.dataplane.installOutbound(pair.left)
        #expect(lab.carries() && lab.carriesBack())
        lab.remove(pair)
        // One that comes to nothing.
        let failed = try lab.left.dataplane.allocateSPI()
        #expect(expected.contains(failed))
        lab.left.dataplane.releaseSPI(failed)
        #expect(!expected.contains(failed) && lab.left.leftovers == "" && lab.right.leftovers == "")
    }

    /// A refused installation leaves nothing behind.
    @Test func refusals() throws {
        let lab = try ChildLab()
        let pair = try lab.negotiate(ChildLab.Options { $0.requestID = 0 })
        #expect(throws: InstallationError.self) { try lab.left.dataplane.installInbound(pair.left) }
        #expect(throws: InstallationError.self) { try lab.left.dataplane.installOutbound(pair.left) }
        let empty = try lab.negotiate(ChildLab.Options { $0.selectors = [] })
        #expect(throws: InstallationError.self) { try lab.left.dataplane.installInbound(empty.left) }
        let good = try lab.connect()
        #expect(throws: InstallationError.self) { try lab.left.dataplane.installInbound(good.left) }
        #expect(throws: InstallationError.self) { try lab.left.dataplane.installOutbound(good.left) }
        #expect(lab.carries())
        lab.remove(good)
        for spi in [pair.left.inboundSPI, empty.left.inboundSPI] { lab.left.dataplane.releaseSPI(spi) }
        #expect(lab.left.leftovers == "")
    }

    /// An inbound SA carries what was agreed for it and nothing else, even when another child would take it.
    @Test func selectorsBindSAs() throws {
        let lab = try ChildLab()
        func selector(_ last: UInt32) -> TrafficSelector {
            TrafficSelector(
                source: AddressRange(lab.left.site.plan.host(.ipv4, last)),
                destination: AddressRange(lab.right.site.plan.network(.ipv4)))
        }
        let one = try lab.connect(ChildLab.Options { $0.selectors = [selector(2)] })
        let other = try lab.connect(
            ChildLab.Options {
                $0.name = "other"
                $0.requestID = 8
                $0.selectors = [selector(3)]
            })
        #expect(lab.carries())
        #expect(lab.left.dataplane.usage(of: one.left)?.outboundPackets == 5)
        #expect(lab.left.dataplane.usage(of: other.left)?.outboundPackets == 0)
        lab.remove(one)
        #expect(!lab.carries())
        #expect(lab.left.site.drops == [.noPolicy: 5])
    }

    /// Parallel children of one tunnel (RFC 9611) are spread over the workers, and each worker sends with its own.
    @Test func spreadsOverWorkers() throws {
        let workers = 4
        let lab = try ChildLab(workers: workers)
        let pairs = try (0..<workers).map { number in
            try lab.connect(ChildLab.Options { $0.name = "net-\(number)" })
        }
        let owners = pairs.compactMap { lab.left.dataplane.children[$0.left.inboundSPI]?.owner }
        #expect(owners.sorted() == Array(0..<workers))
        let packets = ChildLab.packets(from: lab.left, to: lab.right, count: 64)
        lab.left.site.receiveFromLAN(packets) { $0 % workers }
        #expect(lab.left.site[.handedOver] == 0)
        lab.right.site.receive(lab.left.site.takeWAN(), at: .wan)
        #expect(lab.right.site.takeLANPackets().count == 64)
        for pair in pairs { #expect(lab.left.dataplane.usage(of: pair.left)?.outboundPackets == 16) }
        // A rekeyed one stays where it was.
        let again = try lab.connect(ChildLab.Options { $0.name = "net-2" })
        #expect(lab.left.dataplane.children[again.left.inboundSPI]?.owner == owners[2])
        for pair in pairs + [again] { lab.remove(pair) }
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
    }

    @Test func prioritiesFollowSelectors() {
        let wide = TrafficSelector.any(.ipv4)
        let networks = TrafficSelector(source: SitePlan(1).network(.ipv4), destination: SitePlan(2).network(.ipv4))
        let hosts = TrafficSelector(
            source: AddressRange(SitePlan(1).host(.ipv4)), destination: AddressRange(SitePlan(2).host(.ipv4)))
        let port = TrafficSelector(
            source: hosts.source, destination: hosts.destination, protocol: 6, destinationPorts: 443...443)
        let order = [port, hosts, networks, wide].map(ChildPolicies.priority)
        #expect(order == order.sorted() && Set(order).count == 4)
        #expect(ChildPolicies.priority(.any(.ipv6)) == ChildPolicies.basePriority)
    }
}
