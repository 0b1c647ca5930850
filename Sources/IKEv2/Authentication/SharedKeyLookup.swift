import Cryptography

/// Finds the pre-shared key of two identities.
struct SharedKeyLookup {
    let local: Identity
    let remote: Identity
    let context: AuthenticationContext

    /// An owner that is the address of a side counts less than one that is its identity.
    private static let addressMatch = 500

    init(local: Identity, remote: Identity, _ context: AuthenticationContext) {
        self.local = local
        self.remote = remote
        self.context = context
    }

    /// The key whose owners fit the peer best, and among those us. A key without owners is for everybody, and goes last.
    func best() throws(AuthenticationFailure) -> Credentials.SharedKey {
        var found: (key: Credentials.SharedKey, peer: Int, own: Int)?
        for key in context.credentials.sharedKeys {
            guard let (peer, own) = fit(key) else { continue }
            if let best = found, (best.peer, best.own) >= (peer, own) { continue }
            found = (key, peer, own)
        }
        if let found { return found.key }
        let owners = context.credentials.sharedKeys.map {
            "\($0.name) for \($0.owners.map(\.description).joined(separator: ", "))"
        }
        throw AuthenticationFailure(
            "there is no shared key for \(local) and \(remote)",
            details: [
                "identities tried: \(local) (here), \(remote) (peer)",
                owners.isEmpty
                    ? "no shared keys are configured" : "shared keys configured: \(owners.joined(separator: "; "))",
            ], remedy: "add secrets.ike-\(context.connection.name) { id = \(remote) secret = … }")
    }

    /// nil: the key is for others.
    private func fit(_ key: Credentials.SharedKey) -> (peer: Int, own: Int)? {
        if key.owners.isEmpty { return (0, 0) }
        let peer = key.owners.compactMap { score($0, remote, .address(context.path.remote.address)) }.max()
        let own = key.owners.compactMap { score($0, local, .address(context.path.local.address)) }.max()
        if peer == nil && own == nil { return nil }
        return (peer ?? -1, own ?? -1)
    }

    private func score(_ owner: Identity, _ identity: Identity, _ address: Identity) -> Int? {
        identity.matches(owner) ?? (owner == address ? Self.addressMatch : nil)
    }
}
