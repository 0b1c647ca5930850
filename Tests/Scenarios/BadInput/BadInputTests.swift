import Cryptography
import Foundation
import IPsec
import Packets
import Telemetry
import TestSupport
import Testing

/// A live gateway is fed with everything that no peer should send: nothing crashes, no frame is lost, every packet's end
/// is counted, and good traffic flows as before.
@Suite struct BadInputTests {
    static let corpus: [String: [UInt8]] = {
        let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fuzz/Corpus/frames")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.reduce(into: [:]) { frames, name in
            frames[name] = (try? Data(contentsOf: directory.appending(path: name))).map { [UInt8]($0) }
        }
    }()

    /// Each frame of the committed corpus, at both ports, alone and all at once.
    @Test(arguments: [1, 2])
    func corpus(workers: Int) throws {
        #expect(Self.corpus.count > 300)
        let stress = try GatewayStress(workers: workers)
        for (name, frame) in Self.corpus.sorted(by: { $0.key < $1.key }) {
            for port in MemorySite.Port.allCases { frame.withUnsafeBytes { stress.feed($0, at: port) } }
            #expect(stress.findings() == [], "\(name)")
        }
        for frame in Self.corpus.values {
            for port in MemorySite.Port.allCases { frame.withUnsafeBytes { stress.feed($0, at: port) } }
        }
        #expect(stress.findings() == [])
        // The corpus is worth its name only if it reaches into every corner.
        let reached: Set<DropReason> = [
            .malformedEthernet, .unsupportedEthertype, .malformedIPv4, .malformedIPv6, .ipv4Checksum,
            .extensionHeaderLimit, .unexpectedPacket, .outerFragment, .malformedESP, .malformedUDPEncapsulation,
            .natKeepalive, .nonESPMarker, .unsupportedAH, .unknownSPI, .spiDestinationMismatch, .encapsulationMismatch,
            .integrityFailure, .hopLimitExpired,
        ]
        #expect(reached.subtracting(stress.site.drops.keys) == [])
    }

    /// A quarter of a million frames for each seed, a million in all; SLUICE_RANDOM_FRAMES sets another total.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func random(seed: UInt64) throws {
        let total = ProcessInfo.processInfo.environment["SLUICE_RANDOM_FRAMES"].flatMap(Int.init) ?? 1_000_000
        let stress = try GatewayStress(workers: Int(seed % 3) + 1)
        let site = stress.site.plan
        let frames = RandomFrames(
            seed: seed, templates: try templates(stress), sealer: stress.sealer, site: site)
        let count = total / 4
        while stress.fed < count {
            let (frame, port) = frames.next()
            stress.feed(frame, at: port)
        }
        #expect(stress.findings() == [])
        #expect(stress.taken > UInt64(count) * 9 / 10)
        // Those that can come only from authentic nonsense show that it got that far.
        let deep: Set<DropReason> = [
            .innerMalformed, .innerLength, .unsupportedNextHeader, .dummyPacket, .noInboundPolicy,
        ]
        if count >= 10_000 { #expect(deep.subtracting(stress.site.drops.keys) == []) }
    }

    /// Good packets of all kinds to be damaged: plain ones for the LAN, sealed ones for the WAN, and the corpus.
    private func templates(_ stress: GatewayStress) throws -> [[UInt8]] {
        let (left, right) = (stress.network.left, stress.site)
        var templates: [[UInt8]] = Self.corpus.values.filter { !$0.isEmpty && $0.count <= 2000 }
        for family in [AddressFamily.ipv4, .ipv6] {
            for number in [IPProtocol.udp, IPProtocol.tcp, family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6, 253] {
                for size in [0, 40, 1400] {
                    for destination in [left.plan.host(family), right.plan.host(family), SitePlan(3).host(family)] {
                        var packet = IPPacket(
                            from: right.plan.host(family), to: destination, payload: .init(repeating: 1, count: size))
                        packet.protocolNumber = number
                        packet.dontFragment = size == 40
                        let frame = packet.bytes.framed(to: right.plan.lanPort, from: right.plan.hostStation())
                        templates += [frame, frame]
                    }
                }
            }
            left.receiveFromLAN(stress.network.packets(family, count: 20))
        }
        let sealed = left.takeWAN()
        #expect(sealed.count == 40)
        return (templates + sealed + sealed).sorted { $0.lexicographicallyPrecedes($1) }
    }
}
