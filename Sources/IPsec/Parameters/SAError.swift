import Cryptography

/// Why an SA cannot be made from its parameters.
public enum SAError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Only tunnel mode is processed.
    case unsupportedMode(SAMode)
    /// SPIs 0...255 are reserved (RFC 4303 section 2.1).
    case reservedSPI(UInt32)
    case mixedAddressFamilies
    /// Neither 0 nor 32...65536.
    case replayWindow(Int)
    /// The initial sequence number is beyond what the SA may use.
    case initialSequence(UInt64)
    /// The owner is not a worker index.
    case owner(Int)
    /// The engine refused the transform or the key.
    case cryptography(CryptographyError)

    public var description: String {
        switch self {
        case .unsupportedMode(let mode): "\(mode.rawValue) mode is not supported; use tunnel mode"
        case .reservedSPI(let spi): "SPI \(spi) is reserved; choose one from 256 on"
        case .mixedAddressFamilies: "the outer source and destination are of different address families"
        case .replayWindow(let size): "a replay window of \(size) packets is not supported; use 0 (off) or 32 to 65536"
        case .initialSequence(let sequence): "sequence number \(sequence) is out of range; only ESN goes beyond 2^32-1"
        case .owner(let owner): "\(owner) is not a worker index"
        case .cryptography(let error): "\(error)"
        }
    }
}
