import Cryptography
import Testing

/// What every transform must do, whatever its algorithm.
@Suite struct RoundTripTests {
    @Test(arguments: ESPTransform.all, [false, true])
    func opensWhatItSealed(transform: ESPTransform, extended: Bool) throws {
        let pair = try CipherPair(transform, extended: extended)
        let packet = TestPacket()
        let step = transform.alignment == 16 ? 16 : 1
        for length in Array(stride(from: 0, to: 160, by: step)) + Array(stride(from: 160, through: 2048, by: 37 * step))
        {
            let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
            packet.write(spi: 0x1122_3344, sequence: UInt32(length), payload: payload, for: transform)
            #expect(packet.run(pair.sealer, iv: UInt64(length), sequenceHigh: 5) == .ok)
            if transform.encryption != .null, length >= 16, !transform.name.contains("gmac") {
                #expect(packet.payload != payload, "the payload is still plain")
            }
            #expect(packet.run(pair.opener, sequenceHigh: 5) == .ok)
            #expect(packet.payload == payload)
            #expect(packet.edgesAreIntact)
        }
    }

    @Test(arguments: ESPTransform.all, [false, true])
    func refusesEveryTamperedByte(transform: ESPTransform, extended: Bool) throws {
        let pair = try CipherPair(transform, extended: extended)
        let packet = TestPacket()
        packet.write(spi: 7, sequence: 9, payload: Array(repeating: 0xaa, count: 48), for: transform)
        #expect(packet.run(pair.sealer, iv: 1, sequenceHigh: 2) == .ok)
        let sealed = packet.bytes
        for index in sealed.indices {
            packet.bytes = sealed
            packet.bytes[index] ^= 0x40
            #expect(packet.run(pair.opener, sequenceHigh: 2) == .integrityFailure, "byte \(index)")
            #expect(packet.payload.allSatisfy { $0 == 0 }, "a refused packet must leave nothing to use")
        }
        packet.bytes = sealed
        #expect(packet.run(pair.opener, sequenceHigh: 3) == (extended ? .integrityFailure : .ok))
        packet.bytes = sealed
        #expect(packet.run(pair.opener, sequenceHigh: 2) == .ok, "the next good packet is not harmed")
    }

    @Test(arguments: ESPTransform.all)
    func refusesAnotherKey(transform: ESPTransform) throws {
        let (left, right) = (try CipherPair(transform), try CipherPair(transform))
        let packet = TestPacket()
        packet.write(spi: 7, sequence: 9, payload: Array(repeating: 0xaa, count: 64), for: transform)
        #expect(packet.run(left.sealer, iv: 1) == .ok)
        #expect(packet.run(right.opener) == .integrityFailure)
    }

    /// The engine's two ways to do an AEAD seal to the same bytes, and each refuses what was tampered with.
    @Test(arguments: ESPTransform.all.filter(\.isAEAD), [false, true])
    func bothWaysOfTheEngineAgree(transform: ESPTransform, extended: Bool) throws {
        let key = try SecretBytes.random(count: transform.keyMaterialLength)
        let pair = try CipherPair(transform, key: key, extended: extended)
        let inside = try CipherPair(
            transform, key: key, extended: extended, engine: OpenSSLEngine(insideProvider: true))
        let (packet, other) = (TestPacket(), TestPacket())
        for length in Array(0..<100) + [447, 448, 449, 511, 512, 513, 959, 960, 961, 1472, 2000] {
            let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            for packet in [packet, other] {
                packet.write(spi: 9, sequence: UInt32(length), payload: payload, for: transform)
            }
            #expect(packet.run(pair.sealer, iv: UInt64(length), sequenceHigh: 1) == .ok)
            #expect(other.run(inside.sealer, iv: UInt64(length), sequenceHigh: 1) == .ok)
            #expect(packet.bytes == other.bytes)
            packet.bytes[packet.bytes.count - 1] ^= 1
            #expect(packet.run(inside.opener, sequenceHigh: 1) == .integrityFailure)
            #expect(packet.payload.allSatisfy { $0 == 0 })
            #expect(other.run(inside.opener, sequenceHigh: 1) == .ok)
            #expect(other.payload == payload)
        }
    }

    @Test func refusesPayloadsThatAreNoWholeBlocks() throws {
        let pair = try CipherPair(.aes128CBCSHA256)
        let packet = TestPacket()
        packet.write(spi: 7, sequence: 9, payload: Array(repeating: 0xaa, count: 20), for: .aes128CBCSHA256)
        #expect(packet.run(pair.sealer) == .failure)
        #expect(packet.run(pair.opener) == .integrityFailure)
    }

    /// One batch over all transforms, sealed and opened, with one bad packet in the middle.
    @Test func batchesMixTransforms() throws {
        let pairs = try ESPTransform.all.map { try CipherPair($0) }
        let packets = pairs.map { _ in TestPacket() }
        let payload = Array(UInt8(0)..<96)
        for (packet, pair) in zip(packets, pairs) {
            packet.write(spi: 1, sequence: 2, payload: payload, for: pair.transform)
        }
        var operations = zip(packets, pairs).map { $0.operation($1.sealer, iv: 3) }
        runBatch(&operations)
        #expect(operations.allSatisfy { $0.status == .ok })
        let bad = packets.count / 2
        packets[bad].bytes[20] ^= 1
        operations = zip(packets, pairs).map { $0.operation($1.opener) }
        runBatch(&operations)
        for index in packets.indices {
            #expect(operations[index].status == (index == bad ? .integrityFailure : .ok))
            if index != bad { #expect(packets[index].payload == payload) }
        }
        runBatch(&operations, count: 0)
    }

    @Test func operationsAreFortyBytes() {
        #expect(MemoryLayout<ESPOperation>.size <= 40)
        #expect(MemoryLayout<ESPOperation>.stride == 40)
    }
}
