import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// A hub that carries from tunnel to tunnel what comes by many queues at once, and the order of what it carries.
@Suite struct HubLoadTests {
    /// One worker decrypts what all queues of the WAN brought: more in a round than are kept at a time.
    @Test(arguments: [1, 6], [64, 256])
    func manyInOneRound(workers: Int, batch: Int) throws {
        let hub = try Hub(workers: workers) { $0.batchSize = batch }
        let packets = (0..<workers * 120).map {
            IPPacket(from: hub.spoke.plan.host(.ipv4), to: hub.other.plan.host(.ipv4), size: 80, seed: $0).bytes
        }
        hub.spoke.receiveFromLAN(packets)
        let frames = hub.spoke.takeWAN()
        for (number, frame) in frames.enumerated() {
            #expect(hub.site.gateway.queues[number % workers].wan.deliver(frame))
        }
        hub.site.settle()
        hub.other.receive(hub.site.takeWAN(), at: .wan)
        #expect(Set(hub.other.takeLANPackets()) == Set(packets.map { $0.routed(hops: 3) }))
        for site in hub.network.sites { #expect(site.drops == [:] && site.lostFrames == 0, "\(site.drops)") }
    }

    /// Large packets that have to be fragmented, and small ones of the same flow behind them: none overtakes another.
    @Test(arguments: [false, true])
    func largeAndSmall(throughHub: Bool) throws {
        let hub = try Hub(workers: 1, wanMTU: 1400)
        // Without the hub's second tunnel: from its own LAN.
        let from = throughHub ? hub.spoke : hub.site
        let packets = (0..<90).map { number in
            var packet = IPPacket(
                from: from.plan.host(.ipv4), to: hub.other.plan.host(.ipv4), size: number % 3 == 0 ? 1360 : 90)
            packet.dontFragment = false
            packet.identification = UInt16(number)
            return packet.bytes
        }
        from.receiveFromLAN(packets, burst: 60)
        if throughHub { hub.site.receive(from.takeWAN(), at: .wan, burst: 60) }
        #expect(hub.site[.fragmented] == 30 && hub.site[.fragments] == 60)
        hub.other.receive(hub.site.takeWAN(), at: .wan, burst: 60)
        let order = hub.other.takeLANPackets().map { Int($0.number16(4)) }
        #expect(order == (0..<90).flatMap { $0 % 3 == 0 ? [$0, $0] : [$0] })
        for site in hub.network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }
}

/// Site 2 between sites 1 and 3. SAs from site 1 belong to its first worker, those to site 3 to its last.
private struct Hub {
    let network: MemoryNetwork
    var spoke: MemorySite { network.sites[0] }
    var site: MemorySite { network.sites[1] }
    var other: MemorySite { network.sites[2] }

    /// `wanMTU`: the hub's.
    init(
        workers: Int, wanMTU: Int = 1500,
        configure: @escaping @Sendable (inout WorkerConfiguration) -> Void = { _ in }
    ) throws {
        network = try MemoryNetwork(
            sites: 3,
            MemorySite.Options {
                $0.workers = workers
                $0.framesPerWorker = 2048
                $0.ringSize = 256
                $0.configure = configure
            })
        let sites = network.sites
        // Room for large packets on the way in.
        for site in sites { site.interfaces[1].mtu = 1600 }
        try network.connect(sites[0], sites[1], TunnelOptions { $0.change = { $0.owner = 0 } })
        sites[1].interfaces[1].mtu = wanMTU
        try network.connect(sites[2], sites[1], TunnelOptions { $0.change = { $0.owner = workers - 1 } })
        for association in sites[1].outbound { association.setPathMTU(wanMTU) }
        let away = TrafficSelector(source: spoke.plan.network(.ipv4), destination: other.plan.network(.ipv4))
        func protection(_ one: MemorySite, _ peer: MemorySite) -> SecurityPolicy.Action {
            .protect(SecurityPolicy.Protection(requestID: TunnelOptions.requestID(one.plan, peer.plan)))
        }
        spoke.policies.append(SecurityPolicy(selector: away, direction: .out, action: protection(spoke, site)))
        site.policies += [
            SecurityPolicy(selector: away, direction: .forward, action: protection(spoke, site)),
            SecurityPolicy(selector: away, direction: .out, action: protection(site, other)),
        ]
        other.policies.append(SecurityPolicy(selector: away, direction: .forward, action: protection(site, other)))
        for site in sites { try site.publish() }
    }
}
