import CAllocationCounter
import Cryptography
import Testing

/// A batch may neither allocate nor lock, whatever the transform and whatever becomes of the packets.
@Suite struct HotPathTests {
    @Test(arguments: ESPTransform.all, [false, true])
    func batchesNeitherAllocateNorLock(transform: ESPTransform, extended: Bool) throws {
        try check(CipherPair(transform, extended: extended))
        try check(CipherPair(transform, extended: extended, engine: OpenSSLEngine(insideProvider: true)))
    }

    private func check(_ pair: CipherPair) throws {
        let transform = pair.transform
        let packets = (0..<32).map { _ in TestPacket() }
        for (index, packet) in packets.enumerated() {
            let payload = [UInt8](repeating: 1, count: 16 * index)
            packet.write(spi: 1, sequence: UInt32(index), payload: payload, for: transform)
        }
        warmUp(pair)
        var seals = packets.map { $0.operation(pair.sealer, iv: UInt64($0.count)) }
        var opens = packets.map { $0.operation(pair.opener) }
        #expect(calls { runBatch(&seals) } == Calls(allocations: 0, locks: 0))
        #expect(seals.allSatisfy { $0.status == .ok })
        #expect(calls { runBatch(&opens) } == Calls(allocations: 0, locks: 0))
        #expect(opens.allSatisfy { $0.status == .ok })
        for packet in packets { packet.bytes[0] ^= 1 }
        #expect(calls { runBatch(&opens) } == Calls(allocations: 0, locks: 0), "refused packets")
        #expect(opens.allSatisfy { $0.status == .integrityFailure })
    }

    /// Unoptimised code instantiates type metadata when it first needs them; that is not the packets' doing.
    private func warmUp(_ pair: CipherPair) {
        let packet = TestPacket()
        packet.write(spi: 1, sequence: 1, payload: Array(repeating: 1, count: 64), for: pair.transform)
        for cipher in [pair.sealer, pair.opener, pair.opener] {
            var operations = [packet.operation(cipher)]
            _ = calls { runBatch(&operations) }
        }
    }

    /// The test above could not fail if the counters did not see libcrypto's own calls.
    @Test func countersSeeTheLibrary() throws {
        let key = try SecretBytes.random(count: ESPTransform.aes128GCM16.keyMaterialLength)
        var cipher: ESPCipher?
        let counted = calls {
            cipher = try? OpenSSLEngine().makeCipher(
                .aes128GCM16, keyMaterial: key, direction: .seal, extendedSequenceNumbers: false)
        }
        #expect(cipher != nil)
        guard sluice_counters_work() else { return }
        #expect(counted.allocations > 0)
        #expect(counted.locks > 0)
    }

    private struct Calls: Equatable {
        var allocations: UInt64
        var locks: UInt64
    }

    /// What this thread called during `body`.
    private func calls(during body: () -> Void) -> Calls {
        let before = Calls(allocations: sluice_allocations(), locks: sluice_locks())
        body()
        return Calls(
            allocations: sluice_allocations() - before.allocations, locks: sluice_locks() - before.locks)
    }
}
