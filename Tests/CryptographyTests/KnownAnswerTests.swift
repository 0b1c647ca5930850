import Cryptography
import Testing

/// The engine against published vectors, byte for byte, in both directions.
@Suite struct KnownAnswerTests {
    /// RFC 4106 packets, whole and with the ICV cut to 12 and 8 bytes; RFC 4543; RFC 7634.
    @Test(arguments: PublishedPacket.aead, [16, 12, 8])
    func aead(published: PublishedPacket, icvLength: Int) throws {
        let isGCM = published.transform.hasSuffix("gcm16")
        guard icvLength == 16 || isGCM else { return }
        let name = isGCM ? published.transform.dropLast(2) + "\(icvLength)" : published.transform
        let vector = Vector(published, key: published.key, icv: String(published.icv.prefix(2 * icvLength)))
        try vector.check(ESPTransform(parsing: name), seals: true)
        try vector.check(ESPTransform(parsing: name), seals: true, engine: OpenSSLEngine(insideProvider: true))
    }

    /// RFC 3602. The engine draws its own IV to seal, so only opening can be checked against the vector.
    @Test(arguments: PublishedPacket.cbc)
    func cbc(published: PublishedPacket) throws {
        let integrityKey = String(repeating: "5c", count: 32)
        let icv = try hmacSHA256(published.header + published.iv + published.sealed, key: integrityKey)
        try Vector(published, key: published.key + integrityKey, icv: icv).check(.aes128CBCSHA256, seals: false)
    }

    /// RFC 3686.
    @Test(arguments: PublishedPacket.ctr)
    func ctr(published: PublishedPacket) throws {
        let integrityKey = String(repeating: "36", count: 32)
        let icv = try hmacSHA256(published.header + published.iv + published.sealed, key: integrityKey)
        let vector = Vector(published, key: published.key + integrityKey, icv: icv)
        try vector.check(ESPTransform(parsing: published.transform), seals: true)
    }

    /// RFC 4868 section 2.7.2, and RFC 2202 for SHA-1: the message is a packet without encryption, header first.
    @Test(arguments: PublishedHMAC.all)
    func hmac(published: PublishedHMAC) throws {
        let transform = try ESPTransform(encryption: .null, integrity: published.integrity)
        let key = try #require(SecretBytes(hexadecimal: published.key))
        let pair = try CipherPair(transform, key: key)
        let packet = TestPacket()
        let icv = bytes(published.icv)
        packet.write(sealed: bytes(published.message) + Array(repeating: 0, count: icv.count), for: transform)
        #expect(packet.run(pair.sealer) == .ok)
        #expect(Array(packet.bytes.suffix(icv.count)) == icv)
        #expect(packet.run(pair.opener) == .ok)
    }

    /// HMAC-SHA-256-128 in hexadecimal, by way of a packet without encryption, which `hmac` checks by itself.
    private func hmacSHA256(_ message: String, key: String) throws -> String {
        let transform = try ESPTransform(encryption: .null, integrity: .hmacSHA256_128)
        let key = try #require(SecretBytes(hexadecimal: key))
        let sealer = try CipherPair(transform, key: key).sealer
        let packet = TestPacket()
        packet.write(sealed: bytes(message) + Array(repeating: 0, count: 16), for: transform)
        #expect(packet.run(sealer) == .ok)
        return hexadecimal(Array(packet.bytes.suffix(16)))
    }
}

/// A published packet with the parts that the publication leaves open.
private struct Vector {
    let header: [UInt8]
    let sequenceHigh: UInt32
    let extended: Bool
    let iv: [UInt8]
    let plain: [UInt8]
    let sealed: [UInt8]
    let icv: [UInt8]
    let key: String

    init(_ published: PublishedPacket, key: String, icv: String) {
        let header = bytes(published.header)
        extended = header.count == 12
        self.header = extended ? Array(header[..<4] + header[8...]) : header
        sequenceHigh = extended ? header[4..<8].reduce(0) { $0 << 8 | UInt32($1) } : 0
        iv = bytes(published.iv)
        plain = bytes(published.plain)
        sealed = bytes(published.sealed)
        self.icv = bytes(icv)
        self.key = key
    }

    func check(_ transform: ESPTransform, seals: Bool, engine: OpenSSLEngine = OpenSSLEngine()) throws {
        let key = try #require(SecretBytes(hexadecimal: key))
        let pair = try CipherPair(transform, key: key, extended: extended, engine: engine)
        let packet = TestPacket()
        let expected = header + iv + sealed + icv
        if seals {
            let empty = [UInt8](repeating: 0xff, count: iv.count)
            packet.write(sealed: header + empty + plain + [UInt8](repeating: 0, count: icv.count), for: transform)
            let counter = iv.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            #expect(packet.run(pair.sealer, iv: counter, sequenceHigh: sequenceHigh) == .ok)
            #expect(hexadecimal(packet.bytes) == hexadecimal(expected))
        }
        packet.write(sealed: expected, for: transform)
        #expect(packet.run(pair.opener, sequenceHigh: sequenceHigh) == .ok)
        #expect(hexadecimal(packet.payload) == hexadecimal(plain))
        #expect(packet.edgesAreIntact)
    }
}
