import Cryptography
import IPsec
import Packets
import Telemetry
import Testing

@Suite("Protect and unprotect")
struct RoundTripTests {
    static let transforms = ESPTransform.all.filter(Tunnel.engine.supports)

    @Test func everyTransformIsThere() {
        #expect(Self.transforms.count == ESPTransform.all.count)
    }

    /// All families, with and without ESN and encapsulation, over sizes that meet every padding.
    @Test(arguments: transforms)
    func everyTransform(transform: ESPTransform) throws {
        for inner in families {
            for outer in families {
                for isEncapsulated in [false, true] {
                    for extended in [false, true] {
                        let tunnel = try Tunnel(
                            parameters(outer, transform: transform, isEncapsulated: isEncapsulated) {
                                $0.extendedSequenceNumbers = extended
                                $0.initialSequence = extended ? 0xFFFF_FFF8 : 41
                                $0.initialReplaySequence = extended ? 0xFFFF_FFF0 : 0
                            })
                        let least = inner == .ipv4 ? 20 : 40
                        try exchange(tunnel, inner, sizes: Array(least...least + 17) + [576, 1399, 1500])
                    }
                }
            }
        }
    }

    /// Every size up to 1500.
    @Test(arguments: families, families)
    func everySize(inner: AddressFamily, outer: AddressFamily) throws {
        let tunnel = try Tunnel(parameters(outer))
        try exchange(tunnel, inner, sizes: Array((inner == .ipv4 ? 20 : 40)...1500))
    }

    private func exchange(_ tunnel: Tunnel, _ family: AddressFamily, sizes: [Int]) throws {
        var bytes = 0
        for size in sizes {
            let sent = packet(family, size, trafficClass: 0x48)
            let protected = try tunnel.protect(sent)
            #expect(protected.verdict == .pass)
            let received = try tunnel.unprotect(protected.outer)
            guard received.verdict == .pass, received.inner == sent else {
                Issue.record("\(tunnel.parameters.transform), \(family), \(size) bytes: \(received.verdict)")
                return
            }
            bytes += size
        }
        let (outbound, inbound) = (tunnel.outbound.status(now: 5), tunnel.inbound.status(now: 5))
        #expect(outbound.packets == UInt64(sizes.count) && inbound.packets == UInt64(sizes.count))
        #expect(outbound.bytes == UInt64(bytes) && inbound.bytes == UInt64(bytes))
        #expect(outbound.sequence == inbound.sequence)
        #expect(outbound.drops.isEmpty && inbound.drops.isEmpty)
    }

    /// The ciphertext of two equal packets differs, also with a fixed key and equal sequence numbers of CBC.
    @Test(arguments: transforms.filter { $0.encryption != .null })
    func noTwoPacketsAreAlike(transform: ESPTransform) throws {
        let tunnel = try Tunnel(parameters(transform: transform))
        let outers = try (0..<20).map { _ in try tunnel.protect(ipv4(100)).outer }
        let ivs = Set(outers.map { Array($0[28..<28 + transform.ivLength]) })
        #expect(ivs.count == 20)
    }

    /// Reordered, lost and repeated packets.
    @Test(arguments: [false, true])
    func disorder(extended: Bool) throws {
        let tunnel = try Tunnel(
            parameters {
                $0.extendedSequenceNumbers = extended
                $0.initialSequence = extended ? 0xFFFF_FFF0 : 0
                $0.initialReplaySequence = extended ? 0xFFFF_FFF0 : 0
                $0.replayWindow = 32
            })
        let outers = try (0..<200).map { try tunnel.protect(ipv4(40 + $0)).outer }
        var generator = SeededGenerator(seed: 11)
        for start in stride(from: 0, to: 200, by: 20) {
            let order = (start..<start + 20).filter { $0 % 7 != 3 }.shuffled(using: &generator)
            for index in order {
                #expect(try tunnel.unprotect(outers[index]).verdict == .pass)
                #expect(try tunnel.unprotect(outers[index]).verdict == .drop(.replayDuplicate))
            }
            // Still inside of the window: the lost one arrives late.
            let late = (start..<start + 20).first { $0 % 7 == 3 }
            if let late { #expect(try tunnel.unprotect(outers[late]).verdict == .pass) }
        }
        // With extended numbers, one before the window is taken for one of the next subspace (appendix A2.2).
        let old = try tunnel.unprotect(outers[3]).verdict
        #expect(old == .drop(extended ? .integrityFailure : .replayTooOld))
    }

    /// Both copies of a packet are in one batch: the second is stopped at the commit.
    @Test func copiesInOneBatch() throws {
        let tunnel = try Tunnel(parameters())
        let outer = try tunnel.protect(ipv4(100)).outer
        let (first, second) = (Frame(), Frame())
        var operations = [ESPOperationBox(first.load(outer) + 20), ESPOperationBox(second.load(outer) + 20)]
        var inner = InnerPacket(start: first.memory)
        for index in 0..<2 { #expect(operations[index].prepare(tunnel, length: outer.count - 20) == .pass) }
        for index in 0..<2 { operations[index].open() }
        #expect(operations[0].finish(tunnel, inner: &inner) == .pass)
        #expect(operations[1].finish(tunnel, inner: &inner) == .drop(.replayAtCommit))
        #expect(tunnel.inboundDrops(.replayAtCommit) == 1)
        #expect(tunnel.inbound.status(now: 0).packets == 1)
    }

    /// The window's size is that of packets on the wire, not a rounded one.
    @Test(arguments: [32, 33, 64, 100, 1024])
    func windowIsExact(size: Int) throws {
        let tunnel = try Tunnel(parameters { $0.replayWindow = size })
        let outers = try (0...size).map { _ in try tunnel.protect(ipv4(60)).outer }
        #expect(try tunnel.unprotect(outers[size]).verdict == .pass)
        #expect(try tunnel.unprotect(outers[1]).verdict == .pass)
        #expect(try tunnel.unprotect(outers[0]).verdict == .drop(.replayTooOld))
    }
}
