import Cryptography
import Testing

@Suite struct RoundTripTests {
    @Test func gcmRoundTrip() throws {
        let engine = OpenSSLEngine()
        let key = try SecretBytes.random(count: 20)
        let sealer = try engine.makeCipher(
            .aes128GCM16, keyMaterial: key, direction: .seal, extendedSequenceNumbers: true)
        let opener = try engine.makeCipher(
            .aes128GCM16, keyMaterial: key, direction: .open, extendedSequenceNumbers: true)
        let packet = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
        defer { packet.deallocate() }
        for i in 0..<256 { packet.storeBytes(of: UInt8(i), toByteOffset: i, as: UInt8.self) }
        var op = ESPOperation(context: sealer.context, header: packet, iv: 77, payloadLength: 100, sequenceHigh: 3)
        ESPBatch.run(&op, count: 1)
        #expect(op.status == .ok)
        op.context = opener.context
        op.status = .failure
        ESPBatch.run(&op, count: 1)
        #expect(op.status == .ok)
        for i in 16..<116 { #expect(packet.load(fromByteOffset: i, as: UInt8.self) == UInt8(i)) }
        op.sequenceHigh = 4
        ESPBatch.run(&op, count: 1)
        #expect(op.status == .integrityFailure)
        #expect(MemoryLayout<ESPOperation>.stride == 40)
    }
}
