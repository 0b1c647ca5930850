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

/// What loaded children cover leaves through their SAs or not at all.
@Suite struct CoverTests {
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [true, false])
    func packetsAreDroppedWithoutSA(family: AddressFamily, acquires: Bool) throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(lab.cover(acquires: acquires))
        func expectClosed() {
            let before = lab.left.site.drops[.noOutboundSA] ?? 0
            #expect(!lab.carries(family) && lab.left.site.drops == [.noOutboundSA: before + 5])
            lab.network.clock.advance(milliseconds: 1_000)
            #expect(lab.left.news().count == (acquires ? 1 : 0), "only a trap asks")
            #expect(lab.left.steered.filter { $0.direction == .out }.map(\.selector) == lab.wholeNetworks)
        }
        expectClosed()
        let pair = try lab.connect()
        #expect(lab.carries(family) && lab.carriesBack(family))
        #expect(lab.left.site.gateway.current.policies.count == 6, "the SA needs no policy of its own")
        lab.left.dataplane.removeOutbound(pair.left)
        expectClosed()
        lab.remove(pair)
        expectClosed()
        lab.left.dataplane.uncover(connection: "lab", child: "net")
        #expect(lab.left.leftovers == "")
    }

    /// A child whose selectors change, with an SA and without: no packet finds a gap.
    @Test func changesInOneStep() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(lab.cover())
        let published = lab.left.published
        try lab.left.dataplane.cover(lab.cover())
        #expect(lab.left.published == published, "nothing has changed")
        lab.left.isDeferred = true
        let narrow = TrafficSelector(
            source: lab.wholeNetworks[0].source, destination: AddressRange(lab.right.site.plan.host(.ipv4)))
        try lab.left.dataplane.cover(lab.cover(selectors: [narrow]))
        #expect(!lab.carries() && lab.left.site.drops == [.noOutboundSA: 5])
        lab.left.dataplane.settle()
        #expect(lab.left.published == published + 1)
        #expect(!lab.carries() && lab.left.site.drops == [.noOutboundSA: 10])
    }

    @Test func theListFollows() throws {
        let lab = try ChildLab()
        #expect(lab.left.dataplane.covered.traffic == [] && lab.left.coverChanges == 0)
        try lab.left.dataplane.cover(lab.cover())
        let list = lab.left.dataplane.covered
        #expect(Set(list.traffic.map(\.selector)) == Set(lab.wholeNetworks) && lab.left.coverChanges == 1)
        #expect(list.traffic.allSatisfy { $0.name == "lab/net" && $0.action == .protect })
        let pair = try lab.connect()
        lab.remove(pair)
        #expect(lab.left.dataplane.covered == list && lab.left.coverChanges == 1, "SAs change nothing")
        var half = lab.cover()
        half.isComplete = false
        try lab.left.dataplane.cover(half)
        #expect(lab.left.dataplane.covered.incomplete == ["lab/net"] && lab.left.coverChanges == 2)
        lab.left.dataplane.uncover(connection: "lab", child: "net")
        #expect(lab.left.dataplane.covered.traffic == [] && lab.left.coverChanges == 3)
    }

    @Test func reservedRequestIDsAreRefused() throws {
        let lab = try ChildLab()
        #expect(throws: InstallationError.self) { try lab.left.dataplane.cover(lab.cover(requestID: 0)) }
        #expect(lab.left.leftovers == "")
    }
}
