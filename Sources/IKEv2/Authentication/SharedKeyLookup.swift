import Cryptography

/// Finds the pre-shared keys of two identities.
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

    /// The keys whose owners fit the peer best, and of these first those that fit us best; the order stays among equals.
    /// More than one is there while a key is replaced by another. A key without owners is for everybody, and does not
    /// stand in for one that names the peer.
    func all() throws(Refusal) -> [Credentials.SharedKey] {
        let fitting = context.credentials.sharedKeys.enumerated().compactMap { index, key in
            fit(key).map { (key: key, peer: $0.peer, own: $0.own, index: index) }
        }
        guard let best = fitting.map(\.peer).max() else { throw missing }
        return fitting.filter { $0.peer == best }.sorted { ($1.own, $0.index) < ($0.own, $1.index) }.map(\.key)
    }

    private var missing: Refusal {
        let owners = context.credentials.sharedKeys.map {
            "\($0.name) for \($0.owners.map(\.description).joined(separator: ", "))"
        }
        return Refusal(
            authentication: "there is no shared key for \(local) and \(remote)",
            details: [
                "identities tried: \(local) (here), \(remote) (peer)",
                owners.isEmpty
                    ? "no shared keys are configured" : "shared keys configured: \(owners.joined(separator: "; "))",
            ], remedy: "add secrets.ike-\(context.connection.name) { id = \(remote) secret = … }")
    }

    /// The closeness of a key; nil: it is for others. One that names somebody besides us is for those alone; one that
    /// names nobody but us is for whoever has it.
    private func fit(_ key: Credentials.SharedKey) -> (peer: Int, own: Int)? {
        if key.owners.isEmpty { return (0, 0) }
        let peer = key.owners.compactMap { score($0, remote, .address(context.path.remote.address)) }.max()
        let own = key.owners.map { score($0, local, .address(context.path.local.address)) }
        if let peer { return (peer, own.compactMap(\.self).max() ?? -1) }
        guard own.allSatisfy({ $0 != nil }), let best = own.compactMap(\.self).max() else { return nil }
        return (-1, best)
    }

    private func score(_ owner: Identity, _ identity: Identity, _ address: Identity) -> Int? {
        identity.matches(owner) ?? (owner == address ? Self.addressMatch : nil)
    }
}
