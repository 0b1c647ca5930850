import Cryptography
import Dataplane
import InMemory
import Packets
import Telemetry
import TestSupport
import Testing

/// Packets that arrive at a worker which does not own their SA.
@Suite struct HandoverTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let workers: Int
        let associations: Int
        let family: AddressFamily
        var testDescription: String { "\(workers) workers, \(associations) SAs, IPv\(family.rawValue)" }
    }

    static let cases = [AddressFamily.ipv4, .ipv6].flatMap { family in
        [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 3), (4, 8)].map {
            Case(workers: $0, associations: $1, family: family)
        }
    }

    /// Thousands of packets of many flows at random queues: all arrive, each flow of one queue in its order, and every
    /// frame is accounted for in the end.
    @Test(arguments: cases)
    func thousands(testCase: Case) throws {
        var numbers = SeededNumbers(seed: UInt64(testCase.workers))
        let network = try MemoryNetwork(
            TunnelOptions { $0.associations = testCase.associations },
            MemorySite.Options { $0.workers = testCase.workers })
        let flows = 40
        // A flow stays at its queue, as receive-side scaling has it; the queue is any.
        let queueOfFlow = (0..<flows).map { _ in Int.random(in: 0..<testCase.workers, using: &numbers) }
        var next = [UInt32](repeating: 0, count: flows)
        var expected: [[[UInt8]]] = Array(repeating: [], count: flows)
        for _ in 0..<20 {
            var packets: [[UInt8]] = []
            var queues: [Int] = []
            for _ in 0..<150 {
                let flow = Int.random(in: 0..<flows, using: &numbers)
                var packet = IPPacket(
                    from: network.left.plan.host(testCase.family), to: network.right.plan.host(testCase.family),
                    payload: bigEndian(UInt32(flow)) + bigEndian(next[flow]) + [UInt8](repeating: 7, count: flow))
                packet.sourcePort = UInt16(1000 + flow)
                next[flow] += 1
                packets.append(packet.bytes)
                queues.append(queueOfFlow[flow])
                expected[flow].append(packet.bytes.routed(hops: 2))
            }
            network.left.receiveFromLAN(packets) { queues[$0] }
            let frames = network.left.takeWAN()
            // Packets of one SA come to one queue, which is not always its owner's.
            network.right.receive(frames, at: .wan) { Int(frames[$0].number32(34) + 1) % testCase.workers }
        }
        var arrived: [[[UInt8]]] = Array(repeating: [], count: flows)
        let payload = testCase.family == .ipv4 ? 28 : 48
        for packet in network.right.takeLANPackets() { arrived[Int(packet.number32(payload))].append(packet) }
        #expect(arrived == expected)
        for site in network.sites {
            #expect(site.drops == [:])
            #expect(site[.handedOver] == site[.takenOver])
            #expect(site.lostFrames == 0)
        }
        // A worker with an SA of its own takes that; inbound, the packets came to the wrong queue on purpose.
        #expect((network.left[.handedOver] == 0) == (testCase.associations >= testCase.workers))
        #expect(network.right[.handedOver] == 3000)
        #expect(network.left[.protected] == 3000 && network.right[.opened] == 3000)
    }

    /// Each worker has an SA of its own (RFC 9611): nothing has to be handed over on the way out.
    @Test(arguments: [2, 3, 4])
    func ownAssociations(workers: Int) throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.associations = workers }, MemorySite.Options { $0.workers = workers })
        let packets = network.packets(count: 360)
        network.left.receiveFromLAN(packets) { $0 % workers }
        let frames = network.left.takeWAN()
        network.right.receive(frames, at: .wan) { Int(frames[$0].number32(34) & 0xFFF) }
        #expect(Set(network.right.takeLANPackets()) == Set(packets.map { $0.routed(hops: 2) }))
        #expect(network.left[.handedOver] == 0 && network.right[.handedOver] == 0)
        #expect(network.left.outbound.allSatisfy { $0.status(now: 0).packets == 360 / UInt64(workers) })
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// All traffic comes to one worker, the SA belongs to another: frames flow one way and have to come back, or the one
    /// would run dry.
    @Test(arguments: [1, 2, 3])
    func oneWay(owner: Int) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.change = { $0.owner = owner }
            }, MemorySite.Options { $0.workers = 4 })
        let packets = network.packets(count: 100)
        for _ in 0..<60 {
            #expect(network.left.receiveFromLAN(packets) == 100)
            #expect(network.right.receive(network.left.takeWAN(), at: .wan) == 100)
            #expect(network.right.takeLAN().count == 100)
        }
        for site in network.sites {
            #expect(site.drops == [:])
            #expect(site[.handedOver] == 6000)
            #expect(site.lostFrames == 0)
        }
    }

    /// What a worker marks about a packet goes with it: a packet of the host keeps its hop limit at another worker too.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [0, 1])
    func fromHostToAnotherWorker(family: AddressFamily, owner: Int) throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.change = { $0.owner = owner } }, MemorySite.Options { $0.workers = 2 })
        var packet = IPPacket(from: network.left.plan.lanAddress(family), to: network.right.plan.host(family), size: 90)
        packet.hopLimit = 2
        #expect(network.left.gateway.sendFromHost(packet.bytes))
        network.left.settle()
        network.right.receive(network.left.takeWAN(), at: .wan)
        #expect(network.right.takeLANPackets() == [packet.bytes.routed(hops: 1)])
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }
}
