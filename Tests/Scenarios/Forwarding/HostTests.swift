import Dataplane
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Traffic of the gateways' own hosts through the tunnel.
@Suite struct HostTests {
    /// What is decrypted and for the gateway itself goes to its host, as it is: nobody forwarded it.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [1, 2])
    func toHost(family: AddressFamily, workers: Int) throws {
        let network = try MemoryNetwork(TunnelOptions(), MemorySite.Options { $0.workers = workers })
        let (left, right) = (network.left, network.right)
        for round in 0..<10 {
            var packets: [[UInt8]] = []
            for number in 0..<50 {
                var packet = IPPacket(
                    from: left.plan.host(family), to: right.plan.lanAddress(family), size: 60 + number, seed: round)
                packet.hopLimit = UInt8(2 + number)
                packets.append(packet.bytes)
            }
            left.receiveFromLAN(packets)
            right.receive(left.takeWAN(), at: .wan) { $0 % workers }
            #expect(Set(right.gateway.takeHostPackets()) == Set(packets.map { $0.routed(hops: 1) }))
            #expect(right.takeLAN() == [] && right.takeWAN() == [])
        }
        #expect(right[.toHost] == 500)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// Packets of the host are routed by nobody before the tunnel: their hop limit counts from the far gateway on.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [1, 3])
    func fromHost(family: AddressFamily, workers: Int) throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.change = { $0.owner = workers - 1 } }, MemorySite.Options { $0.workers = workers })
        let (left, right) = (network.left, network.right)
        for round in 0..<10 {
            let packets = (0..<20).map { number in
                IPPacket(
                    from: left.plan.lanAddress(family), to: right.plan.host(family), size: 60 + number * 60, seed: round
                ).bytes
            }
            for packet in packets { #expect(left.gateway.sendFromHost(packet)) }
            left.settle()
            right.receive(left.takeWAN(), at: .wan)
            #expect(right.takeLANPackets() == packets.map { $0.routed(hops: 1) })
            _ = left.gateway.takeHostPackets()
        }
        #expect(left[.fromHost] == 200)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// Host to host, and errors about a host's packet go to that host.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [0, 1])
    func answers(family: AddressFamily, owner: Int) throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.change = { $0.owner = owner } }, MemorySite.Options { $0.workers = 2 })
        let (left, right) = (network.left, network.right)
        let echo = IPPacket(from: left.plan.lanAddress(family), to: right.plan.lanAddress(family), size: 200).bytes
        #expect(left.gateway.sendFromHost(echo))
        left.settle()
        right.receive(left.takeWAN(), at: .wan)
        #expect(right.gateway.takeHostPackets() == [echo])

        let tooBig = IPPacket(from: left.plan.lanAddress(family), to: right.plan.host(family), size: 1500).bytes
        #expect(left.gateway.sendFromHost(tooBig))
        left.settle()
        #expect(left.drops == [.tooBigSentICMP: 1])
        let error = try #require(ICMPMessage(left.gateway.takeHostPackets()))
        #expect(error.destination == left.plan.lanAddress(family) && error.quotes(tooBig))
        #expect(error.mtu == Int(left.outbound[0].runtime.pointee.mtu))
        #expect(left.takeLAN() == [] && left.takeWAN() == [])
        for site in network.sites { #expect(site.lostFrames == 0) }
    }

    /// The host takes nothing: the ring fills up, the rest is dropped with its reason, and no frame is lost.
    @Test func hostThatSleeps() throws {
        let network = try MemoryNetwork(
            TunnelOptions(), MemorySite.Options { $0.framesPerWorker = 4096 })
        let (left, right) = (network.left, network.right)
        for _ in 0..<30 {
            let packets = (0..<100).map {
                IPPacket(from: left.plan.host(.ipv4), to: right.plan.lanAddress(.ipv4), size: 80, seed: $0).bytes
            }
            left.receiveFromLAN(packets)
            right.receive(left.takeWAN(), at: .wan)
        }
        #expect(right[.toHost] == 2048)
        #expect(right.drops == [.handoverRingFull: 952])
        #expect(right.gateway.takeHostPackets().count == 2048)
        #expect(right.lostFrames == 0)
    }

    /// Unprotected packets for the gateway itself, let pass by a policy, are the host's too, whatever their hop limit.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func bypassedToHost(family: AddressFamily) throws {
        let network = try MemoryNetwork(sites: 2)
        let left = network.left
        left.policies = [SecurityPolicy(selector: .any(family), direction: .out, action: .bypass)]
        try left.publish()
        var packet = IPPacket(from: left.plan.host(family), to: left.plan.lanAddress(family), size: 90)
        packet.hopLimit = 1
        left.receiveFromLAN([packet.bytes])
        #expect(left.gateway.takeHostPackets() == [packet.bytes])
        #expect(left.drops == [:])
        #expect(left.lostFrames == 0)
    }
}
