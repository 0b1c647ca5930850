import Cryptography
import IKEv2Messages

/// The keys of an IKE SA, and what is derived from them (RFC 7296 sections 2.13 to 2.18, RFC 5282 section 7).
package struct IKEKeys: Sendable {
    package let suite: IKECipherSuite
    package let function: PRF
    package let initiatorSPI: UInt64
    package let responderSPI: UInt64
    private(set) var derivation: SecretBytes
    let integrityInitiator: SecretBytes?
    let integrityResponder: SecretBytes?
    let encryptionInitiator: SecretBytes
    let encryptionResponder: SecretBytes
    private(set) var proofInitiator: SecretBytes
    private(set) var proofResponder: SecretBytes
    /// One for each direction, shared by all copies: it counts the initialization vectors.
    private let initiatorCipher: IKECipher
    private let responderCipher: IKECipher

    /// For the first IKE SA. `secret`: g^ir. SKEYSEED = prf(Ni | Nr, g^ir), section 2.14.
    package init(
        _ selected: SelectedIKE, secret: SecretBytes, initiatorNonce: [UInt8], responderNonce: [UInt8],
        initiatorSPI: UInt64, responderSPI: UInt64
    ) throws(CryptographyError) {
        let seed = try selected.function.compute(
            key: SecretBytes(copying: initiatorNonce + responderNonce), .secret(secret))
        try self.init(
            selected.suite, selected.function, seed: seed, nonces: initiatorNonce + responderNonce,
            initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// The keys of the same IKE SA after one more key exchange between IKE_SA_INIT and IKE_AUTH; the nonces are those of
    /// IKE_SA_INIT. SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), RFC 9370 section 2.2.2.
    package func rederived(
        with secret: SecretBytes, initiatorNonce: [UInt8], responderNonce: [UInt8]
    ) throws(CryptographyError) -> IKEKeys {
        let nonces = initiatorNonce + responderNonce
        return try IKEKeys(
            suite, function, seed: seedOfNext(secret, nonces), nonces: nonces, initiatorSPI: initiatorSPI,
            responderSPI: responderSPI)
    }

    /// The keys with a post-quantum preshared key in SK_d, SK_pi and SK_pr: each is prf+(PPK, what it was), RFC 8784
    /// section 3. The ciphers stay, since SK_e and SK_a do: their count of initialization vectors goes on.
    package func mixed(with preshared: SecretBytes) throws(CryptographyError) -> IKEKeys {
        var mixed = self
        let count = function.outputLength
        mixed.derivation = try function.expand(key: preshared, .secret(derivation), count: count)
        mixed.proofInitiator = try function.expand(key: preshared, .secret(proofInitiator), count: count)
        mixed.proofResponder = try function.expand(key: preshared, .secret(proofResponder), count: count)
        return mixed
    }

    /// For the IKE SA that replaces this one. SKEYSEED = prf(SK_d, g^ir | Ni | Nr), with the PRF of this one,
    /// section 2.18.
    package func rekeyed(
        _ selected: SelectedIKE, secret: SecretBytes, initiatorNonce: [UInt8], responderNonce: [UInt8],
        initiatorSPI: UInt64, responderSPI: UInt64
    ) throws(CryptographyError) -> IKEKeys {
        let nonces = initiatorNonce + responderNonce
        return try IKEKeys(
            selected.suite, selected.function, seed: seedOfNext(secret, nonces), nonces: nonces,
            initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// SKEYSEED of the keys that follow these ones.
    private func seedOfNext(_ secret: SecretBytes, _ nonces: [UInt8]) throws(CryptographyError) -> SecretBytes {
        try function.compute(key: derivation, .secret(secret), .bytes(nonces))
    }

    /// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr), section 2.14.
    private init(
        _ suite: IKECipherSuite, _ function: PRF, seed: SecretBytes, nonces: [UInt8], initiatorSPI: UInt64,
        responderSPI: UInt64
    ) throws(CryptographyError) {
        self.suite = suite
        self.function = function
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        let (own, integrity, encryption) = (
            function.outputLength, suite.integrityKeyLength, suite.encryptionKeyLength
        )
        let material = try function.expand(
            key: seed, .bytes(nonces + Self.bytes(initiatorSPI) + Self.bytes(responderSPI)),
            count: 3 * own + 2 * integrity + 2 * encryption)
        var start = 0
        func next(_ count: Int) -> SecretBytes {
            defer { start += count }
            return material[start..<start + count]
        }
        derivation = next(own)
        integrityInitiator = integrity > 0 ? next(integrity) : nil
        integrityResponder = integrity > 0 ? next(integrity) : nil
        encryptionInitiator = next(encryption)
        encryptionResponder = next(encryption)
        proofInitiator = next(own)
        proofResponder = next(own)
        initiatorCipher = try Self.cipher(suite, encryptionInitiator, integrityInitiator)
        responderCipher = try Self.cipher(suite, encryptionResponder, integrityResponder)
    }

    private static func cipher(
        _ suite: IKECipherSuite, _ encryption: SecretBytes, _ integrity: SecretBytes?
    ) throws(CryptographyError) -> IKECipher {
        do {
            return try IKECipher(suite, encryptionKey: encryption, integrityKey: integrity)
        } catch {
            throw .library(function: "IKECipher", reason: "\(error)")
        }
    }

    static func bytes(_ spi: UInt64) -> [UInt8] {
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: spi >> UInt64($0)) }
    }

    /// For messages of one side. Every call gives the same cipher, so that no initialization vector is used twice.
    package func cipher(sender: IKERole) -> SessionCipher {
        SessionCipher(sender == .initiator ? initiatorCipher : responderCipher)
    }

    /// SK_pi or SK_pr, section 2.15.
    package func authenticationKey(_ role: IKERole) -> SecretBytes {
        role == .initiator ? proofInitiator : proofResponder
    }

    /// The ESP keys of both directions, by who sends: encryption key, salt, integrity key. `secret`: g^ir of the
    /// exchange that makes the CHILD_SA, if it has one. KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr), section 2.17.
    package func childKeys(
        _ transform: ESPTransform, secret: SecretBytes?, initiatorNonce: [UInt8], responderNonce: [UInt8]
    ) throws(CryptographyError) -> (initiator: SecretBytes, responder: SecretBytes) {
        let count = transform.keyMaterialLength
        let nonces = PRFInput.bytes(initiatorNonce + responderNonce)
        let seed = secret.map { [.secret($0), nonces] } ?? [nonces]
        let material = try function.expand(key: derivation, seed, count: 2 * count)
        return (material[0..<count], material[count..<2 * count])
    }
}

/// Protects the messages of one side of an IKE SA.
package struct SessionCipher: MessageCipher, Sendable {
    private let cipher: IKECipher

    init(_ cipher: IKECipher) { self.cipher = cipher }

    package var ivLength: Int { cipher.suite.ivLength }
    package var icvLength: Int { cipher.suite.icvLength }
    package var blockLength: Int { cipher.suite.blockLength }

    package func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        do {
            let body = try cipher.seal(
                Array(message[layout.ciphertext]), authenticating: Array(message[layout.associatedData]))
            message.replaceSubrange(layout.initializationVector.lowerBound..<layout.checksum.upperBound, with: body)
        } catch {
            throw .cipher
        }
    }

    package func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        let body = layout.initializationVector.lowerBound..<layout.checksum.upperBound
        do {
            let plaintext = try cipher.open(
                Array(message[body]), authenticating: Array(message[layout.associatedData]))
            message.replaceSubrange(layout.ciphertext, with: plaintext)
        } catch {
            switch error {
            case .integrityFailure: throw .integrity
            case .malformed: throw .incompleteBlock
            default: throw .cipher
            }
        }
    }
}

/// Role of a side in the exchange that made the IKE SA, or in its last rekey: decides which keys are whose (RFC 7296 sections 2.14 and 2.18).
package enum IKERole: Hashable, Sendable {
    case initiator, responder

    package var peer: IKERole { self == .initiator ? .responder : .initiator }
}
