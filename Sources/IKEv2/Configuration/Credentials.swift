import Cryptography

/// All that is known of keys and certificates, ours and others'. Unchanging: loading makes new ones.
package struct Credentials: Sendable {
    /// A pre-shared key and the identities that it is for; none: it is for everybody.
    package struct SharedKey: Sendable {
        /// The section or VICI identifier that it came from.
        package var name: String
        package var owners: [Identity]
        package var secret: SecretBytes

        package init(name: String, owners: [Identity], secret: SecretBytes) {
            self.name = name
            self.owners = owners
            self.secret = secret
        }
    }

    package var sharedKeys: [SharedKey] = []
    package var privateKeys: [PrivateKey] = []
    /// End-entity and intermediate certificates, of ours and of peers.
    package var certificates: [Certificate] = []
    package var authorities: [Certificate] = []
    package var revocationLists: RevocationListSet = []

    package init() {}

    // MARK: Adding

    // One thing is not there twice, whether files or the control socket bring it.

    /// Adds a certificate of ours or of a peer.
    package mutating func add(_ certificate: Certificate) {
        if !certificates.contains(certificate) { certificates.append(certificate) }
    }

    /// Adds the certificate of an authority that may vouch for peers.
    package mutating func add(authority: Certificate) {
        if !authorities.contains(authority) { authorities.append(authority) }
    }

    /// Adds a private key.
    package mutating func add(_ key: PrivateKey) {
        if !has(key) { privateKeys.append(key) }
    }

    /// Adds the CRLs that a known certificate has signed.
    /// - `others`: signers besides the authorities and certificates that are here.
    package mutating func add(_ lists: [RevocationList], signersBeside others: [Certificate] = []) {
        revocationLists.insert(lists, signedByOneOf: authorities + others + certificates)
    }

    /// Whether the private key is there.
    package func has(_ key: PrivateKey) -> Bool { privateKeys.contains { $0.publicKey == key.publicKey } }

    /// The same credentials, with what of `old` is not among them: some of what is new could not be read, and nothing
    /// is to be lost for that.
    package func keeping(_ old: Credentials) -> Credentials {
        var all = self
        all.sharedKeys += old.sharedKeys.filter { key in !sharedKeys.contains { $0.name == key.name } }
        for key in old.privateKeys { all.add(key) }
        for certificate in old.certificates { all.add(certificate) }
        for authority in old.authorities { all.add(authority: authority) }
        all.revocationLists.insert(old.revocationLists, signedByOneOf: all.authorities + all.certificates)
        return all
    }
}
