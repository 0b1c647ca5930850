import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Next hops that are not known, not there, or on a VLAN.
@Suite struct NeighbourTests {
    static let families: [AddressFamily] = [.ipv4, .ipv6]

    /// A few packets wait while the kernel asks; a snapshot with the answer sends them, in order.
    @Test(arguments: families, [MemorySite.Port.lan, .wan])
    func waiting(family: AddressFamily, port: MemorySite.Port) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = family })
        let (left, right) = (network.left, network.right)
        let site = port == .wan ? left : right
        let address = port == .wan ? left.plan.router(family) : right.plan.host(family)
        let known = site.neighbours
        site.neighbours.removeAll { $0.address == address }
        try site.publish()
        let packets = network.packets(family, count: 10)
        #expect(network.exchange(packets) == [])
        #expect(site[.waiting] == 10)
        let wanted = site.gateway.takeEvents()
        #expect(wanted.count == 1, "told once, not for each packet")
        let interface = port == .wan ? SitePlan.wanInterface : SitePlan.lanInterface
        #expect(
            wanted.allSatisfy {
                $0.kind == .neighbourWanted && $0.number == interface && $0.address == address
            })
        #expect(site.lostFrames == 0, "those that wait are accounted for")

        // News about others changes nothing for them.
        try site.publish()
        site.settle()
        #expect(site.takeWAN() == [] && site.takeLAN() == [])
        site.neighbours = known
        try site.publish()
        site.settle()
        right.receive(left.takeWAN(), at: .wan)
        #expect(right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        #expect(site[.transmitted] == 10)
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// What was decrypted and waits for a LAN host does not leave in clear by the WAN when the LAN's route goes away meanwhile:
    /// policies are asked as for any packet out of a tunnel that leads elsewhere.
    @Test(arguments: families, ["gone", "protected", "bypassed", "local", "smaller"])
    func routeChangesWhileDecryptedWait(family: AddressFamily, change: String) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        let host = right.plan.host(family)
        let known = right.neighbours
        right.neighbours.removeAll { $0.address == host }
        try right.publish()
        let packets = (0..<3).map { number in
            var packet = IPPacket(from: left.plan.host(family), to: host, size: 100, seed: number)
            packet.dontFragment = false
            return packet.bytes
        }
        #expect(network.exchange(packets) == [] && right[.waiting] == 3)
        right.routes.removeAll { $0.prefix == right.plan.network(family) }
        right.neighbours = known
        let out = TrafficSelector(source: left.plan.network(family), destination: right.plan.network(family))
        switch change {
        case "protected":
            right.policies.append(
                SecurityPolicy(selector: out, direction: .out, action: .protect(.init(requestID: 99))))
        case "bypassed":
            right.policies.append(SecurityPolicy(selector: out, direction: .out, action: .bypass))
        case "local": right.routes.append(RouteEntry(prefix: IPPrefix(host: host), kind: .local))
        case "smaller":
            right.routes.append(
                RouteEntry(
                    prefix: right.plan.network(family),
                    kind: .unicast(interfaceIndex: SitePlan.lanInterface, gateway: nil)))
            right.interfaces[0].mtu = 84
        default: break
        }
        try right.publish()
        right.settle()
        let sent = right.takeWAN().map { SentFrame($0).packet }
        switch change {
        case "protected": #expect(right.drops == [.noOutboundSA: 3])
        case "bypassed": #expect(sent == packets.map { $0.routed(hops: 2) } && right.drops == [:])
        case "local": #expect(right.drops == [.localDeliveryUnavailable: 3])
        case "smaller": #expect(family == .ipv4 ? right[.fragments] == 6 : right.drops == [.tooBigSentICMP: 3])
        default: #expect(right.drops == [.noPolicy: 3])
        }
        if change != "bypassed" {
            #expect(sent.allSatisfy { $0.isIPv4 ? $0[9] == IPProtocol.esp : $0[6] == IPProtocol.esp })
        }
        #expect(right.takeLANPackets().allSatisfy { $0.count <= 84 })
        #expect(right.gateway.takeHostPackets() == [] && right.lostFrames == 0)
    }

    /// A packet that a policy lets pass in clear waits; when the policies change meanwhile, the new ones decide.
    @Test(arguments: families, [false, true])
    func policiesChangeWhilePlainPacketsWait(family: AddressFamily, isDiscarded: Bool) throws {
        let network = try MemoryNetwork(sites: 2)
        let left = network.left
        let known = left.neighbours
        left.policies = [SecurityPolicy(selector: .any(family), direction: .out, action: .bypass)]
        left.neighbours.removeAll { $0.address == left.plan.router(family) }
        try left.publish()
        left.receiveFromLAN(network.packets(family, count: 4))
        #expect(left[.waiting] == 4)
        left.policies = [
            SecurityPolicy(
                selector: .any(family), direction: .out,
                action: isDiscarded ? .discard : .protect(.init(requestID: 99)))
        ]
        left.neighbours = known
        try left.publish()
        left.settle()
        #expect(left.takeWAN() == [])
        #expect(left.drops == [isDiscarded ? .notEncryptedByPolicy : .noOutboundSA: 4])
        #expect(left.lostFrames == 0)
    }

    /// Of packets for one neighbour the latest are kept (RFC 1122 section 2.3.2.2).
    @Test(arguments: families)
    func theLatestAreKept(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let right = network.right
        let known = right.neighbours
        right.neighbours.removeAll { $0.address == right.plan.host(family) }
        try right.publish()
        let packets = network.packets(family, count: 40)
        #expect(network.exchange(packets) == [])
        #expect(right[.waiting] == 16)
        right.neighbours = known
        try right.publish()
        right.settle()
        #expect(right.takeLANPackets() == packets.suffix(16).map { $0.routed(hops: 2) })
        #expect(right.drops == [.neighbourQueueFull: 24] && right.lostFrames == 0)
    }

    /// Hosts behind a peer look for addresses that nobody has, thousands a second. Another sender behind the same peer, and
    /// one behind another peer, still get through to a host that is not resolved yet.
    @Test(arguments: families)
    func aScanStarvesNobody(family: AddressFamily) throws {
        let network = try MemoryNetwork(sites: 3)
        let (left, right, third) = (network.sites[0], network.sites[1], network.sites[2])
        try network.connect(left, right)
        try network.connect(third, right)
        let known = right.neighbours
        let wanted = [3, 4].map { right.plan.host(family, $0) }
        right.neighbours.removeAll { wanted.contains($0.address) }
        try right.publish()
        func scan(from first: UInt32) {
            let probes = (0..<400).map { number in
                IPPacket(
                    from: left.plan.host(family, 66), to: right.plan.host(family, first + UInt32(number)), size: 100
                ).bytes
            }
            left.receiveFromLAN(probes)
            right.receive(left.takeWAN(), at: .wan)
        }
        scan(from: 1000)
        let good = IPPacket(from: left.plan.host(family), to: wanted[0], size: 100).bytes
        let other = IPPacket(from: third.plan.host(family), to: wanted[1], size: 100).bytes
        left.receiveFromLAN([good])
        right.receive(left.takeWAN(), at: .wan)
        third.receiveFromLAN([other])
        right.receive(third.takeWAN(), at: .wan)
        // The scan goes on while the kernel is asked.
        scan(from: 2000)
        let events = right.gateway.takeEvents()
        #expect(events.allSatisfy { $0.kind == .neighbourWanted && $0.source.family == family })
        #expect(Set(events.map(\.address)).isSuperset(of: wanted))
        #expect(events.count <= 20, "so much from one sender at once, and no more")
        right.neighbours = known
        try right.publish()
        right.settle()
        let arrived = right.takeLANPackets()
        #expect(arrived.contains(other.routed(hops: 2)))
        #expect(right.drops[.neighbourQueueFull] != nil && right.lostFrames == 0)
        #expect(right[.waiting] > 0)
    }

    /// A scan fills the ring of events with nothing but its own part: a policy that lacks its SA is told of.
    @Test func aScanLeavesRoomForOtherEvents() throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        right.policies.append(
            SecurityPolicy(
                selector: TrafficSelector(
                    source: right.plan.network(.ipv4), destination: SitePlan(9).network(.ipv4)),
                direction: .out, action: .protect(SecurityPolicy.Protection(requestID: 99))))
        try right.publish()
        for sender in 0..<64 {
            left.receiveFromLAN(
                (0..<32).map { number in
                    IPPacket(
                        from: left.plan.host(.ipv4, 100 + UInt32(sender)),
                        to: right.plan.host(.ipv4, 1000 + UInt32(sender * 32 + number)), size: 60
                    ).bytes
                })
            right.receive(left.takeWAN(), at: .wan)
            network.clock.advance(milliseconds: 100)
        }
        right.receiveFromLAN([IPPacket(from: right.plan.host(.ipv4), to: SitePlan(9).host(.ipv4), size: 60).bytes])
        let events = right.gateway.takeEvents()
        #expect(events.contains { $0.kind == .acquire && $0.number == 99 })
        #expect(events.count { $0.kind == .neighbourWanted } <= 32)
    }

    /// What could not be told is told again by the next packet, not a quarter of a second later.
    @Test func anEventThatWasLostIsToldAgain() throws {
        let network = try MemoryNetwork(sites: 1)
        let site = network.left
        site.policies = (0..<100).map { number in
            SecurityPolicy(
                selector: TrafficSelector(
                    source: site.plan.network(.ipv4), destination: SitePlan(10 + UInt32(number)).network(.ipv4)),
                direction: .out, action: .protect(SecurityPolicy.Protection(requestID: 100 + UInt32(number))))
        }
        try site.publish()
        func send(_ numbers: Range<UInt32>) {
            for number in numbers {
                site.receiveFromLAN([
                    IPPacket(from: site.plan.host(.ipv4), to: SitePlan(10 + number).host(.ipv4), size: 60).bytes
                ])
                network.clock.advance(milliseconds: 1)
            }
        }
        send(0..<64)
        // The ring is full.
        send(64..<65)
        #expect(site.gateway.takeEvents().map(\.number) == (100..<164).map { $0 })
        send(64..<65)
        #expect(site.gateway.takeEvents().map(\.number) == [164])
    }

    /// A decrypted packet waits, and the route to its network goes: it does not leave by the WAN in clear.
    @Test(arguments: families)
    func theRouteGoesWhileAPacketWaits(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let right = network.right
        right.neighbours.removeAll { $0.address == right.plan.host(family) }
        try right.publish()
        #expect(network.exchange(network.packets(family, count: 3)) == [])
        #expect(right[.waiting] == 3)
        right.routes.removeAll { $0.prefix == right.plan.network(family) }
        try right.publish()
        right.settle()
        #expect(right.takeWAN() == [] && right.takeLAN() == [])
        #expect(right.drops == [.noPolicy: 3] && right.lostFrames == 0)
    }

    /// No answer in time: the packets end with their reason. Meanwhile, no more than the queue holds wait.
    @Test(arguments: families)
    func expiry(family: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions(),
            MemorySite.Options {
                $0.configure = {
                    $0.neighbourQueueCapacity = 8
                    $0.neighbourWaitInNanoseconds = 500_000_000
                }
            })
        let right = network.right
        right.neighbours.removeAll { $0.address == right.plan.host(family) }
        try right.publish()
        #expect(network.exchange(network.packets(family, count: 20)) == [])
        #expect(right.drops == [.neighbourQueueFull: 18], "a quarter of the places for one neighbour")
        network.clock.advance(milliseconds: 500)
        right.settle()
        #expect(right.drops == [.neighbourQueueFull: 18])
        network.clock.advance(milliseconds: 1)
        right.settle()
        #expect(right.drops == [.neighbourQueueFull: 18, .neighbourUnresolved: 2])
        #expect(right.lostFrames == 0)
        // The sender hears of both.
        network.left.receive(right.takeWAN(), at: .wan)
        let answers = network.left.takeLANPackets()
        #expect(answers.count == 2)
        #expect(ICMPMessage(Array(answers.prefix(1)))?.type == (family == .ipv4 ? 3 : 1))
        // Others are not held up.
        let other = IPPacket(from: network.left.plan.host(family), to: right.plan.host(family, 3), size: 100).bytes
        #expect(network.exchange([other]) == [other.routed(hops: 2)])
    }

    /// A neighbour that does not answer, and routes that refuse: the sender hears of it through the tunnel.
    @Test(arguments: families, [0, 1, 2, 3, 4])
    func refused(family: AddressFamily, kind: Int) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = family == .ipv4 ? .ipv6 : .ipv4 })
        let (left, right) = (network.left, network.right)
        let host = right.plan.host(family)
        let reason: DropReason
        var code: UInt8? = family == .ipv4 ? 1 : 3
        switch kind {
        case 0:
            right.neighbours = right.neighbours.map {
                $0.address == host
                    ? NeighbourEntry(interfaceIndex: $0.interfaceIndex, address: host, state: .failed) : $0
            }
            reason = .neighbourFailed
        case 1:
            right.interfaces[0].isUp = false
            right.neighbours.removeAll { $0.interfaceIndex == SitePlan.lanInterface }
            reason = .routeUnreachable
        case 2:
            right.routes.append(RouteEntry(prefix: IPPrefix(host: host), kind: .blackhole))
            reason = .routeUnreachable
            code = nil
        case 3:
            right.routes.removeAll { $0.prefix.contains(host) }
            reason = .noRoute
            code = 0
        default:
            right.routes.append(RouteEntry(prefix: IPPrefix(host: host), kind: .prohibit))
            reason = .routeProhibited
            code = family == .ipv4 ? 13 : 1
        }
        try right.publish()
        let packets = network.packets(family, count: 1)
        #expect(network.exchange(packets) == [])
        #expect(right.drops == [reason: 1])
        left.receive(right.takeWAN(), at: .wan)
        let answers = left.takeLANPackets()
        if let code {
            let error = try #require(ICMPMessage(answers))
            #expect(error.type == (family == .ipv4 ? 3 : 1) && error.code == code)
            #expect(error.source == right.plan.lanAddress(family))
            #expect(error.quotes(packets[0]))
        } else {
            #expect(answers == [])
        }
        #expect(right.lostFrames == 0)
    }

    /// Plain traffic to a neighbour that does not answer, in fragments: one answer per packet, in a frame to its sender.
    @Test func failedNeighbourOfFragments() throws {
        let network = try MemoryNetwork(sites: 2)
        let left = network.left
        left.interfaces[1].mtu = 1280
        left.policies = [SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .bypass)]
        left.neighbours = left.neighbours.map {
            $0.address == left.plan.router(.ipv4)
                ? NeighbourEntry(interfaceIndex: $0.interfaceIndex, address: $0.address, state: .failed) : $0
        }
        try left.publish()
        var packet = IPPacket(from: left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 1400)
        packet.dontFragment = false
        left.receiveFromLAN([packet.bytes])
        let sent = left.takeLAN().map(SentFrame.init)
        #expect(sent.map(\.destination) == [left.plan.hostStation()])
        #expect(sent.map(\.source) == [left.plan.lanPort])
        let error = try #require(ICMPMessage(sent.map(\.packet)))
        #expect(error.type == 3 && error.code == 1 && error.destination == packet.source)
        #expect(left.drops == [.neighbourFailed: 1])
        #expect(left.lostFrames == 0)
    }

    /// Fragments that wait, of plain traffic or out of a tunnel, for a neighbour that then turns out not to answer.
    @Test(arguments: [false, true])
    func failureWhileFragmentsWait(isPlain: Bool) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        let site = isPlain ? left : right
        let address = isPlain ? left.plan.router(.ipv4) : right.plan.host(.ipv4)
        site.neighbours.removeAll { $0.address == address }
        site.interfaces[isPlain ? 1 : 0].mtu = 1280
        if isPlain { left.policies = [SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .bypass)] }
        try site.publish()
        var packet = IPPacket(from: left.plan.host(.ipv4), to: right.plan.host(.ipv4), size: 1400)
        packet.dontFragment = false
        left.receiveFromLAN([packet.bytes])
        if !isPlain { right.receive(left.takeWAN(), at: .wan) }
        #expect(site[.waiting] == 2)
        let interface = isPlain ? SitePlan.wanInterface : SitePlan.lanInterface
        site.neighbours.append(NeighbourEntry(interfaceIndex: interface, address: address, state: .failed))
        try site.publish()
        site.settle()
        #expect(site.drops == [.neighbourFailed: 2])
        if !isPlain { left.receive(right.takeWAN(), at: .wan) }
        // One answer, about the first fragment: later ones are never answered (RFC 1122 section 3.2.2).
        let sent = left.takeLAN().map(SentFrame.init)
        #expect(sent.map(\.destination) == [left.plan.hostStation()])
        #expect(ICMPMessage(sent.map(\.packet))?.type == 3)
        #expect(site.lostFrames == 0)
    }

    /// VLANs on both sides: tagged frames come in, and leave with the tag of the interface that the route says.
    @Test(arguments: families, [AddressFamily.ipv4, .ipv6])
    func vlans(inner: AddressFamily, outer: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = outer })
        let (left, right) = (network.left, network.right)
        left.interfaces[1].vlan = 100
        right.interfaces[0].vlan = 4094
        right.interfaces[1].vlan = 7
        try left.publish()
        try right.publish()
        let largest = Int(left.outbound[0].runtime.pointee.mtu)
        let packets = [60, 61, 1000, largest].map {
            IPPacket(from: left.plan.host(inner), to: right.plan.host(inner), size: $0).bytes
        }
        left.receiveFromLAN(packets, vlan: 1)
        let frames = left.takeWAN()
        #expect(frames.allSatisfy { SentFrame($0).vlan == 100 && SentFrame($0).destination == left.plan.routerStation })
        right.receive(frames, at: .wan)
        let sent = right.takeLAN().map(SentFrame.init)
        #expect(sent.map(\.packet) == packets.map { $0.routed(hops: 2) })
        #expect(sent.allSatisfy { $0.vlan == 4094 && $0.destination == right.plan.hostStation() })
        for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
    }

    /// A neighbour moves to another link-layer address between two packets of one flow.
    @Test(arguments: families)
    func moved(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let right = network.right
        network.left.receiveFromLAN(network.packets(family, count: 2))
        let frames = network.left.takeWAN()
        right.receive([frames[0]], at: .wan)
        let elsewhere = MACAddress(0x02AA_BBCC_DDEE)
        right.neighbours = right.neighbours.map {
            $0.address == right.plan.host(family)
                ? NeighbourEntry(interfaceIndex: $0.interfaceIndex, address: $0.address, state: .resolved(elsewhere))
                : $0
        }
        try right.publish()
        right.receive([frames[1]], at: .wan)
        #expect(right.takeLAN().map { SentFrame($0).destination } == [right.plan.hostStation(), elsewhere])
    }
}
