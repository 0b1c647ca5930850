import Dataplane
import IKEv2
import IPsec
import Packets
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// Limits of CHILD_SAs reach the manager, once each.
@Suite struct LimitTests {
    @Test func softThenHard() throws {
        let lab = try ChildLab()
        let pair = try lab.connect(ChildLab.Options { $0.lifetime = Lifetime(softPackets: 5, hardPackets: 10) })
        #expect(lab.carries() && lab.left.news() == [])
        #expect(lab.carries(count: 1))
        #expect(lab.left.news() == [.softLimit(inboundSPI: pair.left.inboundSPI)])
        #expect(lab.right.news() == [.softLimit(inboundSPI: pair.right.inboundSPI)])
        #expect(lab.left.news() == [])
        // Nothing came of it: the SA still sends, so it is told of again.
        lab.network.clock.advance(milliseconds: 31_000)
        #expect(lab.left.news() == [.softLimit(inboundSPI: pair.left.inboundSPI)])
        #expect(lab.right.news() == [.softLimit(inboundSPI: pair.right.inboundSPI)])
        #expect(!lab.carries())
        #expect(lab.left.news() == [.hardLimit(inboundSPI: pair.left.inboundSPI)])
        #expect(lab.right.news() == [] && lab.left.news() == [])
        #expect(lab.left.site.drops == [.lifetimePackets: 1])
        lab.remove(pair)
        #expect(lab.left.leftovers == "")
    }

    @Test func bytes() throws {
        let lab = try ChildLab()
        let pair = try lab.connect(ChildLab.Options { $0.lifetime = Lifetime(softBytes: 400, hardBytes: 1_000) })
        #expect(lab.carries())
        #expect(lab.left.news() == [.softLimit(inboundSPI: pair.left.inboundSPI)])
        #expect(!lab.carries(count: 6))
        #expect(lab.left.news() == [.hardLimit(inboundSPI: pair.left.inboundSPI)])
    }

    /// 32-bit sequence numbers ask for a successor long before the last one; extended ones need not.
    @Test func sequenceNumbersRunOut() throws {
        let lab = try ChildLab()
        let comfortable = ChildParameters.lastComfortableSequence
        #expect(comfortable == 3_758_096_384)
        let short = ChildParameters.outbound(try lab.negotiate().left, owner: 0)
        #expect(short.lifetime.softPackets == comfortable && short.lifetime.hardPackets == nil)
        let sooner = try lab.negotiate(ChildLab.Options { $0.lifetime = Lifetime(softPackets: 1_000) })
        #expect(ChildParameters.outbound(sooner.left, owner: 0).lifetime.softPackets == 1_000)
        let long = try lab.negotiate(ChildLab.Options { $0.extended = true })
        #expect(ChildParameters.outbound(long.left, owner: 0).lifetime == .unlimited)
    }

    /// The peer's numbers count too: it sends with one near the end, and its packet is the highest so far.
    @Test func peersSequenceNumbers() throws {
        let lab = try ChildLab()
        let pair = try lab.negotiate()
        try lab.right.dataplane.installInbound(pair.right)
        var parameters = ChildParameters.outbound(pair.left, owner: 0)
        parameters.initialSequence = ChildParameters.lastComfortableSequence - 1
        let sealer = try RawSealer(parameters, now: 1)
        let packet = ChildLab.packets(from: lab.left, to: lab.right, count: 1)[0]
        let plan = lab.right.site.plan
        lab.right.site.receive(
            [sealer.seal(packet, nextHeader: 4, to: plan.wanPort, from: plan.routerStation)], at: .wan)
        #expect(lab.right.site.takeLANPackets().count == 1)
        #expect(lab.right.news() == [.softLimit(inboundSPI: pair.right.inboundSPI)])
    }

    /// Time is the session's: no limit of time reaches the dataplane.
    @Test func timeIsNotTheDataplanes() throws {
        let lab = try ChildLab()
        _ = try lab.connect(
            ChildLab.Options { $0.lifetime = Lifetime(softSecondsAfterAdd: 1, hardSecondsAfterAdd: 2) })
        lab.network.clock.advance(milliseconds: 10_000)
        #expect(lab.carries() && lab.left.news() == [])
    }
}
