import Cryptography
import Dataplane
import Packets
import Telemetry
import TestSupport
import Testing

/// Every byte of a packet changed in turn: dropped for the right reason, and the genuine packet still arrives.
@Suite struct TamperTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let options: TunnelOptions
        var testDescription: String { options.description }
    }

    static let cases: [Case] =
        [
            "aes128gcm16", "aes256gcm8", "aes128gmac", "chacha20poly1305", "aes128-sha256", "aes256ctr-sha512",
            "null-sha384",
        ]
        .compactMap(ESPTransform.init).flatMap { transform in
            [AddressFamily.ipv4, .ipv6].flatMap { outer in
                [(false, false), (true, false), (false, true)].map { extended, isEncapsulated in
                    Case(
                        options: TunnelOptions {
                            $0.transform = transform
                            $0.outer = outer
                            $0.extended = extended
                            $0.isEncapsulated = isEncapsulated
                        })
                }
            }
        }

    /// The forged packet and the genuine one come in one batch, in this order: the forged one is dropped, for a reason that
    /// fits the byte, and uses up nothing.
    @Test(arguments: cases)
    func everyByte(testCase: Case) throws {
        #expect(Self.cases.count == 42, "a transform of the list is not known")
        let network = try MemoryNetwork(testCase.options)
        let right = network.right
        // So that a changed sequence number may be one that was used.
        _ = network.exchange(network.packets(count: 40))
        let packets = network.packets(count: 1, size: 61)
        let expected = packets.map { $0.routed(hops: 2) }
        network.left.receiveFromLAN(packets)
        let length = try #require(network.left.takeWAN().first).count
        for offset in 14..<length {
            for change in [UInt8(0x01), 0x80] {
                network.left.receiveFromLAN(packets)
                let genuine = try #require(network.left.takeWAN().first)
                var forged = genuine
                forged[offset] ^= change
                let before = right.drops
                right.receive([forged, genuine], at: .wan)
                #expect(right.takeLANPackets() == expected, "byte \(offset) ^ \(change)")
                let changed = right.drops.filter { $0.value != before[$0.key] ?? 0 }
                let reason = try #require(changed.first?.key, "byte \(offset) ^ \(change)")
                #expect(changed == [reason: (before[reason] ?? 0) + 1])
                let allowed = TamperReasons(testCase.options).reasons(at: offset - 14, change)
                #expect(allowed.contains(reason), "byte \(offset) ^ \(change): \(reason)")
            }
        }
        #expect(network.left.drops == [:])
        #expect(right.lostFrames == 0)
    }

    /// Shortened to every length, the packet is dropped; the genuine one arrives.
    @Test(arguments: cases)
    func everyLength(testCase: Case) throws {
        let network = try MemoryNetwork(testCase.options)
        let packets = network.packets(count: 1, size: 61)
        network.left.receiveFromLAN(packets)
        let genuine = try #require(network.left.takeWAN().first)
        for length in 0..<genuine.count { network.right.receive([Array(genuine[..<length])], at: .wan) }
        #expect(network.right.takeLAN() == [])
        let malformed: DropReason = testCase.options.outer == .ipv4 ? .malformedIPv4 : .malformedIPv6
        // Below 20 bytes the long way does not look at the version.
        #expect(network.right.drops.keys.allSatisfy { [.malformedEthernet, malformed, .malformedIPv4].contains($0) })
        #expect(network.right.drops[.malformedEthernet] == 14)
        #expect(network.right.drops.values.reduce(0, +) == UInt64(genuine.count))
        network.right.receive([genuine + [0, 0, 0]], at: .wan)
        #expect(
            network.right.takeLANPackets() == packets.map { $0.routed(hops: 2) }, "link padding is none of the packet")
        #expect(network.right.lostFrames == 0)
    }
}

/// Which drops fit a change of one byte of an outer packet.
struct TamperReasons {
    private let options: TunnelOptions

    init(_ options: TunnelOptions) { self.options = options }

    /// What nothing authenticates passes, and then it is the genuine packet that is taken for a copy.
    private var passes: Set<DropReason> { [.replayAtCommit] }

    func reasons(at offset: Int, _ change: UInt8) -> Set<DropReason> {
        let header = options.outer == .ipv4 ? 20 : 40
        if offset < header { return options.outer == .ipv4 ? ipv4(offset) : ipv6(offset, change) }
        let upper = offset - header
        guard options.isEncapsulated else { return esp(upper) }
        switch upper {
        // A NAT may change the source port, and the checksum says nothing that the ICV does not say better (RFC 3948
        // section 2.1). Another destination port is not that of ESP.
        case 0, 1, 6, 7: return passes
        case 2, 3: return [.unexpectedPacket]
        case 4, 5: return [.malformedUDPEncapsulation, .malformedESP, .integrityFailure]
        default: return esp(upper - 8)
        }
    }

    private func esp(_ offset: Int) -> Set<DropReason> {
        switch offset {
        // Zero in the first byte of four could make a non-ESP marker; one bit does not.
        case 0...3: [.unknownSPI]
        case 4...7: [.integrityFailure, .replayDuplicate, .replayTooOld]
        default: [.integrityFailure]
        }
    }

    private func ipv4(_ offset: Int) -> Set<DropReason> {
        switch offset {
        case 0: [.malformedIPv4]
        // Longer than what arrived, or else the checksum tells.
        case 2, 3: [.malformedIPv4, .ipv4Checksum]
        default: [.ipv4Checksum]
        }
    }

    /// IPv6 has no header checksum: traffic class, flow label, hop limit and source pass (RFC 4303 section 3.4.2: an SA is
    /// found by SPI; the policies look at the inner packet).
    private func ipv6(_ offset: Int, _ change: UInt8) -> Set<DropReason> {
        switch offset {
        case 0: change == 0x80 ? [.malformedIPv6, .malformedIPv4] : passes
        // ECN is not capable in the inner packet; congestion experienced needs both bits, and one bit is no drop.
        case 1: passes
        case 2, 3, 7, 8...23: passes
        case 4, 5: [.malformedIPv6, .malformedESP, .integrityFailure, .malformedUDPEncapsulation]
        case 6:
            [
                .unsupportedAH, .unexpectedPacket, .malformedIPv6, .malformedESP, .malformedUDPEncapsulation,
                .unknownSPI, .nonESPMarker,
            ]
        default: [.spiDestinationMismatch]
        }
    }
}
