import Dataplane
import IKEv2
import IPsec
import InMemory
import Packets
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// Peers whose address, port or encapsulation changes while their SAs live.
@Suite struct MoveTests {
    /// A NAT: other source port (and, for IPv4, another source address) on the way from left to right.
    private func translate(_ frames: [[UInt8]], address: IPAddress? = nil, port: UInt16) -> [[UInt8]] {
        frames.map { frame in
            var packet = Array(frame[14...])
            let header = packet.isIPv4 ? 20 : 40
            if let address { packet.replaceSubrange(12..<16, with: addressBytes(address)) }
            packet.replaceSubrange(header..<header + 2, with: bigEndian(port))
            return Array(frame[..<14]) + packet.withHeaderChecksum()
        }
    }

    private static let options = ChildLab.Options {
        $0.isEncapsulated = true
        $0.leftPort = 30_001
    }

    /// A peer that goes on with IKE on port 500 behind a NAT: ESP in UDP is on 4500 (RFC 7296 section 2.23).
    @Test func encapsulationIsNeverOnPort500() throws {
        let address = SitePlan(1).wanAddress(.ipv4)
        let path = Path(local: Endpoint(address, port: 500), remote: Endpoint(SitePlan(2).wanAddress(.ipv4), port: 500))
        for encapsulation in [
            ChildParameters.outboundEncapsulation(path, true), ChildParameters.inboundEncapsulation(path, true),
        ] {
            #expect(encapsulation == UDPEncapsulation(sourcePort: 4500, destinationPort: 4500))
        }
        #expect(ChildParameters.outboundEncapsulation(path, false) == nil)
    }

    @Test func mappingIsFollowed() throws {
        let lab = try ChildLab()
        let pair = try lab.connect(Self.options)
        func exchange(_ port: UInt16, _ address: IPAddress? = nil) -> Bool {
            let packets = ChildLab.packets(from: lab.left, to: lab.right, count: 6)
            return lab.network.exchange(packets) { self.translate($0, address: address, port: port) }
                == packets.map { $0.routed(hops: 2) }
        }
        #expect(exchange(30_001) && lab.right.news() == [])
        let elsewhere = IPAddress(ipv4: 0xCB00_7163)
        #expect(exchange(30_002, elsewhere), "authenticated packets pass wherever they come from")
        let remote = Endpoint(elsewhere, port: 30_002)
        #expect(lab.right.news() == [.mappingChanged(inboundSPI: pair.right.inboundSPI, remote: remote)])

        let before = try #require(lab.right.dataplane.usage(of: pair.right))
        lab.right.dataplane.move(
            pair.right, to: Path(local: pair.right.path.local, remote: remote), isEncapsulated: true)
        lab.network.clock.advance(milliseconds: 1_000)
        #expect(exchange(30_002, elsewhere) && lab.right.news() == [])
        #expect(lab.right.dataplane.usage(of: pair.right)?.inboundPackets == before.inboundPackets + 6)

        // Answers go to the new place, with the next sequence number.
        lab.right.site.receiveFromLAN(ChildLab.packets(from: lab.right, to: lab.left, count: 1))
        let answer = SentFrame(lab.right.site.takeWAN()[0]).packet
        #expect(Array(answer[16..<20]) == addressBytes(elsewhere) && answer.number16(22) == 30_002)
        #expect(answer.number32(32) == 1)
        lab.remove(pair)
        #expect(lab.right.leftovers == "")
    }

    /// Only authenticated packets count, and late ones of the old mapping do not turn the peer back.
    @Test func forgedAndLatePacketsDoNotMove() throws {
        let lab = try ChildLab()
        _ = try lab.connect(Self.options)
        lab.left.site.receiveFromLAN(ChildLab.packets(from: lab.left, to: lab.right, count: 4))
        let frames = lab.left.site.takeWAN()
        lab.right.site.receive(translate([frames[2]], port: 30_001), at: .wan)
        let late = translate([frames[0]], port: 31_000)
        lab.right.site.receive(late, at: .wan)
        var forged = translate([frames[3]], port: 32_000)
        forged[0][forged[0].count - 1] ^= 1
        lab.right.site.receive(forged, at: .wan)
        lab.right.site.receive(late, at: .wan)
        #expect(lab.right.news() == [])
        #expect(lab.right.site.drops == [.integrityFailure: 1, .replayDuplicate: 1])
        lab.right.site.receive(translate([frames[3]], port: 32_000), at: .wan)
        #expect(lab.right.news().count == 1)
    }

