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

/// Policies without an SA, and packets that ask for one.
@Suite struct TrapTests {
    private func trap(_ lab: ChildLab, requestID: UInt32 = 7) -> ChildCover {
        lab.cover(name: requestID == 7 ? "net" : "net-\(requestID)", requestID: requestID, acquires: true)
    }

    private func uncover(_ lab: ChildLab, requestID: UInt32 = 7) {
        lab.left.dataplane.uncover(connection: "lab", child: requestID == 7 ? "net" : "net-\(requestID)")
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func firstPacketAsks(family: AddressFamily) throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(trap(lab))
        #expect(!lab.carries(family))
        #expect(lab.left.site.drops == [.noOutboundSA: 5])
        let packet = TrafficSelector(
            source: AddressRange(lab.left.site.plan.host(family)),
            destination: AddressRange(lab.right.site.plan.host(family)), protocol: IPProtocol.udp,
            sourcePorts: 10_000...10_000, destinationPorts: 5_001...5_001)
        #expect(lab.left.news() == [.acquire(requestID: 7, packet: packet)])
        // The SA takes over, and the trap stays below it.
        let pair = try lab.connect()
        #expect(lab.carries(family) && lab.left.news() == [])
        lab.remove(pair)
        #expect(lab.left.steered.map(\.direction) == [.out, .in, .forward, .out, .in, .forward])
        #expect(!lab.carries(family))
        lab.network.clock.advance(milliseconds: 300)
        #expect(!lab.carries(family) && lab.left.news().count == 1)
        uncover(lab)
        #expect(lab.left.leftovers == "")
        #expect(!lab.carries(family) && lab.left.news() == [])
    }

    /// What a narrower SA does not take asks again, and never goes through it.
    @Test func narrowedSALeavesTheRest() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(trap(lab))
        let narrow = TrafficSelector(
            source: AddressRange(lab.left.site.plan.host(.ipv4, 9)),
            destination: AddressRange(lab.right.site.plan.network(.ipv4)))
        let pair = try lab.connect(ChildLab.Options { $0.selectors = [narrow] })
        #expect(!lab.carries())
        #expect(lab.left.news().count == 1 && lab.left.dataplane.usage(of: pair.left)?.outboundPackets == 0)
    }

    /// A flood without SA tells once in a while, per policy, and leaves room for others.
    @Test func floodIsTold() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(trap(lab))
        for _ in 0..<20 {
            lab.left.site.receiveFromLAN(ChildLab.packets(from: lab.left, to: lab.right, count: 100))
            lab.network.clock.advance(milliseconds: 10)
        }
        #expect(lab.left.news().count == 1)
        // Many policies share a budget.
        let host = lab.left.site.plan.host(.ipv4)
        for number in UInt32(0)..<200 {
            let other = TrafficSelector(
                source: AddressRange(host), destination: AddressRange(lab.right.site.plan.host(.ipv4, 1000 + number)))
            var policy = trap(lab, requestID: 100 + number)
            policy.selectors = [other]
            try lab.left.dataplane.cover(policy)
        }
        lab.network.clock.advance(milliseconds: 1_000)
        lab.left.site.receiveFromLAN(
            (0..<200).map {
                IPPacket(from: host, to: lab.right.site.plan.host(.ipv4, 1000 + $0), size: 60).bytes
            })
        let told = lab.left.site.gateway.takeEvents()
        #expect(told.count == 32 && told.allSatisfy { $0.kind == .acquire })
        for number in UInt32(0)..<200 { uncover(lab, requestID: 100 + number) }
        uncover(lab)
        #expect(lab.left.leftovers == "")
    }

    /// A trap that is loaded again with other selectors replaces itself.
    @Test func replacesItself() throws {
        let lab = try ChildLab()
        var policy = trap(lab)
        try lab.left.dataplane.cover(policy)
        let published = lab.left.published
        try lab.left.dataplane.cover(policy)
        #expect(lab.left.published == published, "nothing has changed")
        policy.selectors = [lab.wholeNetworks[0]]
        try lab.left.dataplane.cover(policy)
        #expect(lab.left.steered.filter { $0.direction == .out }.map(\.selector) == [lab.wholeNetworks[0]])
        uncover(lab)
        #expect(lab.left.leftovers == "")
    }
}
