import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Hop limits end at gateways, and their senders hear of it on the side that they are on.
@Suite struct HopLimitTests {
    /// At the gateway of the sender: the answer goes back to the station that sent the frame, VLAN and all.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [UInt8(0), 1])
    func atTheNearGateway(family: AddressFamily, hopLimit: UInt8) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let left = network.left
        for vlan in [nil, UInt16(42)] {
            var packet = IPPacket(from: left.plan.host(family), to: network.right.plan.host(family), size: 700)
            packet.hopLimit = hopLimit
            left.receiveFromLAN([packet.bytes], vlan: vlan)
            let sent = left.takeLAN().map(SentFrame.init)
            let frame = try #require(sent.first)
            #expect(frame.destination == left.plan.hostStation() && frame.source == left.plan.lanPort)
            #expect(frame.vlan == vlan)
            let error = try #require(ICMPMessage(sent.map(\.packet)))
            #expect(error.source == left.plan.lanAddress(family) && error.destination == packet.source)
            #expect(error.type == (family == .ipv4 ? 11 : 3) && error.code == 0)
            #expect(error.quotes(packet.bytes))
        }
        #expect(left.drops == [.hopLimitExpired: 2])
        #expect(left[.icmpErrors] == 2)
        #expect(left.takeWAN() == [])
        #expect(left.lostFrames == 0)
    }

    /// From a VLAN the answer comes from the address of its device, whatever priority the tag names; with no more than a
    /// priority the frame is the port's own.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func answersFromTheVLAN(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let left = network.left
        let own = left.plan.host(family, 0x2A01)
        left.interfaces.append(
            PortInterface(
                interfaceIndex: 3, port: MemoryGateway.lanPort, vlan: 42, linkAddress: left.plan.lanPort,
                addresses: [own]))
        try left.publish()
        let expected: [(UInt16?, IPAddress)] = [
            (42, own), (0xA000 | 42, own), (nil, left.plan.lanAddress(family)), (0xA000, left.plan.lanAddress(family)),
            (43, left.plan.lanAddress(family)),
        ]
        for (tag, source) in expected {
            var packet = IPPacket(from: left.plan.host(family), to: network.right.plan.host(family), size: 300)
            packet.hopLimit = 1
            left.receiveFromLAN([packet.bytes], vlan: tag)
            let sent = left.takeLAN().map(SentFrame.init)
            #expect(sent.first?.vlan == tag)
            #expect(ICMPMessage(sent.map(\.packet))?.source == source)
        }
        #expect(left[.icmpErrors] == 5 && left[.icmpErrorsWithheld] == 0)
        #expect(left.lostFrames == 0)
    }

    /// A port without an address of the family cannot answer.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func noAddress(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let left = network.left
        left.interfaces[0].addresses.removeAll { $0.family == family }
        try left.publish()
        var packet = IPPacket(from: left.plan.host(family), to: network.right.plan.host(family), size: 300)
        packet.hopLimit = 1
        left.receiveFromLAN([packet.bytes])
        #expect(left.takeLAN() == [] && left.takeWAN() == [])
        #expect(left.drops == [.hopLimitExpired: 1])
        #expect(left[.icmpErrors] == 0 && left[.icmpErrorsWithheld] == 1)
        #expect(left.lostFrames == 0)
    }

    /// At the far gateway: the answer goes back through the tunnel.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [AddressFamily.ipv4, .ipv6])
    func atTheFarGateway(family: AddressFamily, outer: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = outer })
        let (left, right) = (network.left, network.right)
        var packet = IPPacket(from: left.plan.host(family), to: right.plan.host(family), size: 100)
        packet.hopLimit = 2
        #expect(network.exchange([packet.bytes]) == [])
        #expect(right.drops == [.hopLimitExpired: 1])
        left.receive(right.takeWAN(), at: .wan)
        let error = try #require(ICMPMessage(left.takeLANPackets()))
        #expect(error.source == right.plan.lanAddress(family) && error.destination == packet.source)
        #expect(error.type == (family == .ipv4 ? 11 : 3) && error.quotes(packet.bytes))
        // Made by the gateway with 64; one hop less at the near gateway.
        #expect(error.hopLimit == 63)
        #expect(left.drops == [:])
        #expect(left.lostFrames == 0 && right.lostFrames == 0)
    }

    /// The gateway's address lies outside of what is protected, and a policy lets everything else pass in clear: the error quotes
    /// what came protected, so it does not leave at all.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], ["hop limit", "size", "route"])
    func quotedPlaintextStaysProtected(family: AddressFamily, reason: String) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        right.interfaces[0].addresses = [
            family == .ipv4 ? IPAddress(ipv4: 0xC0A8_0901) : IPAddress(ipv6High: 0xFD00 << 48, low: 1)
        ]
        right.policies.append(
            SecurityPolicy(selector: .any(family), direction: .out, action: .bypass, priority: 1_000_000))
        let host = right.plan.host(family)
        switch reason {
        case "size": right.interfaces[0].mtu = 400
        case "route": right.routes.append(RouteEntry(prefix: IPPrefix(host: host), kind: .prohibit))
        default: break
        }
        try right.publish()
        var packet = IPPacket(from: left.plan.host(family), to: host, size: 500)
        packet.hopLimit = reason == "hop limit" ? 2 : 64
        packet.dontFragment = true
        #expect(network.exchange([packet.bytes]) == [])
        #expect(right[.icmpErrors] == 0 && right[.icmpErrorsWithheld] == 1)
        #expect(right.takeWAN() == [] && right.takeLAN() == [])
        #expect(right.lostFrames == 0)
    }

    /// The address on the LAN lies outside of what is protected, another one inside: the error comes from there.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [SitePlan.lanInterface, SitePlan.wanInterface])
    func answersFromAProtectedAddress(family: AddressFamily, interface: UInt32) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        let inside = right.plan.host(family, 200)
        right.interfaces[0].addresses = [
            family == .ipv4 ? IPAddress(ipv4: 0xC0A8_0901) : IPAddress(ipv6High: 0xFD00 << 48, low: 1)
        ]
        if interface == SitePlan.wanInterface {
            right.interfaces[1].addresses.append(inside)
        } else {
            right.interfaces.append(
                PortInterface(
                    interfaceIndex: 3, port: MemoryGateway.lanPort, vlan: 7, linkAddress: right.plan.lanPort,
                    addresses: [inside]))
        }
        try right.publish()
        var packet = IPPacket(from: left.plan.host(family), to: right.plan.host(family), size: 500)
        packet.hopLimit = 2
        #expect(network.exchange([packet.bytes]) == [])
        left.receive(right.takeWAN(), at: .wan)
        let error = try #require(ICMPMessage(left.takeLANPackets()))
        #expect(error.source == inside && error.destination == packet.source && error.quotes(packet.bytes))
        #expect(right[.icmpErrors] == 1 && right[.icmpErrorsWithheld] == 0)
        for site in network.sites { #expect(site.lostFrames == 0) }
    }

    /// The error is on its way to the worker that owns the SA when the policies change: it ends there, and does not leave in
    /// clear.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func quotedPlaintextStaysProtectedBetweenWorkers(family: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions { $0.change = { $0.owner = $0.spi.value >> 12 == 2 ? 1 : 0 } },
            MemorySite.Options { $0.workers = 2 })
        let (left, right) = (network.left, network.right)
        var packet = IPPacket(from: left.plan.host(family), to: right.plan.host(family), size: 500)
        packet.hopLimit = 2
        left.receiveFromLAN([packet.bytes])
        for frame in left.takeWAN() { #expect(right.gateway.queues[0].wan.deliver(frame)) }
        #expect(right.gateway.poll(worker: 0, now: network.clock.now) > 0)
        #expect(right[.icmpErrors] == 1 && right[.handedOver] == 1)
        right.policies = right.policies.filter { $0.direction != .out }
        right.policies.append(SecurityPolicy(selector: .any(family), direction: .out, action: .bypass))
        try right.publish()
        right.settle()
        #expect(right.drops == [.hopLimitExpired: 1, .noPolicy: 1])
        #expect(right.takeWAN() == [] && right.takeLAN() == [])
        #expect(right.lostFrames == 0)
    }

    /// An error about an error is never sent, nor one to nobody.
    @Test func silence() throws {
        let network = try MemoryNetwork(TunnelOptions())
        let left = network.left
        var packet = IPPacket(from: left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 100)
        packet.hopLimit = 1
        packet.protocolNumber = IPProtocol.icmp
        var error = packet.bytes
        error[20] = 11
        left.receiveFromLAN([error])
        packet.protocolNumber = IPProtocol.udp
        var later = packet.bytes
        later[6] = 0
        later[7] = 50
        left.receiveFromLAN([later.withHeaderChecksum()])
        #expect(left.takeLAN() == [])
        #expect(left.drops == [.hopLimitExpired: 2])
        #expect(left[.icmpErrors] == 0)
        #expect(left.lostFrames == 0)
    }

    /// Errors per second are limited, and the rest is counted as what it is.
    @Test(arguments: [UInt32(1), 5, 50])
    func rateLimit(perSecond: UInt32) throws {
        let network = try MemoryNetwork(
            TunnelOptions(), MemorySite.Options { $0.configure = { $0.icmpErrorsPerSecond = perSecond } })
        let left = network.left
        var packet = IPPacket(from: left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 100)
        packet.hopLimit = 1
        let packets = [[UInt8]](repeating: packet.bytes, count: 80)
        left.receiveFromLAN(packets)
        #expect(left.takeLAN().count == Int(perSecond))
        #expect(left.drops == [.hopLimitExpired: UInt64(perSecond), .icmpRateLimited: 80 - UInt64(perSecond)])
        network.clock.advance(milliseconds: 1_000)
        left.receiveFromLAN(packets)
        #expect(left.takeLAN().count == Int(perSecond))
        #expect(left[.icmpErrors] == UInt64(perSecond) * 2)
        #expect(left.lostFrames == 0)
    }
}