    /// Into UDP and out of it again, in the midst of traffic: no packet is lost, none is taken twice.
    @Test(arguments: [1, 2], [AddressFamily.ipv4, .ipv6])
    func encapsulationChanges(workers: Int, outer: AddressFamily) throws {
        let lab = try ChildLab(workers: workers)
        let pair = try lab.connect(ChildLab.Options { $0.outer = outer })
        var captured: [[UInt8]] = []
        for number in 0..<12 {
            let packets = ChildLab.packets(from: lab.left, to: lab.right, first: number * 20, count: 20)
            lab.left.site.receiveFromLAN(packets) { $0 % workers }
            let frames = lab.left.site.takeWAN()
            let isEncapsulated = number % 2 == 0
            // Each side at its own time: the other form is taken all along (RFC 7296 section 2.23).
            if number % 3 == 1 {
                lab.right.dataplane.move(pair.right, to: pair.right.path, isEncapsulated: isEncapsulated)
            }
            var path = pair.left.path
            if isEncapsulated { (path.local.port, path.remote.port) = (4500, 4500) }
            lab.left.dataplane.move(pair.left, to: path, isEncapsulated: isEncapsulated)
            lab.right.site.receive(frames, at: .wan) { ($0 + 1) % workers }
            #expect(lab.right.site.takeLANPackets().count == 20)
            captured += frames
        }
        #expect(lab.right.site.drops == [:])
        #expect(lab.right.dataplane.usage(of: pair.right)?.inboundPackets == 240)
        // The replay window is the same one all along.
        lab.right.site.receive(captured, at: .wan)
        #expect(lab.right.site.drops == [.replayDuplicate: 240] && lab.right.site.takeLAN() == [])
        // Sequence numbers have gone on without a gap.
        #expect(lab.left.site.gateway.current.outboundAssociations.map { $0.usage.sequence } == [240])
        lab.remove(pair)
        #expect(lab.left.leftovers == "" && lab.left.site.lostFrames == 0)
    }

    /// A peer whose mapping has changed says goodbye: its SA moves and goes in one step. A worker that has heard of neither
    /// still sends by the SA, with headers that are whole.
    @Test(arguments: [1, 3])
    func movedAndRemovedInOneStep(moves: Int) throws {
        let lab = try ChildLab()
        let pair = try lab.connect(Self.options)
        let places = (0...moves).map { Endpoint(IPAddress(ipv4: 0xCB00_7100 + UInt32($0)), port: UInt16(31_000 + $0)) }
        lab.right.isDeferred = true
        for place in places {
            let path = Path(local: pair.right.path.local, remote: place)
            lab.right.dataplane.move(pair.right, to: path, isEncapsulated: true)
        }
        lab.right.dataplane.removeOutbound(pair.right)
        // What the SA's objects had of memory gets other contents.
        let reused = (0..<64).map { _ in [UInt8](repeating: 0xEE, count: 72) }
        lab.right.site.receiveFromLAN(ChildLab.packets(from: lab.right, to: lab.left, count: 3))
        #expect(reused.allSatisfy { $0.count == 72 })
        let expected = pair.right.path.local.address
        let ends = places.map(\.address) + [pair.right.path.remote.address]
        for frame in lab.right.site.takeWAN() {
            let packet = SentFrame(frame).packet
            #expect(packet[0] == 0x45 && Array(packet[12..<16]) == addressBytes(expected))
            #expect(ends.contains { addressBytes($0) == Array(packet[16..<20]) })
            #expect(packet.number32(28) == pair.right.outboundSPI.value)
        }
        #expect(lab.right.site.drops == [:])
        lab.right.dataplane.settle()
        lab.right.isDeferred = false
        lab.right.site.receiveFromLAN(ChildLab.packets(from: lab.right, to: lab.left, count: 3))
        #expect(lab.right.site.takeWAN() == [] && lab.right.site.drops == [.noPolicy: 3])
        lab.remove(pair)
        #expect(lab.right.leftovers == "" && lab.right.site.lostFrames == 0)
    }

    /// Our own address changes.
    @Test func localAddressChanges() throws {
        let lab = try ChildLab()
        let pair = try lab.connect()
        #expect(lab.carries())
        let other = IPAddress(ipv4: 0xC633_6407)
        var path = pair.right.path
        path.local.address = other
        lab.right.dataplane.move(pair.right, to: path, isEncapsulated: false)
        #expect(!lab.carries() && lab.right.site.drops == [.spiDestinationMismatch: 5])
        path = pair.left.path
        path.remote.address = other
        lab.left.dataplane.move(pair.left, to: path, isEncapsulated: false)
        #expect(lab.carries() && lab.right.site.drops == [.spiDestinationMismatch: 5])
    }
}
