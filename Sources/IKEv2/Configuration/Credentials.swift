import Cryptography

/// All that is known of keys and certificates, ours and others'. Unchanging: loading makes new ones.
public struct Credentials: Sendable {
    /// A pre-shared key and the identities that it is for; none: it is for everybody.
    public struct SharedKey: Sendable {
        /// The section or VICI identifier that it came from.
        public var name: String
        public var owners: [Identity]
        public var secret: SecretBytes

        public init(name: String, owners: [Identity], secret: SecretBytes) {
            self.name = name
            self.owners = owners
            self.secret = secret
        }
    }

    public var sharedKeys: [SharedKey] = []
    public var privateKeys: [PrivateKey] = []
    /// End-entity and intermediate certificates, of ours and of peers.
    public var certificates: [Certificate] = []
    public var authorities: [Certificate] = []
    public var revocationLists: RevocationListSet = []

    public init() {}

    /// These, with what of `old` is not among them: some of what is new could not be read, and nothing is to be lost for that.
    public func keeping(_ old: Credentials) -> Credentials {
        var all = self
        all.sharedKeys += old.sharedKeys.filter { key in !sharedKeys.contains { $0.name == key.name } }
        all.privateKeys += old.privateKeys.filter { key in !privateKeys.contains { $0.publicKey == key.publicKey } }
        all.certificates += old.certificates.filter { !certificates.contains($0) }
        all.authorities += old.authorities.filter { !authorities.contains($0) }
        all.revocationLists.insert(old.revocationLists, signedByOneOf: all.authorities + all.certificates)
        return all
    }
}
