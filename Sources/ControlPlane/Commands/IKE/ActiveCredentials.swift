import Configuration
import Cryptography
import IKEv2

/// All keys, certificates, secrets and authorities in use: those of the configuration file, and what came over the
/// control socket.
///
/// A key is known by its key id, a secret by its name, an authority by its name, a certificate by its content: what is
/// loaded again replaces itself. When the file is read again, it replaces what it had, and what the socket brought stays.
struct ActiveCredentials: Sendable {
    private var base = Credentials()
    /// The part of `base` that came over the control socket, and was not in the file.
    private var own = Credentials()
    /// Loaded by name, over the control socket.
    private(set) var authorities: [Authority] = []

    /// Puts the credentials of a configuration file in place of those that it had before.
    /// - Parameter keepsOthers: those of before stay beside them.
    mutating func replaceFile(with credentials: Credentials, keepingOthers keepsOthers: Bool = false) {
        let (kept, before) = (own, base)
        base = credentials
        own = Credentials()
        for key in kept.privateKeys { _ = add(key) }
        for key in kept.sharedKeys where key.name.isEmpty || !base.sharedKeys.contains(where: { $0.name == key.name }) {
            add(key)
        }
        for certificate in kept.authorities { add(certificate, isAuthority: true) }
        for certificate in kept.certificates { add(certificate, isAuthority: false) }
        add(Array(kept.revocationLists))
        if keepsOthers { base = base.keeping(before) }
    }

    /// Whether nothing has been loaded.
    var isEmpty: Bool {
        base.sharedKeys.isEmpty && base.privateKeys.isEmpty && base.certificates.isEmpty && base.authorities.isEmpty
            && base.revocationLists.isEmpty && authorities.isEmpty
    }

    /// The credentials that IKE works with.
    var merged: Credentials {
        var all = base
        for authority in authorities {
            all.add(authority: authority.certificate)
            all.add(authority.revocationLists)
        }
        return all
    }

    // MARK: - Private keys

    var privateKeyIDs: [String] { base.privateKeys.map(\.publicKey.listedID) }

    /// Returns the key's id.
    mutating func add(_ key: PrivateKey) -> String {
        let id = key.publicKey.listedID
        let isFile = base.has(key) && !own.has(key)
        own.privateKeys.removeAll { $0.publicKey == key.publicKey }
        if !isFile { own.privateKeys.append(key) }
        base.privateKeys.removeAll { $0.publicKey == key.publicKey }
        base.privateKeys.append(key)
        return id
    }

    /// False: there is none with this id.
    mutating func removePrivateKey(id: String) -> Bool {
        let before = base.privateKeys.count
        base.privateKeys.removeAll { $0.publicKey.listedID == id.lowercased() }
        own.privateKeys.removeAll { $0.publicKey.listedID == id.lowercased() }
        return base.privateKeys.count < before
    }

    func hasPrivateKey(for certificate: Certificate) -> Bool {
        guard let key = try? certificate.publicKey() else { return false }
        return base.privateKeys.contains { $0.publicKey == key }
    }

    // MARK: - Pre-shared keys

    var sharedKeyNames: [String] { base.sharedKeys.map(\.name).filter { !$0.isEmpty } }

    /// A key without a name stays until all are cleared; the same one is not there twice.
    mutating func add(_ key: Credentials.SharedKey) {
        let isFile = base.sharedKeys.contains(where: key.isSame) && !own.sharedKeys.contains(where: key.isSame)
        own.sharedKeys.removeAll(where: key.isSame)
        if !isFile { own.sharedKeys.append(key) }
        base.sharedKeys.removeAll(where: key.isSame)
        base.sharedKeys.append(key)
    }

    /// False: there is none of this name.
    mutating func removeSharedKey(name: String) -> Bool {
        let before = base.sharedKeys.count
        base.sharedKeys.removeAll { !name.isEmpty && $0.name == name }
        own.sharedKeys.removeAll { !name.isEmpty && $0.name == name }
        return base.sharedKeys.count < before
    }

    // MARK: - Certificates

    /// - Parameter isAuthority: it is trusted to vouch for others.
    mutating func add(_ certificate: Certificate, isAuthority: Bool) {
        if isAuthority {
            if !base.authorities.contains(certificate) { own.authorities.append(certificate) }
            base.add(authority: certificate)
        } else {
            if !base.certificates.contains(certificate) { own.certificates.append(certificate) }
            base.add(certificate)
        }
    }

    mutating func add(_ lists: [RevocationList]) {
        let named = authorities.map(\.certificate)
        own.revocationLists.insert(lists, signedByOneOf: base.authorities + named + base.certificates)
        base.add(lists, signersBeside: named)
    }

    // MARK: - Authorities

    mutating func add(_ authority: Authority) {
        if let index = authorities.firstIndex(where: { $0.name == authority.name }) {
            authorities[index] = authority
        } else {
            authorities.append(authority)
        }
    }

    /// False: there is none of this name.
    mutating func removeAuthority(name: String) -> Bool {
        let before = authorities.count
        authorities.removeAll { $0.name == name }
        return authorities.count < before
    }

    // MARK: - All

    /// Forgets keys, secrets, certificates and CRLs; named authorities stay, as `unload-authority` is for them.
    mutating func clear() {
        base = Credentials()
        own = Credentials()
    }
}

extension Credentials.SharedKey {
    /// Whether another one is this, or takes its place.
    fileprivate func isSame(_ other: Credentials.SharedKey) -> Bool {
        name.isEmpty ? other.name.isEmpty && other.owners == owners && other.secret == secret : other.name == name
    }
}

extension PublicKey {
    /// The id that `load-key` answers with: the subject key identifier, in hexadecimal digits.
    var listedID: String { Hexadecimal.text(subjectKeyIdentifier) }
}
