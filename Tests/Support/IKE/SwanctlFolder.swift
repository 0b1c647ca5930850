import Foundation

/// A `swanctl.conf` with the folders beside it, as strongSwan and Sluice read it.
public struct SwanctlFolder: Sendable {
    /// The directory: `SWANCTL_DIR` for strongSwan.
    public let path: String

    /// The configuration file itself.
    public var file: String { path + "/swanctl.conf" }

    /// Makes an empty folder.
    public init(_ label: String) throws {
        path = TestRun.current.scratchPath("\(label)-swanctl")
        for folder in Self.folders {
            try FileManager.default.createDirectory(
                atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
        }
        try write("")
    }

    /// Makes a folder with this configuration.
    public init(_ label: String, _ configuration: IKEConfiguration, _ side: Side) throws {
        try self.init(label)
        try write(configuration, side)
    }

    /// What strongSwan expects to be there, or it complains.
    private static let folders = [
        "x509", "x509ca", "x509crl", "x509aa", "x509ac", "x509ocsp", "pubkey", "private", "rsa", "ecdsa", "pkcs8",
        "pkcs12", "bliss",
    ]

    /// Replaces the configuration's text.
    public func write(_ text: String) throws {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    }

    /// Replaces the configuration, and adds the certificates that it speaks of.
    public func write(_ configuration: IKEConfiguration, _ side: Side) throws {
        try write(configuration.text(side))
        for authority in configuration.authorities { try add(authority, to: "x509ca") }
        for list in configuration.revocationLists { try add(list, to: "x509crl") }
        for connection in configuration.connections {
            switch connection.authentication {
            case .preSharedKey: break
            case .certificates(let a, let b):
                let own = side == .a ? a : b
                try add(own.certificate, to: "x509")
                try add(own.key, to: "private")
                for authority in connection.intermediates[side] ?? [] { try add(authority, to: "x509ca") }
            case .rawKeys(let a, let b):
                for key in [a, b] { try add(key.publicKey, to: "pubkey") }
                try add((side == .a ? a : b).key, to: "private")
            }
        }
    }

    private func add(_ source: String, to folder: String) throws {
        let target = "\(path)/\(folder)/\(URL(filePath: source).lastPathComponent)"
        guard !FileManager.default.fileExists(atPath: target) else { return }
        try FileManager.default.copyItem(atPath: source, toPath: target)
    }
}
