/// Why a key exchange failed.
public enum KeyExchangeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The peer's public value has another length (in bytes) than the method has.
    case publicValueLength(method: KeyExchangeMethod, expected: Int, actual: Int)
    /// The peer's public value fails a check of RFC 6989 or RFC 8031: whoever sent it is broken or hostile.
    case invalidPublicValue(method: KeyExchangeMethod, reason: String)
    /// libcrypto failed.
    case failure(CryptographyError)

    public var description: String {
        switch self {
        case .publicValueLength(let method, let expected, let actual):
            "a \(method) public value has \(expected) bytes, the peer's has \(actual)"
        case .invalidPublicValue(let method, let reason):
            "the peer's \(method) public value is invalid: \(reason)"
        case .failure(let error):
            "key exchange: \(error)"
        }
    }
}
