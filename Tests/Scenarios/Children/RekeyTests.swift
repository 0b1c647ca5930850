import Dataplane
import IKEv2
import IPsec
import InMemory
import Packets
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// CHILD_SAs that replace each other under load, step by step as the messages of RFC 7296 section 2.8 let them, with packets
/// on the wire between any two steps.
@Suite struct RekeyTests {
    /// Traffic of both directions, each packet numbered, over a wire that takes some steps.
    private final class Load {
        let lab: ChildLab
        let workers: Int
        private var wire: [(toRight: [[UInt8]], toLeft: [[UInt8]])] = []
        private var number = 0
        var sent: [[UInt8]] = []
        var arrived: [[UInt8]] = []
        static let delay = 3
        static let packetsPerStep = 16

        init(_ lab: ChildLab, workers: Int) {
            self.lab = lab
            self.workers = workers
        }

        /// A burst each way leaves, and what left a few steps ago arrives.
        func step() {
            let family: AddressFamily = number % 32 == 0 ? .ipv6 : .ipv4
            let away = ChildLab.packets(
                from: lab.left, to: lab.right, family, first: number, count: Self.packetsPerStep)
            let back = ChildLab.packets(
                from: lab.right, to: lab.left, family, first: number, count: Self.packetsPerStep)
            number += Self.packetsPerStep
            sent += away + back
            lab.left.site.receiveFromLAN(away) { $0 % self.workers }
            lab.right.site.receiveFromLAN(back) { ($0 / 3) % self.workers }
            wire.append((lab.left.site.takeWAN(), lab.right.site.takeWAN()))
            if wire.count > Self.delay { deliver() }
            lab.network.clock.advance(milliseconds: 1)
        }

        private func deliver() {
            let oldest = wire.removeFirst()
            lab.right.site.receive(oldest.toRight, at: .wan) { ($0 + 1) % self.workers }
            lab.left.site.receive(oldest.toLeft, at: .wan) { ($0 / 2) % self.workers }
            arrived += lab.right.site.takeLANPackets() + lab.left.site.takeLANPackets()
        }

        func drain() { while !wire.isEmpty { deliver() } }

        /// How many packets came that were not sent, or did not come that were; both are 0 when all is well.
        var difference: Int {
            var counts: [[UInt8]: Int] = [:]
            for packet in sent { counts[packet.routed(hops: 2), default: 0] += 1 }
            for packet in arrived { counts[packet, default: 0] -= 1 }
            return counts.values.reduce(0) { $0 + abs($1) }
        }
    }

    /// One rekeying, `isLeft` saying who begins it.
    private func rekey(_ load: Load, _ old: ChildPair, _ options: ChildLab.Options, isLeft: Bool) throws -> ChildPair {
        let lab = load.lab
        let new = try lab.negotiate(options)
        let (initiator, responder) = isLeft ? (lab.left, lab.right) : (lab.right, lab.left)
        let (ours, theirs) = isLeft ? (new.left, new.right) : (new.right, new.left)
        let (ourOld, theirOld) = isLeft ? (old.left, old.right) : (old.right, old.left)
        // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr } -->
        load.step()
        try responder.dataplane.installInbound(theirs)
        //                                                    <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
        load.step()
        try initiator.dataplane.installInbound(ours)
        load.step()
        try initiator.dataplane.installOutbound(ours)
        // INFORMATIONAL { D(old) } -->
        load.step()
        try responder.dataplane.installOutbound(theirs)
        load.step()
        responder.dataplane.removeOutbound(theirOld)
        //                                                    <-- INFORMATIONAL { D(old) }
        load.step()
        initiator.dataplane.removeOutbound(ourOld)
        for _ in 0...Load.delay { load.step() }
        initiator.dataplane.removeInbound(ourOld)
        responder.dataplane.removeInbound(theirOld)
        return new
    }

