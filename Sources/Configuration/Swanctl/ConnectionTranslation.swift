import Cryptography
import IKEv2

/// From a section of `connections` (swanctl.conf or VICI's `load-conn`) to a connection.
public enum ConnectionTranslation {
    /// - Parameter folders: where the file names of `certs`, `cacerts` and `pubkeys` lead; nil: items are the
    ///   certificates and keys themselves (PEM or DER), as over VICI, and only absolute file names are read.
    /// Throws every problem of the section. Errors of sections without lines name the section instead of a file.
    public static func connection(
        _ section: SettingsSection, folders: CredentialFolders? = nil
    ) throws(ConfigurationErrors) -> (connection: Connection, warnings: [ConfigurationWarning]) {
        throw ConfigurationErrors([])
    }
}

/// A section of `authorities` (swanctl.conf or VICI's `load-authority`).
public struct Authority: Sendable {
    public var name: String
    public var certificate: Certificate
    /// What its `crl_uris` held.
    public var revocationLists: [RevocationList]

    public init(_ section: SettingsSection, folders: CredentialFolders? = nil) throws(ConfigurationErrors) {
        throw ConfigurationErrors([])
    }
}

/// The folders of swanctl: `x509`, `x509ca`, `x509crl`, `pubkey`, `private`, `rsa`, `ecdsa`, `pkcs8`.
public struct CredentialFolders: Hashable, Sendable {
    /// Where they are.
    public var directory: String

    public init(directory: String) { self.directory = directory }
}
