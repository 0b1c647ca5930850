/// Why a key could not be put to use. Never holds key material, only lengths and names.
public enum CryptographyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key material has another length (in bytes) than the transform takes.
    case keyLength(transform: ESPTransform, expected: Int, actual: Int)
    /// The parts do not make an ESP transform, e.g. AES with 100 key bits or CBC without integrity.
    case invalidTransform(String)
    /// The text names no transform that is known here.
    case unknownTransform(String)
    /// The engine lacks the transform.
    case unsupported(transform: ESPTransform, engine: String)
    /// A call into the engine's library failed; `reason` is the library's own text.
    case library(function: String, reason: String)

    public var description: String {
        switch self {
        case .keyLength(let transform, let expected, let actual):
            "\(transform) takes \(expected) bytes of key material (\(transform.keyMaterialParts)), got \(actual)"
        case .invalidTransform(let problem):
            "not an ESP transform: \(problem)"
        case .unknownTransform(let text):
            "unknown ESP transform '\(text)'; known are \(ESPTransform.all.map(\.name).joined(separator: ", "))"
        case .unsupported(let transform, let engine):
            "the \(engine) engine does not offer \(transform)"
        case .library(let function, let reason):
            "\(function) failed: \(reason)"
        }
    }
}
