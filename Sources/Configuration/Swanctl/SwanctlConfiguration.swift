import Cryptography
import IKEv2

/// What a swanctl.conf and the folders beside it come to.
public struct SwanctlConfiguration: Sendable {
    /// In the order of the file.
    public var connections: [Connection]
    public var credentials: Credentials
    public var warnings: [ConfigurationWarning]

    public init(
        connections: [Connection] = [], credentials: Credentials = Credentials(),
        warnings: [ConfigurationWarning] = []
    ) {
        self.connections = connections
        self.credentials = credentials
        self.warnings = warnings
    }

    /// Reads the file, what it includes, and the folders of certificates and keys.
    ///
    /// - Parameter directory: where the folders are; nil: the environment's SWANCTL_DIR, else where the file is.
    /// Throws every problem of the files, sorted by file and line.
    public static func load(path: String, directory: String? = nil) throws(ConfigurationErrors) -> SwanctlConfiguration
    {
        throw ConfigurationErrors([])
    }
}
