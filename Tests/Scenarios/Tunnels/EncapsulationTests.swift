import Dataplane
import Packets
import Telemetry
import TestSupport
import Testing

/// What else comes to port 4500, and packets in the wrong kind of envelope (RFC 3948).
@Suite struct EncapsulationTests {
    /// A UDP datagram to port 4500 of the right gateway.
    private func datagram(_ site: MemorySite, _ outer: AddressFamily, _ payload: [UInt8]) -> [UInt8] {
        var packet = IPPacket(from: SitePlan(1).wanAddress(outer), to: site.plan.wanAddress(outer), payload: payload)
        packet.sourcePort = 4500
        packet.destinationPort = 4500
        return packet.bytes.framed(to: site.plan.wanPort, from: site.plan.routerStation)
    }

    /// On a port that is LAN and WAN at once, ESP behind IPv6 extension headers is ESP all the same: what the steering program
    /// takes for protected, the worker takes for protected.
    @Test(arguments: [false, true], [[UInt8(0)], [60], [43], [0, 60, 43, 60]])
    func extensionHeadersOnASharedPort(isEncapsulated: Bool, headers: [UInt8]) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.outer = .ipv6
                $0.isEncapsulated = isEncapsulated
            }, MemorySite.Options { $0.wanRoles = [.lan, .wan] })
        let (left, right) = (network.left, network.right)
        let packets = network.packets(count: 3)
        left.receiveFromLAN(packets)
        let frames = left.takeWAN().map { frame in
            var packet = Array(frame[14...])
            for number in headers.reversed() {
                packet.insert(
                    contentsOf: [packet[6], 0, number == 43 ? 0 : 1, number == 43 ? 0 : 4, 0, 0, 0, 0], at: 40)
                packet[6] = number
            }
            let length = packet.count - 40
            packet.replaceSubrange(4..<6, with: [UInt8(length >> 8), UInt8(length & 0xFF)])
            return packet.framed(to: right.plan.wanPort, from: right.plan.routerStation)
        }
        right.receive(frames, at: .wan)
        #expect(right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        #expect(right.drops == [:] && right.lostFrames == 0)
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func notESP(outer: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.outer = outer
                $0.isEncapsulated = true
            })
        let right = network.right
        right.receive([datagram(right, outer, [0xFF])], at: .wan)
        #expect(right.drops == [.natKeepalive: 1])
        right.receive([datagram(right, outer, [0, 0, 0, 0] + [UInt8](repeating: 1, count: 28))], at: .wan)
        #expect(right.drops == [.natKeepalive: 1, .nonESPMarker: 1])
        // Neither a keepalive nor long enough for anything else.
        for payload in [[], [0xFE], [0xFF, 0xFF], [0, 0, 0, 0], [0, 0, 0x10, 0, 0, 0, 0]] as [[UInt8]] {
            right.receive([datagram(right, outer, payload)], at: .wan)
        }
        #expect(right.drops == [.natKeepalive: 1, .nonESPMarker: 1, .malformedUDPEncapsulation: 5])
        // Eight bytes are an ESP header and nothing more.
        right.receive([datagram(right, outer, [0, 0, 0x10, 0, 0, 0, 0, 1])], at: .wan)
        #expect(
            right.drops == [.natKeepalive: 1, .nonESPMarker: 1, .malformedUDPEncapsulation: 5, .malformedESP: 1])
        let packets = network.packets(count: 5)
        #expect(network.exchange(packets) == packets.map { $0.routed(hops: 2) })
        #expect(right.lostFrames == 0)
    }

    /// Plain ESP to an SA in UDP and the reverse, both authentic: refused, and nothing is used up.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [false, true])
    func wrongEnvelope(outer: AddressFamily, isEncapsulated: Bool) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.outer = outer
                $0.isEncapsulated = isEncapsulated
            })
        let right = network.right
        let header = outer == .ipv4 ? 20 : 40
        network.left.receiveFromLAN(network.packets(count: 4))
        let frames = network.left.takeWAN()
        let other = frames.map { frame -> [UInt8] in
            let packet = Array(frame[14...])
            let esp = Array(packet[(header + (isEncapsulated ? 8 : 0))...])
            if isEncapsulated {
                var plain = IPPacket(
                    from: SitePlan(1).wanAddress(outer), to: right.plan.wanAddress(outer), payload: esp)
                plain.protocolNumber = IPProtocol.esp
                return plain.bytes.framed(to: right.plan.wanPort, from: right.plan.routerStation)
            }
            return datagram(right, outer, esp)
        }
        right.receive(other, at: .wan)
        #expect(right.takeLAN() == [])
        #expect(right.drops == [.encapsulationMismatch: 4])
        right.receive(frames, at: .wan)
        #expect(right.takeLAN().count == 4)
        #expect(right.drops == [.encapsulationMismatch: 4])
    }

    /// A NAT changes the source port: of no concern.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func changedPort(outer: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.outer = outer
                $0.isEncapsulated = true
            })
        let packets = network.packets(count: 8)
        let place = 14 + (outer == .ipv4 ? 20 : 40)
        let arrived = network.exchange(packets) { frames in
            frames.enumerated().map { number, frame in
                var frame = frame
                frame.replaceSubrange(place..<place + 2, with: bigEndian(UInt16(20_000 + number)))
                return frame
            }
        }
        #expect(arrived == packets.map { $0.routed(hops: 2) })
    }

    /// AH, other protocols, fragments and other destinations: each with its reason.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func strangers(outer: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = outer })
        let right = network.right
        func outerPacket(_ number: UInt8, to destination: IPAddress, spi: SPI = 0x1000) -> [UInt8] {
            var packet = IPPacket(
                from: SitePlan(1).wanAddress(outer), to: destination,
                payload: spi.bytes + [UInt8](repeating: 0, count: 40))
            packet.protocolNumber = number
            return packet.bytes.framed(to: right.plan.wanPort, from: right.plan.routerStation)
        }
        let here = right.plan.wanAddress(outer)
        right.receive([outerPacket(IPProtocol.tcp, to: here)], at: .wan)
        right.receive([outerPacket(IPProtocol.esp, to: here, spi: 0x1999)], at: .wan)
        right.receive([outerPacket(IPProtocol.esp, to: SitePlan(3).wanAddress(outer))], at: .wan)
        var fragment = outerPacket(IPProtocol.esp, to: here)
        if outer == .ipv4 {
            fragment[14 + 6] = 0x20
            fragment = Array(fragment[..<14]) + Array(fragment[14...]).withHeaderChecksum()
        } else {
            fragment[14 + 6] = 44
            fragment.replaceSubrange(54..<62, with: [IPProtocol.esp, 0, 0, 1, 0, 0, 0, 9])
        }
        // 44 bytes behind an IPv4 header are no multiple of eight, so this one is cut.
        if outer == .ipv4 {
            fragment.replaceSubrange(16..<18, with: bigEndian(UInt16(60)))
            fragment = Array(fragment[..<14]) + Array(fragment[14...]).withHeaderChecksum()
        } else {
            fragment.replaceSubrange(18..<20, with: bigEndian(UInt16(40)))
        }
        right.receive([fragment], at: .wan)
        #expect(
            right.drops == [
                .unexpectedPacket: 1, .unknownSPI: 1, .spiDestinationMismatch: 1, .outerFragment: 1,
            ])
        #expect(right.lostFrames == 0)
    }
}
