import Foundation

/// A kind of key, in the words of strongSwan's `pki`.
public struct KeyKind: Hashable, Sendable, CustomStringConvertible {
    public let description: String
    let arguments: [String]

    public static let p256 = KeyKind("ECDSA P-256", "ecdsa", 256)
    public static let p384 = KeyKind("ECDSA P-384", "ecdsa", 384)
    public static let p521 = KeyKind("ECDSA P-521", "ecdsa", 521)
    public static let rsa2048 = KeyKind("RSA 2048", "rsa", 2048)
    public static let rsa4096 = KeyKind("RSA 4096", "rsa", 4096)
    public static let ed25519 = KeyKind("Ed25519", "ed25519", nil)
    public static let ed448 = KeyKind("Ed448", "ed448", nil)

    private init(_ name: String, _ type: String, _ bits: Int?) {
        description = name
        arguments = ["--type", type] + (bits.map { ["--size", "\($0)"] } ?? [])
    }
}

/// A certificate with its private key, as PEM files.
public struct IssuedCertificate: Sendable {
    public let name: String
    public let certificate: String
    public let key: String
}

/// A certification authority made for a test, root or intermediate, by strongSwan's `pki`.
public final class CertificateAuthority: Sendable {
    /// When a certificate is valid.
    public enum Validity: Sendable {
        /// From now for some days.
        case current
        /// It was, some years ago.
        case expired
    }

    /// Its own certificate and key.
    public let authority: IssuedCertificate

    /// A root that vouches for itself.
    public init(root name: String, _ kind: KeyKind = .p384) throws {
        let key = try Self.makeKey(name, kind)
        let text = try run(
            ["pki", "--self", "--ca", "--in", key, "--dn", Self.subject(name), "--outform", "pem"] + Self.type(kind))
        authority = IssuedCertificate(
            name: name, certificate: try TestRun.current.scratchFile("\(name).crt", text), key: key)
    }

    private init(_ authority: IssuedCertificate) { self.authority = authority }

    /// An authority that this one vouches for. `padding` puts so many further names into it, for a long certificate.
    public func intermediate(_ name: String, _ kind: KeyKind = .p384, padding: Int = 0) throws -> CertificateAuthority {
        let names = (0..<padding).flatMap { ["--san", "padding-\($0)-of-a-long-certificate.\(name).test"] }
        return CertificateAuthority(try issue(name, kind, options: ["--ca"] + names))
    }

    /// A gateway's certificate for `host`, which is its common name and its subjectAltName.
    public func issue(host: String, _ kind: KeyKind = .p256, _ validity: Validity = .current) throws
        -> IssuedCertificate
    {
        var options = ["--san", host, "--flag", "serverAuth", "--flag", "clientAuth"]
        if validity == .expired {
            options += ["--not-before", "01.01.20 00:00:00", "--not-after", "01.02.20 00:00:00"]
        }
        return try issue(host, kind, options: options)
    }

    /// A list of what this authority has revoked (RFC 5280 section 5), as a PEM file.
    public func revocationList(_ revoked: [IssuedCertificate]) throws -> String {
        let entries = revoked.flatMap { ["--reason", "key-compromise", "--cert", $0.certificate] }
        let text = try run(
            ["pki", "--signcrl", "--cacert", authority.certificate, "--cakey", authority.key, "--outform", "pem"]
                + entries)
        return try TestRun.current.scratchFile("\(authority.name).crl", text)
    }

    private func issue(_ name: String, _ kind: KeyKind, options: [String]) throws -> IssuedCertificate {
        let key = try Self.makeKey(name, kind)
        let text = try run(
            [
                "pki", "--issue", "--cacert", authority.certificate, "--cakey", authority.key, "--in", key,
                "--type", "priv", "--dn", Self.subject(name), "--outform", "pem",
            ] + options)
        return IssuedCertificate(
            name: name, certificate: try TestRun.current.scratchFile("\(name).crt", text), key: key)
    }

    private static func subject(_ name: String) -> String { "C=CH, O=Sluice test, CN=\(name)" }

    private static func type(_ kind: KeyKind) -> [String] { Array(kind.arguments.prefix(2)) }

    static func makeKey(_ name: String, _ kind: KeyKind) throws -> String {
        let text = try run(["pki", "--gen", "--outform", "pem"] + kind.arguments, timeout: .seconds(120))
        return try TestRun.current.scratchFile("\(name).key", text)
    }
}
