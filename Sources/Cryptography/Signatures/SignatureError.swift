/// Why a key could not be read or used. Never holds key material.
public enum SignatureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Neither PEM nor DER of a key that libcrypto knows.
    case unreadableKey(reason: String)
    /// The private key is encrypted and no passphrase was given.
    case passphraseNeeded
    /// The private key is encrypted and the passphrase is wrong.
    case wrongPassphrase
    /// A kind of key that IKEv2 has no use for here.
    case unsupportedKey(String)
    /// An RSA key below 2048 bits (RFC 8247 section 4.1.1) or above 16384.
    case keySize(bits: Int)
    /// The key cannot make or check such signatures.
    case schemeMismatch(scheme: SignatureScheme, key: SignatureKeyType)
    /// The AlgorithmIdentifier is not DER.
    case malformedAlgorithm
    /// The AlgorithmIdentifier names something unknown; its object identifier or its problem.
    case unsupportedAlgorithm(String)
    /// The signature was not made by this key over this message.
    case badSignature
    /// libcrypto failed.
    case failure(CryptographyError)

    public var description: String {
        switch self {
        case .unreadableKey(let reason): "not a readable key (PEM or DER): \(reason)"
        case .passphraseNeeded: "the private key is encrypted; give its passphrase in the secrets section"
        case .wrongPassphrase: "the private key is encrypted and the passphrase does not fit"
        case .unsupportedKey(let kind): "\(kind) keys are not supported; use RSA, ECDSA P-256/384/521, Ed25519 or Ed448"
        case .keySize(let bits): "an RSA key of \(bits) bits is not accepted; use 2048 to 16384 bits"
        case .schemeMismatch(let scheme, let key): "\(scheme) does not go with an \(key) key"
        case .malformedAlgorithm: "the signature's AlgorithmIdentifier is malformed"
        case .unsupportedAlgorithm(let name): "the signature algorithm \(name) is not supported"
        case .badSignature: "the signature does not verify"
        case .failure(let error): "signature: \(error)"
        }
    }
}
