import Dataplane
import IPsec
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
        #expect(right[.icmpErrors] == 1)
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
