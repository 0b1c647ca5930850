import Cryptography

/// The ESP of a transform in several parts, as proposals list them.
package typealias ESPEncryption = ESPTransform.Encryption
package typealias ESPIntegrity = ESPTransform.Integrity

/// One proposal for an IKE SA: the alternatives of each transform type, in order of preference.
///
/// Written in strongSwan's notation, `aes256gcm16-prfsha384-ecp384`. Either all encryptions are combined modes and
/// `integrity` is empty, or none is and it is not (RFC 7296 section 3.3).
package struct IKEProposal: Hashable, Sendable {
    package var encryption: [IKECipherSuite.Encryption]
    package var integrity: [IKECipherSuite.Integrity]
    package var functions: [PRF]
    package var keyExchanges: [KeyExchangeMethod]

    package init(
        encryption: [IKECipherSuite.Encryption], integrity: [IKECipherSuite.Integrity] = [], functions: [PRF],
        keyExchanges: [KeyExchangeMethod]
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.functions = functions
        self.keyExchanges = keyExchanges
    }
}

/// One proposal for a CHILD_SA, `aes128gcm16-x25519-esn-noesn`.
package struct ChildProposal: Hashable, Sendable {
    /// Whether a CHILD_SA has to have a key exchange of its own (perfect forward secrecy).
    package enum KeyExchangeNeed: Hashable, Sendable {
        /// One of `keyExchanges`, if there are any.
        case required
        /// One of them, or none where the peer wants none (`x25519-none`; RFC 7296 section 3.3.6).
        case preferred
        /// No key exchange, or one of them where the peer wants it (`none-x25519`).
        case accepted
    }

    package var encryption: [ESPEncryption]
    /// Empty exactly when all encryptions are combined modes.
    package var integrity: [ESPIntegrity]
    /// The key exchanges; none: keys come from the IKE SA alone. In IKE_AUTH always left out (RFC 7296 section 1.2).
    package var keyExchanges: [KeyExchangeMethod]
    package var keyExchangeNeed: KeyExchangeNeed
    /// Whether extended sequence numbers are used; both, in order of preference, when either will do.
    package var extendedSequenceNumbers: [Bool]

    package init(
        encryption: [ESPEncryption], integrity: [ESPIntegrity] = [],
        keyExchanges: [KeyExchangeMethod] = [], keyExchangeNeed: KeyExchangeNeed = .required,
        extendedSequenceNumbers: [Bool] = [false]
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.keyExchanges = keyExchanges
        // Nothing is optional where there is nothing.
        self.keyExchangeNeed = keyExchanges.isEmpty ? .required : keyExchangeNeed
        self.extendedSequenceNumbers = extendedSequenceNumbers
    }
}

extension ChildProposal {
    /// A CHILD_SA may do without a key exchange of its own.
    var allowsNoKeyExchange: Bool { keyExchanges.isEmpty || keyExchangeNeed != .required }

    /// The method that begins a negotiation: nil for none.
    var firstKeyExchange: KeyExchangeMethod? { keyExchangeNeed == .accepted ? nil : keyExchanges.first }

    /// The proposal for a peer that sent no value for a key exchange: one that is optional is left out.
    var withoutOptionalKeyExchange: ChildProposal {
        var proposal = self
        if allowsNoKeyExchange {
            proposal.keyExchanges = []
            proposal.keyExchangeNeed = .required
        }
        return proposal
    }
}

// What `default` stands for: combined modes first, everything that RFC 8247 and RFC 8221 say MUST or SHOULD.

extension IKEProposal {
    private static let standardFunctions: [PRF] = [.hmacSHA256, .hmacSHA384, .hmacSHA512]

    package static let `default`: [IKEProposal] = [
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
    /// The default, with a key exchange of its own where the peer has one; extended sequence numbers where the peer has
    /// them.
    package static let `default`: [ChildProposal] = [
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
