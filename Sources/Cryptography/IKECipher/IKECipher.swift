import CLibCrypto
import Synchronization

/// Why an SK payload could not be sealed or opened.
public enum IKECipherError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A key has another length (in bytes) than the suite takes.
    case keyLength(suite: IKECipherSuite, key: String, expected: Int, actual: Int)
    /// The plaintext is no multiple of the block length: the caller pads.
    case unpadded(length: Int)
    /// The body is shorter than IV and ICV, or no multiple of the block length.
    case malformed(length: Int)
    /// The payload was not made by the holder of the key, or is damaged.
    case integrityFailure
    /// 2^64 messages were sealed; the key is used up.
    case exhausted
    /// libcrypto failed.
    case failure(CryptographyError)

    public var description: String {
        switch self {
        case .keyLength(let suite, let key, let expected, let actual):
            "\(suite) takes an \(key) key of \(expected) bytes, got \(actual)"
        case .unpadded(let length): "a plaintext of \(length) bytes is not padded to whole blocks"
        case .malformed(let length): "an encrypted payload cannot have \(length) bytes"
        case .integrityFailure: "the integrity check failed"
        case .exhausted: "no IV is left for this key"
        case .failure(let error): "SK payload: \(error)"
        }
    }
}

/// Protects the SK payloads of one direction of an IKE SA (RFC 7296 section 3.14, RFC 5282, RFC 7634).
///
/// A body is IV, ciphertext and ICV. Padding and pad length are the caller's, in the plaintext. What is authenticated
/// with it begins at the IKE header and ends with the generic header of the SK payload (RFC 5282 section 5.1), in
/// SKF payloads with the fragment numbers (RFC 7383 section 2.5).
public final class IKECipher: Sendable {
    public let suite: IKECipherSuite
    let encryptionKey: SecretBytes
    let integrityKey: SecretBytes?
    /// The next explicit IV of an AEAD. Every sealed message takes one, so none repeats under this key.
    private let counter = Mutex<UInt64>(0)

    /// `encryptionKey` is SK_e with its salt, `integrityKey` is SK_a and nil for AEADs. Throws `keyLength`.
    public init(
        _ suite: IKECipherSuite, encryptionKey: SecretBytes, integrityKey: SecretBytes? = nil
    ) throws(IKECipherError) {
        for (name, key, expected) in [
            ("encryption", encryptionKey.count, suite.encryptionKeyLength),
            ("integrity", integrityKey?.count ?? 0, suite.integrityKeyLength),
        ] where key != expected {
            throw .keyLength(suite: suite, key: name, expected: expected, actual: key)
        }
        self.suite = suite
        self.encryptionKey = encryptionKey
        self.integrityKey = integrityKey
    }

    /// Length in bytes of a sealed body for `count` bytes of padded plaintext.
    public func sealedLength(_ count: Int) -> Int { suite.ivLength + count + suite.icvLength }

    /// Encrypts and authenticates: IV | ciphertext | ICV. The IV is a counter for AEADs (RFC 5282 section 3.1 wants it
    /// never to repeat) and random for CBC (RFC 3602 section 3 wants it unpredictable).
    public func seal(_ plaintext: [UInt8], authenticating header: [UInt8]) throws(IKECipherError) -> [UInt8] {
        try seal(plaintext, authenticating: header, iv: nextIV())
    }

    /// Verifies and decrypts a body. Nothing of the plaintext comes out unless the ICV is right.
    public func open(_ body: [UInt8], authenticating header: [UInt8]) throws(IKECipherError) -> [UInt8] {
        let count = body.count - suite.ivLength - suite.icvLength
        guard count >= 0, count.isMultiple(of: suite.blockLength) else { throw .malformed(length: body.count) }
        let iv = Array(body[..<suite.ivLength])
        let ciphertext = Array(body[suite.ivLength..<suite.ivLength + count])
        let icv = Array(body[(suite.ivLength + count)...])
        if suite.encryption.isAEAD {
            return try openAEAD(ciphertext, icv: icv, iv: iv, header: header)
        }
        let expected = try mac(header, iv, ciphertext)
        guard CRYPTO_memcmp(expected, icv, icv.count) == 0 else { throw .integrityFailure }
        return try cbc(ciphertext, iv: iv, encrypting: false)
    }

    /// Seals with a given IV: for published test vectors only.
    package func seal(
        _ plaintext: [UInt8], authenticating header: [UInt8], iv: [UInt8]
    ) throws(IKECipherError) -> [UInt8] {
        guard plaintext.count.isMultiple(of: suite.blockLength) else { throw .unpadded(length: plaintext.count) }
        if suite.encryption.isAEAD {
            return try iv + sealAEAD(plaintext, iv: iv, header: header)
        }
        let ciphertext = try cbc(plaintext, iv: iv, encrypting: true)
        return try iv + ciphertext + mac(header, iv, ciphertext)
    }

    private func nextIV() throws(IKECipherError) -> [UInt8] {
        guard suite.encryption.isAEAD else {
            var iv = [UInt8](repeating: 0, count: suite.ivLength)
            guard RAND_bytes(&iv, Int32(iv.count)) == 1 else { throw .failure(libraryError("RAND_bytes")) }
            return iv
        }
        let value = counter.withLock { counter -> UInt64? in
            guard counter < UInt64.max else { return nil }
            counter += 1
            return counter
        }
        guard let value else { throw .exhausted }
        return withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// The truncated HMAC over header, IV and ciphertext.
    private func mac(_ parts: [UInt8]...) throws(IKECipherError) -> [UInt8] {
        guard let integrity = suite.integrity, let integrityKey else { return [] }
        do {
            let stream = try HMACStream(digest: integrity.digest, key: integrityKey)
            for part in parts {
                try PRFInput.bytes(part).withUnsafeBytes { bytes throws(CryptographyError) in
                    try stream.update(bytes)
                }
            }
            let whole = try secret(count: integrity.keyLength) { output throws(CryptographyError) in
                try stream.finish(into: output)
            }
            return whole.withUnsafeBytes { Array($0[..<integrity.icvLength]) }
        } catch {
            throw .failure(error)
        }
    }
}