    @Test(arguments: [1, 2, 3], [false, true])
    func hundredRekeyingsLoseNothing(workers: Int, isEncapsulated: Bool) throws {
        let lab = try ChildLab(workers: workers)
        let options = ChildLab.Options {
            $0.isEncapsulated = isEncapsulated
            $0.outer = isEncapsulated ? .ipv6 : .ipv4
            $0.extended = isEncapsulated
        }
        let load = Load(lab, workers: workers)
        var pair = try lab.connect(options)
        let owner = lab.left.dataplane.children[pair.left.inboundSPI]?.owner
        for number in 0..<100 {
            load.step()
            pair = try rekey(load, pair, options, isLeft: number % 2 == 0)
        }
        load.drain()
        #expect(load.sent.count > 30_000 && load.difference == 0)
        for site in [lab.left, lab.right] {
            #expect(site.site.drops == [:] && site.site.lostFrames == 0)
            #expect(site.dataplane.children.count == 1 && site.dataplane.spis.count == 1)
            let current = site.site.gateway.current
            #expect(current.inboundAssociations.count == 1 && current.outboundAssociations.count == 1)
            #expect(current.policies.count == 6, "three of each family, as before the first rekeying")
            // The tenth SA is with the worker that had the first one.
            #expect(current.outboundAssociations.allSatisfy { $0.parameters.owner == owner })
        }
        lab.remove(pair)
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
    }

    /// All that the old SA sent is seen by the old inbound SA before it goes.
    @Test func oldInboundDrains() throws {
        let lab = try ChildLab()
        let load = Load(lab, workers: 1)
        let old = try lab.connect()
        for _ in 0..<10 { load.step() }
        let new = try lab.negotiate()
        try lab.install(new)
        for _ in 0...Load.delay { load.step() }
        let usage = try #require(lab.right.dataplane.usage(of: old.right))
        let sent = try #require(lab.left.dataplane.usage(of: old.left))
        #expect(usage.inboundPackets == sent.outboundPackets && usage.inboundPackets == 160)
        #expect(usage.inboundBytes == sent.outboundBytes && usage.inboundBytes == 16_000)
        #expect(sent.lastOutbound != nil && usage.lastInbound ?? 0 > sent.lastOutbound ?? 0)
        #expect(lab.left.dataplane.usage(of: new.left)?.outboundPackets == 64)
        lab.remove(old)
        #expect(lab.left.dataplane.usage(of: old.left) == nil)
        load.drain()
        #expect(load.difference == 0)
    }

    /// Both sides rekey at the same time: two new SAs, of which one is taken back unused (section 2.8.1).
    @Test func simultaneous() throws {
        let lab = try ChildLab(workers: 2)
        let load = Load(lab, workers: 2)
        let old = try lab.connect()
        load.step()
        let (winner, loser) = (try lab.negotiate(), try lab.negotiate())
        try lab.right.dataplane.installInbound(winner.right)
        try lab.left.dataplane.installInbound(loser.left)
        load.step()
        try lab.left.dataplane.installInbound(winner.left)
        try lab.right.dataplane.installInbound(loser.right)
        try lab.left.dataplane.installOutbound(winner.left)
        try lab.right.dataplane.installOutbound(loser.right)
        load.step()
        try lab.right.dataplane.installOutbound(winner.right)
        try lab.left.dataplane.installOutbound(loser.left)
        load.step()
        // The newest carries the traffic until it goes; then the one before it does.
        lab.left.dataplane.removeOutbound(loser.left)
        lab.right.dataplane.removeOutbound(loser.right)
        load.step()
        lab.left.dataplane.removeOutbound(old.left)
        lab.right.dataplane.removeOutbound(old.right)
        for _ in 0...Load.delay { load.step() }
        for pair in [old, loser] { lab.remove(pair) }
        for _ in 0..<4 { load.step() }
        load.drain()
        #expect(load.difference == 0 && lab.left.site.drops == [:] && lab.right.site.drops == [:])
        #expect(lab.left.dataplane.children.keys.sorted() == [winner.left.inboundSPI])
        lab.remove(winner)
        #expect(lab.left.leftovers == "" && lab.right.leftovers == "")
    }
}
