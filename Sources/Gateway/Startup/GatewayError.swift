import Configuration

/// Why a gateway did not start, or had to end: what failed, and what to do about it.
public struct GatewayError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which sort of reason it was; decides the exit code.
    public enum Kind: Sendable {
        /// A configuration file cannot be used.
        case configuration
        /// The machine does not provide what the gateway needs.
        case environment
        /// A call failed that should not.
        case failure
    }

    public var kind: Kind
    public var problem: String
    public var remedy: String
    /// Every line of it begins with the place that it is about, FILE:LINE.
    public private(set) var namesPlaces = false

    /// What is wrong with files.
    public init(_ errors: ConfigurationErrors) {
        self.init(.configuration, "\(errors)", remedy: "")
        namesPlaces = true
    }

    public init(_ kind: Kind, _ problem: String, remedy: String) {
        self.kind = kind
        self.problem = problem
        self.remedy = remedy
    }

    public var description: String { remedy.isEmpty ? problem : "\(problem); \(remedy)" }
}
