import Dataplane
import IPsec
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Site 2 joins sites 1 and 3: what it decrypts from one it protects for the other.
@Suite struct HubTests {
    private func makeHub(workers: Int = 1, spokeMTU: Int = 1500) throws -> MemoryNetwork {
        let network = try MemoryNetwork(sites: 3, MemorySite.Options { $0.workers = workers })
        let sites = network.sites
        sites[1].interfaces[1].mtu = spokeMTU
        try network.connect(sites[0], sites[1], TunnelOptions { $0.change = { $0.owner = 0 } })
        try network.connect(
            sites[2], sites[1], TunnelOptions { $0.change = { $0.owner = workers - 1 } })
        for (spoke, other) in [(sites[0], sites[2]), (sites[2], sites[0])] {
            for family in [AddressFamily.ipv4, .ipv6] {
                let away = TrafficSelector(source: spoke.plan.network(family), destination: other.plan.network(family))
                func protection(_ one: MemorySite, _ peer: MemorySite) -> SecurityPolicy.Action {
                    .protect(SecurityPolicy.Protection(requestID: TunnelOptions.requestID(one.plan, peer.plan)))
                }
                spoke.policies.append(
                    SecurityPolicy(selector: away, direction: .out, action: protection(spoke, sites[1])))
                sites[1].policies += [
                    SecurityPolicy(selector: away, direction: .forward, action: protection(spoke, sites[1])),
                    SecurityPolicy(selector: away, direction: .out, action: protection(sites[1], other)),
                ]
                other.policies.append(
                    SecurityPolicy(selector: away, direction: .forward, action: protection(sites[1], other)))
            }
        }
        for site in sites { try site.publish() }
        return network
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6], [1, 2, 3])
    func spokeToSpoke(family: AddressFamily, workers: Int) throws {
        let network = try makeHub(workers: workers)
        let sites = network.sites
        for (from, to) in [(sites[0], sites[2]), (sites[2], sites[0])] {
            let packets = (0..<300).map {
                IPPacket(from: from.plan.host(family), to: to.plan.host(family), size: 60 + $0, seed: $0).bytes
            }
            from.receiveFromLAN(packets)
            sites[1].receive(from.takeWAN(), at: .wan) { $0 % workers }
            #expect(sites[1].takeLAN() == [], "nothing leaves the tunnels in the clear")
            to.receive(sites[1].takeWAN(), at: .wan)
            #expect(Set(to.takeLANPackets()) == Set(packets.map { $0.routed(hops: 3) }))
        }
        for site in sites { #expect(site.drops == [:] && site.lostFrames == 0) }
        #expect(sites[1][.opened] == 600 && sites[1][.protected] == 600)
    }

    /// The hop limit ends at the hub: the sender hears of it through its own tunnel, whoever owns which SA.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [1, 2])
    func hopLimit(family: AddressFamily, workers: Int) throws {
        let network = try makeHub(workers: workers)
        let sites = network.sites
        var packet = IPPacket(from: sites[0].plan.host(family), to: sites[2].plan.host(family), size: 80)
        packet.hopLimit = 2
        sites[0].receiveFromLAN([packet.bytes])
        sites[1].receive(sites[0].takeWAN(), at: .wan)
        #expect(sites[1].drops == [.hopLimitExpired: 1])
        sites[0].receive(sites[1].takeWAN(), at: .wan)
        let error = try #require(ICMPMessage(sites[0].takeLANPackets()))
        #expect(error.source == sites[1].plan.lanAddress(family) && error.destination == packet.source)
        #expect(error.type == (family == .ipv4 ? 11 : 3) && error.code == 0)
        #expect(error.quotes(packet.bytes))
        for site in sites { #expect(site.lostFrames == 0) }
    }

    /// The way to the other spoke is narrower than the way to this one: the sender hears by how much.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [1, 2])
    func pathMTU(family: AddressFamily, workers: Int) throws {
        let network = try makeHub(workers: workers, spokeMTU: 1400)
        let sites = network.sites
        let narrow = Int(sites[1].outbound[1].runtime.pointee.mtu)
        #expect(narrow < 1400)
        func send(_ size: Int) throws -> ([[UInt8]], [[UInt8]]) {
            let packet = IPPacket(from: sites[0].plan.host(family), to: sites[2].plan.host(family), size: size)
            sites[0].receiveFromLAN([packet.bytes])
            sites[1].receive(sites[0].takeWAN(), at: .wan)
            let sent = sites[1].takeWAN()
            sites[0].receive(sent, at: .wan)
            sites[2].receive(sent, at: .wan)
            return (sites[0].takeLANPackets(), sites[2].takeLANPackets())
        }
        let (errors, none) = try send(narrow + 1)
        #expect(none == [])
        let error = try #require(ICMPMessage(errors))
        #expect(error.mtu == narrow && error.source == sites[1].plan.lanAddress(family))
        #expect(sites[1].drops == [.tooBigSentICMP: 1])
        #expect(try send(narrow).1.count == 1)
    }
}
