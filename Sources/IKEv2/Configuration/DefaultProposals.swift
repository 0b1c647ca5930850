import Cryptography

// What `default` stands for: combined modes first, everything that RFC 8247 and RFC 8221 say MUST or SHOULD.

extension IKEProposal {
    private static let standardFunctions: [PRF] = [.hmacSHA256, .hmacSHA384, .hmacSHA512]

    public static let `default`: [IKEProposal] = [
        IKEProposal(
            encryption: [.aesGCM16(keyBits: 128), .aesGCM16(keyBits: 256), .chaCha20Poly1305],
            functions: standardFunctions, keyExchanges: .standard),
        IKEProposal(
            encryption: [.aesCBC(keyBits: 128), .aesCBC(keyBits: 256)],
            integrity: [.hmacSHA256_128, .hmacSHA384_192, .hmacSHA512_256], functions: standardFunctions,
            keyExchanges: .standard),
    ]
}

extension ChildProposal {
    /// With a key exchange of its own where the peer has one; extended sequence numbers where the peer has them.
    public static let `default`: [ChildProposal] = [
        ChildProposal(
            encryption: [.aesGCM(keyBits: 128, icvBytes: 16), .aesGCM(keyBits: 256, icvBytes: 16), .chaCha20Poly1305],
            keyExchanges: .standard, keyExchangeNeed: .preferred, extendedSequenceNumbers: [true, false]),
        ChildProposal(
            encryption: [.aesCBC(keyBits: 128), .aesCBC(keyBits: 256)],
            integrity: [.hmacSHA256_128, .hmacSHA384_192, .hmacSHA512_256], keyExchanges: .standard,
            keyExchangeNeed: .preferred, extendedSequenceNumbers: [true, false]),
    ]
}

extension [KeyExchangeMethod] {
    fileprivate static let standard: [KeyExchangeMethod] = [
        .x25519, .ecp256, .ecp384, .ecp521, .x448, .modp3072, .modp4096, .modp2048,
    ]
}
