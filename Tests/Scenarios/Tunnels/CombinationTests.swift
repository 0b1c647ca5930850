import Cryptography
import Packets
import TestSupport
import Testing

/// Two whole gateways back to back: everything that one protects the other delivers, byte for byte.
@Suite struct CombinationTests {
    /// Every transform, in all combinations of inner and outer family, sequence number size and encapsulation.
    @Test(arguments: ESPTransform.all, [AddressFamily.ipv4, .ipv6])
    func everyTransform(transform: ESPTransform, outer: AddressFamily) throws {
        for extended in [false, true] {
            for isEncapsulated in [false, true] {
                let network = try MemoryNetwork(
                    TunnelOptions {
                        $0.outer = outer
                        $0.transform = transform
                        $0.extended = extended
                        $0.isEncapsulated = isEncapsulated
                    })
                try bothWays(network, isEncapsulated: isEncapsulated)
            }
        }
    }

    private func bothWays(_ network: MemoryNetwork, isEncapsulated: Bool) throws {
        for inner in [AddressFamily.ipv4, .ipv6] {
            for (from, to) in [(network.left, network.right), (network.right, network.left)] {
                // Every length modulo the cipher's block, the smallest and the largest.
                let largest = Int(try #require(from.outbound.first).runtime.pointee.mtu)
                let sizes = Array(48...81) + [571, largest - 1, largest]
                let packets = sizes.map {
                    IPPacket(from: from.plan.host(inner), to: to.plan.host(inner, 3), size: $0, seed: $0).bytes
                }
                from.receiveFromLAN(packets)
                let wire = from.takeWAN()
                checkWire(wire, from, to, isEncapsulated: isEncapsulated)
                to.receive(wire, at: .wan)
                let arrived = to.takeLAN().map(SentFrame.init)
                #expect(arrived.map(\.packet) == packets.map { $0.routed(hops: 2) })
                #expect(arrived.allSatisfy { $0.destination == to.plan.hostStation(3) && $0.source == to.plan.lanPort })
            }
        }
        for site in network.sites {
            #expect(site.drops == [:])
            #expect(site.lostFrames == 0)
        }
    }

    /// Only ESP from gateway to gateway, in correct headers.
    private func checkWire(_ frames: [[UInt8]], _ from: MemorySite, _ to: MemorySite, isEncapsulated: Bool) {
        for frame in frames {
            let sent = SentFrame(frame)
            let packet = sent.packet
            #expect(sent.destination == from.plan.routerStation && sent.source == from.plan.wanPort)
            #expect(sent.type == (packet.isIPv4 ? 0x0800 : 0x86DD))
            let family: AddressFamily = packet.isIPv4 ? .ipv4 : .ipv6
            #expect(
                packet.addresses == addressBytes(from.plan.wanAddress(family))
                    + addressBytes(to.plan.wanAddress(family)))
            #expect(packet[packet.isIPv4 ? 9 : 6] == (isEncapsulated ? IPProtocol.udp : IPProtocol.esp))
            let header = packet.isIPv4 ? 20 : 40
            let length = packet.isIPv4 ? Int(packet.number16(2)) : 40 + Int(packet.number16(4))
            #expect(length == packet.count && length <= 1500)
            if packet.isIPv4 { #expect(internetChecksum(Array(packet[..<20])) == 0) }
            guard isEncapsulated else { continue }
            #expect(packet.number16(header) == 4500 && packet.number16(header + 2) == 4500)
            #expect(Int(packet.number16(header + 4)) == packet.count - header)
            let checksum = packet.number16(header + 6)
            if packet.isIPv4 {
                #expect(checksum == 0)
            } else {
                let pseudo = packet.addresses + bigEndian(UInt32(packet.count - 40)) + [0, 0, 0, IPProtocol.udp]
                #expect(checksum != 0 && internetChecksum(pseudo + packet[40...]) == 0)
            }
        }
    }
}
