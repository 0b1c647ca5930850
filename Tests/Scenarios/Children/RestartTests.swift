import Dataplane
import IKEv2
import IPsec
import InMemory
import Packets
import TestSupport
import Testing

@testable import Gateway

/// What workers tell when one end has lost its SAs, and what they do when the host has lost an address.
@Suite struct RestartTests {
    /// The right site has forgotten its SAs, and the left one goes on.
    private func forget(_ lab: ChildLab, _ pair: ChildPair) {
        lab.right.dataplane.removeOutbound(pair.right)
        lab.right.dataplane.removeInbound(pair.right)
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6], [true, false])
    func aPeerThatGoesOnIsToldOf(outer: AddressFamily, isEncapsulated: Bool) throws {
        let lab = try ChildLab()
        let pair = try lab.connect(
            ChildLab.Options {
                $0.outer = outer
                $0.isEncapsulated = isEncapsulated
            })
        let peer = lab.left.site.plan.wanAddress(outer)
        lab.right.site.gateway.watchedPeers.set([peer])
        #expect(lab.carries() && lab.right.news() == [])
        forget(lab, pair)
        for _ in 0..<20 { #expect(!lab.carries(count: 50)) }
        let told = DataplaneEvent.unknownSPI(pair.right.inboundSPI, from: peer)
        #expect(lab.right.news() == [told], "once in a while, not for each packet")
        lab.network.clock.advance(milliseconds: 300)
        #expect(!lab.carries() && lab.right.news() == [told])
        #expect(lab.right.site.drops == [.unknownSPI: 1005] && lab.right.site.lostFrames == 0)
    }

    @Test func strangersAreNotToldOf() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        forget(lab, pair)
        #expect(!lab.carries() && lab.right.news() == [])
        lab.right.site.gateway.watchedPeers.set([IPAddress(ipv4: 0xC633_6401)])
        lab.network.clock.advance(milliseconds: 300)
        #expect(!lab.carries() && lab.right.news() == [])
    }

    /// Many peers at once share a budget that leaves room for other events.
    @Test func afloodIsToldInPart() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        forget(lab, pair)
        let peers = (0..<200).map { IPAddress(ipv4: 0xCB00_7100 &+ $0) }
        lab.right.site.gateway.watchedPeers.set(peers)
        lab.left.site.receiveFromLAN(ChildLab.packets(from: lab.left, to: lab.right, count: 200))
        let frames = zip(lab.left.site.takeWAN(), peers).map { frame, peer in
            var packet = Array(frame[14...])
            packet.replaceSubrange(12..<16, with: addressBytes(peer))
            return Array(frame[..<14]) + packet.withHeaderChecksum()
        }
        lab.right.site.receive(frames, at: .wan)
        let told = lab.right.site.gateway.takeEvents()
        #expect(told.count == 32 && told.allSatisfy { $0.kind == .unknownSPI })
    }

    // MARK: Silence

    @Test func packetsWithoutAnswerAreNoticed() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        func pass(_ milliseconds: UInt64) { lab.network.clock.advance(milliseconds: milliseconds) }
        let told = [DataplaneEvent.unanswered(inboundSPI: pair.left.inboundSPI)]
        #expect(lab.left.dataplane.takeSilences() == [], "nothing was sent")
        for _ in 0..<10 {
            #expect(lab.carries())
            #expect(lab.left.dataplane.takeSilences() == [])
            pass(200)
            #expect(lab.carriesBack())
            #expect(lab.left.dataplane.takeSilences() == [], "there is an answer")
            pass(1000)
        }
        #expect(lab.carries())
        #expect(lab.left.dataplane.takeSilences() == [])
        pass(490)
        #expect(lab.left.dataplane.takeSilences() == [])
        pass(10)
        #expect(lab.left.dataplane.takeSilences() == told)
        // Again while packets go on, not without.
        pass(2000)
        #expect(lab.left.dataplane.takeSilences() == [])
        #expect(lab.carries() && lab.left.dataplane.takeSilences() == told)
        #expect(lab.carries() && lab.left.dataplane.takeSilences() == [])
        #expect(lab.carriesBack() && lab.left.dataplane.takeSilences() == [])
    }

    // MARK: Own addresses

    @Test func nothingLeavesFromALostAddress() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        let own = lab.left.site.plan.wanAddress(.ipv4)
        lab.left.dataplane.follow(ownAddresses: [own])
        #expect(lab.carries())
        lab.left.dataplane.follow(ownAddresses: [])
        #expect(!lab.carries() && lab.left.site.takeWAN() == [])
        #expect(lab.left.site.drops == [.noOutboundSA: 5])
        // A new SA from there is no better.
        let second = try lab.connect(ChildLab.Options { $0.name = "other" })
        #expect(!lab.carries() && lab.left.site.takeWAN() == [])
        #expect(lab.left.dataplane.takeSilences() == [])
        // It comes back: the sequence goes on.
        lab.left.dataplane.follow(ownAddresses: [own])
        #expect(lab.carries() && lab.carriesBack())
        lab.left.dataplane.follow(ownAddresses: [])
        for pair in [second, pair] { lab.remove(pair) }
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
    }

    /// Moved while the address was lost, to one that is there.
    @Test func aMoveEndsThat() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        lab.left.dataplane.follow(ownAddresses: [lab.left.site.plan.wanAddress(.ipv6)])
        #expect(!lab.carries())
        let path = Path(
            local: Endpoint(lab.left.site.plan.wanAddress(.ipv6), port: 500),
            remote: Endpoint(lab.right.site.plan.wanAddress(.ipv6), port: 500))
        lab.left.dataplane.move(pair.left, to: path, isEncapsulated: false)
        lab.right.dataplane.move(
            pair.right, to: Path(local: path.remote, remote: path.local), isEncapsulated: false)
        #expect(lab.carries())
        lab.remove(pair)
        #expect(lab.left.leftovers == "")
    }
}
