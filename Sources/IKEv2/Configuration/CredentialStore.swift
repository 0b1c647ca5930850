import Cryptography

/// An authority with a name: a section of `authorities` (swanctl.conf or VICI's `load-authority`).
package struct Authority: Sendable {
    package let name: String
    package let certificate: Certificate
    /// The CRLs that its `crl_uris` held.
    package let revocationLists: [RevocationList]

    package init(name: String, certificate: Certificate, revocationLists: [RevocationList]) {
        self.name = name
        self.certificate = certificate
        self.revocationLists = revocationLists
    }
}

/// Store of all keys, certificates, secrets, authorities and CRLs in use, whether files or the control socket brought
/// them.
///
/// A key is known by its key id, a secret by its name, an authority by its name, a certificate by its content, a CRL by
/// what it is about (`RevocationListSet`): what is loaded again replaces itself. When the file is read again, it replaces
/// what it had, and what the socket brought stays.
package struct CredentialStore: Sendable {
    /// The way by which something comes into the store.
    package enum Source: Hashable, Sendable {
        case file
        /// The control socket (VICI).
        case control
    }

    /// Everything but the named authorities.
    private var all = Credentials()
    /// The part of `all` that came over the control socket, and was not in the file.
    private var own = Credentials()
    /// The authorities that the control socket loaded by name.
    package private(set) var authorities: [Authority] = []

    package init() {}

    /// Puts the credentials of a configuration file in place of those that it had before.
    /// - Parameter keepsOthers: those of before stay beside them.
    package mutating func replaceFile(with credentials: Credentials, keepingOthers keepsOthers: Bool = false) {
        let (kept, before) = (own, all)
        all = credentials
        own = Credentials()
        for key in kept.privateKeys { add(key, from: .control) }
        for key in kept.sharedKeys where key.name.isEmpty || !all.sharedKeys.contains(where: { $0.name == key.name }) {
            add(key, from: .control)
        }
        for certificate in kept.authorities { add(authority: certificate, from: .control) }
        for certificate in kept.certificates { add(certificate, from: .control) }
        add(Array(kept.revocationLists), from: .control)
        if keepsOthers { all = all.keeping(before) }
    }

    /// Whether nothing has been loaded.
    package var isEmpty: Bool {
        all.sharedKeys.isEmpty && all.privateKeys.isEmpty && all.certificates.isEmpty && all.authorities.isEmpty
            && all.revocationLists.isEmpty && authorities.isEmpty
    }

    /// The credentials that IKE works with.
    package var merged: Credentials {
        var result = all
        for authority in authorities { result.add(authority) }
        return result
    }

    /// Forgets keys, secrets, certificates and CRLs; named authorities stay, as `unload-authority` is for them.
    package mutating func clear() {
        all = Credentials()
        own = Credentials()
    }

    // MARK: - Private keys

    package var privateKeys: [PrivateKey] { all.privateKeys }

    package mutating func add(_ key: PrivateKey, from source: Source) {
        guard source == .control else { return all.add(key) }
        let isFile = all.has(key) && !own.has(key)
        own.remove(key)
        if !isFile { own.add(key) }
        all.remove(key)
        all.add(key)
    }

    package mutating func remove(_ key: PrivateKey) {
        all.remove(key)
        own.remove(key)
    }

    package func hasPrivateKey(for certificate: Certificate) -> Bool {
        guard let key = try? certificate.publicKey() else { return false }
        return all.privateKeys.contains { $0.publicKey == key }
    }

    // MARK: - Pre-shared keys

    package var sharedKeyNames: [String] { all.sharedKeys.map(\.name).filter { !$0.isEmpty } }

    /// Adds a secret. One without a name stays until all are cleared; the same one is not there twice.
    package mutating func add(_ key: Credentials.SharedKey, from source: Source) {
        guard source == .control else { return all.sharedKeys.append(key) }
        let isFile = all.sharedKeys.contains(where: key.isSame) && !own.sharedKeys.contains(where: key.isSame)
        own.sharedKeys.removeAll(where: key.isSame)
        if !isFile { own.sharedKeys.append(key) }
        all.sharedKeys.removeAll(where: key.isSame)
        all.sharedKeys.append(key)
    }

    /// False: there is none of this name.
    package mutating func removeSharedKey(name: String) -> Bool {
        let before = all.sharedKeys.count
        all.sharedKeys.removeAll { !name.isEmpty && $0.name == name }
        own.sharedKeys.removeAll { !name.isEmpty && $0.name == name }
        return all.sharedKeys.count < before
    }

    // MARK: - Certificates and CRLs

    package mutating func add(_ certificate: Certificate, from source: Source) {
        if source == .control, !all.certificates.contains(certificate) { own.add(certificate) }
        all.add(certificate)
    }

    /// Adds an authority without a name. An intermediate one is sent to peers too.
    package mutating func add(authority: Certificate, from source: Source) {
        if source == .control, !all.authorities.contains(authority) { own.add(authority: authority) }
        all.add(authority: authority)
        if !authority.isSelfIssued { add(authority, from: source) }
    }

    /// Adds CRLs, without those that others make superfluous.
    package mutating func add(_ lists: [RevocationList], from source: Source) {
        let named = authorities.map(\.certificate)
        if source == .control {
            own.revocationLists.insert(lists, signedByOneOf: all.authorities + named + all.certificates)
        }
        all.add(lists, signersBeside: named)
    }

    // MARK: - Authorities with a name

    /// Adds an authority; one that came over the control socket can be removed by its name.
    package mutating func add(_ authority: Authority, from source: Source) {
        guard source == .control else { return all.add(authority) }
        if let index = authorities.firstIndex(where: { $0.name == authority.name }) {
            authorities[index] = authority
        } else {
            authorities.append(authority)
        }
    }

    /// False: there is none of this name.
    package mutating func removeAuthority(name: String) -> Bool {
        let before = authorities.count
        authorities.removeAll { $0.name == name }
        return authorities.count < before
    }
}

extension Credentials {
    fileprivate mutating func add(_ authority: Authority) {
        add(authority: authority.certificate)
        if !authority.certificate.isSelfIssued { add(authority.certificate) }
        add(authority.revocationLists)
    }

    fileprivate mutating func remove(_ key: PrivateKey) { privateKeys.removeAll { $0.publicKey == key.publicKey } }
}

extension Credentials.SharedKey {
    /// Whether another one is this, or takes its place.
    fileprivate func isSame(_ other: Credentials.SharedKey) -> Bool {
        name.isEmpty ? other.name.isEmpty && other.owners == owners && other.secret == secret : other.name == name
    }
}
