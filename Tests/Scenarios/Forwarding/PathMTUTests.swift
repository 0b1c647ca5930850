import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// Packets that do not fit: their senders are told what fits, or they are fragmented before encryption.
@Suite struct PathMTUTests {
    static let transforms = ["aes128gcm16", "aes128gcm8", "aes256-sha512", "null-sha256", "chacha20poly1305"]
        .compactMap(ESPTransform.init)
    static let families: [AddressFamily] = [.ipv4, .ipv6]

    /// The MTU in the message is exact: so many bytes pass, and not one more.
    @Test(arguments: transforms, families)
    func answer(transform: ESPTransform, inner: AddressFamily) throws {
        for (outer, isEncapsulated) in [(AddressFamily.ipv4, false), (.ipv4, true), (.ipv6, false), (.ipv6, true)] {
            let network = try MemoryNetwork(
                TunnelOptions {
                    $0.transform = transform
                    $0.outer = outer
                    $0.isEncapsulated = isEncapsulated
                })
            let left = network.left
            let tooBig = network.packets(inner, count: 1, size: 1500)
            #expect(network.exchange(tooBig) == [])
            let error = try #require(ICMPMessage(left.takeLANPackets()))
            #expect(error.source == left.plan.lanAddress(inner) && error.destination == left.plan.host(inner))
            #expect(error.type == (inner == .ipv4 ? 3 : 2) && error.code == (inner == .ipv4 ? 4 : 0))
            #expect(error.quotes(tooBig[0]))
            #expect(error.mtu > 1380 && error.mtu < 1480)

            let fits = network.packets(inner, count: 1, size: error.mtu)
            left.receiveFromLAN(fits)
            let frames = left.takeWAN()
            // The cipher's alignment may leave a few bytes of the path unused, never a whole block.
            let size = try #require(frames.first).count - 14
            #expect(size <= 1500 && size > 1500 - transform.alignment)
            network.right.receive(frames, at: .wan)
            #expect(network.right.takeLANPackets() == fits.map { $0.routed(hops: 2) })
            #expect(network.exchange(network.packets(inner, count: 1, size: error.mtu + 1)) == [])
            #expect(left.drops == [.tooBigSentICMP: 2])
            #expect(network.right.drops == [:])
            #expect(left.lostFrames == 0)
        }
    }

