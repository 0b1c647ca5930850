/// A key pair without a certificate (RFC 7670), as PEM files.
public struct RawKey: Sendable {
    public let name: String
    /// SubjectPublicKeyInfo.
    public let publicKey: String
    public let key: String

    /// Makes one by strongSwan's `pki`.
    public init(_ name: String, _ kind: KeyKind) throws {
        self.name = name
        key = try CertificateAuthority.makeKey(name, kind)
        let text = try run(["pki", "--pub", "--in", key, "--outform", "pem"])
        publicKey = try TestRun.current.scratchFile("\(name).pub", text)
    }
}
