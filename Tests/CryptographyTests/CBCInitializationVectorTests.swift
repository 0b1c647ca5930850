import Cryptography
import Testing

/// CBC's explicit IV must be unpredictable and must not repeat (RFC 3602 section 3), also when the key is used again.
@Suite struct CBCInitializationVectorTests {
    @Test func vectorsNeverRepeat() throws {
        let key = try SecretBytes.random(count: ESPTransform.aes128CBCSHA256.keyMaterialLength)
        let packet = TestPacket()
        var seen: Set<[UInt8]> = []
        // Each cipher stands for a start of the gateway with the same manual key.
        for _ in 0..<8 {
            let sealer = try CipherPair(.aes128CBCSHA256, key: key).sealer
            for sequence in 0..<500 {
                packet.write(
                    spi: 1, sequence: UInt32(sequence), payload: Array(repeating: 0, count: 16), for: .aes128CBCSHA256)
                #expect(packet.run(sealer, iv: 7) == .ok)
                seen.insert(Array(packet.bytes[8..<24]))
            }
        }
        #expect(seen.count == 4000)
    }

    /// Successive vectors differ in about half of their bits: no counter shows through.
    @Test func vectorsLookRandom() throws {
        let sealer = try CipherPair(.aes128CBCSHA256).sealer
        let packet = TestPacket()
        var previous = [UInt8](repeating: 0, count: 16)
        var differing = 0
        let rounds = 1000
        for _ in 0..<rounds {
            packet.write(spi: 1, sequence: 1, payload: Array(repeating: 0, count: 16), for: .aes128CBCSHA256)
            #expect(packet.run(sealer) == .ok)
            let vector = Array(packet.bytes[8..<24])
            let distance = zip(vector, previous).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
            #expect((20...108).contains(distance))
            differing += distance
            previous = vector
        }
        // 64,000 expected; the standard deviation is about 180.
        #expect((62_500...65_500).contains(differing))
    }
}
