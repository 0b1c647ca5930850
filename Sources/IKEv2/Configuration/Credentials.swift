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
}