    /// Without DF: fragments that fit, in order, which make the packet again.
    @Test(arguments: [28, 1418, 1419, 1438, 1439, 1480, 1500], [0, 8, 40])
    func fragmentation(size: Int, options: Int) throws {
        for outer in Self.families {
            let network = try MemoryNetwork(TunnelOptions { $0.outer = outer })
            let limit = Int(network.left.outbound[0].runtime.pointee.mtu)
            var packet = IPPacket(
                from: network.left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: max(28, size - options))
            packet.dontFragment = false
            // The first byte says whether an option is copied; this one is (RFC 791 section 3.1).
            packet.options = options == 0 ? [] : [0x94, UInt8(options)] + [UInt8](repeating: 9, count: options - 2)
            let bytes = packet.bytes
            let arrived = network.exchange([bytes])
            #expect(arrived.count == (bytes.count <= limit ? 1 : 2))
            #expect(arrived.allSatisfy { $0.count <= limit })
            #expect(reassemble(arrived) == bytes.routed(hops: 2))
            #expect(network.left[.fragments] == (arrived.count == 1 ? 0 : 2))
            for site in network.sites { #expect(site.drops == [:] && site.lostFrames == 0) }
        }
    }

    /// A path of 1280 bytes: IPv6 of up to 1280 is sealed and the outer packet fragmented; more is answered with 1280, and never
    /// with less (RFC 8200 section 5, RFC 2473 section 7.1).
    @Test(arguments: families, [false, true])
    func narrowPath(outer: AddressFamily, isEncapsulated: Bool) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.outer = outer
                $0.isEncapsulated = isEncapsulated
            }, MemorySite.Options { $0.wanMTU = 1280 })
        let (left, right) = (network.left, network.right)
        let limit = Int(left.outbound[0].runtime.pointee.mtu)
        #expect(limit < 1280)
        let sizes = [limit - 8, limit, limit + 1, limit + 8, 1279, 1280, 100, 1280]
        let packets = sizes.enumerated().map { number, size in
            IPPacket(from: left.plan.host(.ipv6), to: right.plan.host(.ipv6), size: size, seed: number).bytes
        }
        left.receiveFromLAN(packets)
        let frames = left.takeWAN().map(SentFrame.init)
        #expect(frames.count == sizes.count + 5)
        #expect(frames.allSatisfy { $0.packet.count <= 1280 && $0.destination == left.plan.routerStation })
        #expect(left[.fragments] == 10 && left[.fragmented] == 5)
        let whole = OuterReassembly.packets(frames.map(\.packet))
        #expect(whole.count == sizes.count)
        // The peer's kernel has put them together.
        for packet in whole {
            #expect(right.gateway.sendFromHost(packet, kind: .inbound))
            right.settle()
        }
        #expect(right.takeLANPackets() == packets.map { $0.routed(hops: 2) })
        #expect(left.drops == [:] && right.drops == [:])

        #expect(network.exchange(network.packets(.ipv6, count: 1, size: 1281)) == [])
        #expect(ICMPMessage(left.takeLANPackets())?.mtu == 1280)
        // IPv4 knows how to do with less.
        #expect(network.exchange(network.packets(.ipv4, count: 1, size: 1280)) == [])
        #expect(ICMPMessage(left.takeLANPackets())?.mtu == limit)
        #expect(left.drops == [.tooBigSentICMP: 2])
        for site in network.sites { #expect(site.lostFrames == 0) }
    }

    /// No frame is left for a fragment: the packet is lost, and nothing else.
    @Test func narrowPathWithoutFrames() throws {
        let network = try MemoryNetwork(
            TunnelOptions(),
            MemorySite.Options {
                $0.wanMTU = 1280
                $0.framesPerWorker = 256
                $0.ringSize = 128
            })
        let left = network.left
        left.receiveFromLAN(network.packets(.ipv6, count: 120, size: 1280), burst: 120)
        let dropped = left.drops[.framePoolEmpty, default: 0] + left.drops[.transmitRingFull, default: 0]
        #expect(left.drops.keys.allSatisfy { $0 == .framePoolEmpty || $0 == .transmitRingFull })
        #expect(dropped > 0 && left.lostFrames == 0)
    }

    /// Fragments are fragmented further and keep their place.
    @Test func fragmentsOfFragments() throws {
        let network = try MemoryNetwork(TunnelOptions())
        var packet = IPPacket(from: network.left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 4000)
        packet.dontFragment = false
        let whole = packet.bytes
        let pieces = stride(from: 0, to: whole.count - 20, by: 1480).map { offset -> [UInt8] in
            let data = whole[(20 + offset)..<min(20 + offset + 1480, whole.count)]
            var piece = Array(whole[..<20]) + data
            piece.replaceSubrange(2..<4, with: bigEndian(UInt16(piece.count)))
            let more: UInt16 = 20 + offset + 1480 < whole.count ? 0x2000 : 0
            piece.replaceSubrange(6..<8, with: bigEndian(more | UInt16(offset / 8)))
            return piece.withHeaderChecksum()
        }
        let arrived = network.exchange(pieces)
        #expect(arrived.count == 5, "two of 1500 bytes and one of 1060")
        #expect(reassemble(arrived) == whole.routed(hops: 2))
        #expect(network.left.drops == [:] && network.right.drops == [:])
    }

    /// The packet that the fragments make, in the order of their offsets; empty when one is missing.
    private func reassemble(_ fragments: [[UInt8]]) -> [UInt8] {
        let ordered = fragments.sorted { $0.number16(6) & 0x1FFF < $1.number16(6) & 0x1FFF }
        guard let first = ordered.first, let last = ordered.last, last.number16(6) & 0x2000 == 0 else { return [] }
        var packet = Array(first[..<(Int(first[0] & 0xF) * 4)])
        let header = packet.count
        for fragment in ordered {
            guard Int(fragment.number16(6) & 0x1FFF) * 8 == packet.count - header,
                fragment.withHeaderChecksum() == fragment
            else { return [] }
            packet += fragment[(Int(fragment[0] & 0xF) * 4)...]
        }
        packet.replaceSubrange(2..<4, with: bigEndian(UInt16(packet.count)))
        packet.replaceSubrange(6..<8, with: [0, 0])
        return packet.withHeaderChecksum()
    }

    /// The LAN behind the far gateway is narrow: told through the tunnel, or fragmented behind it.
    @Test(arguments: families)
    func narrowLAN(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let (left, right) = (network.left, network.right)
        right.interfaces[0].mtu = 1280
        try right.publish()
        let fits = network.packets(family, count: 1, size: 1280)
        #expect(network.exchange(fits) == fits.map { $0.routed(hops: 2) })
        let tooBig = network.packets(family, count: 1, size: 1281)
        #expect(network.exchange(tooBig) == [])
        #expect(right.drops == [.tooBigSentICMP: 1])
        left.receive(right.takeWAN(), at: .wan)
        let error = try #require(ICMPMessage(left.takeLANPackets()))
        #expect(error.mtu == 1280 && error.source == right.plan.lanAddress(family) && error.quotes(tooBig[0]))
        if family == .ipv4 {
            var packet = IPPacket(from: left.plan.host(.ipv4), to: right.plan.host(.ipv4), size: 1400)
            packet.dontFragment = false
            let arrived = network.exchange([packet.bytes])
            #expect(arrived.count == 2 && arrived.allSatisfy { $0.count <= 1280 })
            #expect(reassemble(arrived) == packet.bytes.routed(hops: 2))
            #expect(right[.fragments] == 2)
        }
        #expect(right.drops == [.tooBigSentICMP: 1] && left.drops == [:])
        #expect(left.lostFrames == 0 && right.lostFrames == 0)
    }

    /// What a policy lets pass is subject to the MTU of its own way.
    @Test(arguments: families)
    func bypassed(family: AddressFamily) throws {
        let network = try MemoryNetwork(sites: 2)
        let left = network.left
        left.interfaces[1].mtu = 1280
        left.policies = [SecurityPolicy(selector: .any(family), direction: .out, action: .bypass)]
        try left.publish()
        left.receiveFromLAN(network.packets(family, count: 1, size: 1281))
        let error = try #require(ICMPMessage(left.takeLANPackets()))
        #expect(error.mtu == 1280)
        #expect(left.drops == [.tooBigSentICMP: 1])
        guard family == .ipv4 else { return }
        var packet = IPPacket(from: left.plan.host(.ipv4), to: network.right.plan.host(.ipv4), size: 1500)
        packet.dontFragment = false
        left.receiveFromLAN([packet.bytes])
        #expect(reassemble(left.takeWAN().map { SentFrame($0).packet }) == packet.bytes.routed(hops: 1))
        #expect(left.drops == [.tooBigSentICMP: 1])
        #expect(left.lostFrames == 0)
    }
}
