import Cryptography
import IKEv2
import Packets

/// Translation of the `local` and `remote` sections of a connection to how each side proves who it is.
struct AuthenticationTranslation {
    let connection: SectionReader
    let folders: CredentialFolders?
    /// Certificates that lay behind the first one of a file: intermediate ones.
    private(set) var others: [Certificate] = []

    init(_ connection: SectionReader, folders: CredentialFolders?) {
        self.connection = connection
        self.folders = folders
    }

    mutating func local() -> LocalAuthentication {
        guard let reader = round("local") else { return LocalAuthentication(method: .publicKey(schemes: [])) }
        reader.check(LocalAuthentication.keyRules, prefixes: ["cert"])
        var local = LocalAuthentication(method: authentication(reader, isLocal: true).kind)
        if let identity = identity(reader), identity != .any { local.identity = identity }
        guard local.method != .preSharedKey else {
            warnOfNoEffect(reader, ["certs", "pubkeys"])
            return local
        }
        let items = CredentialItems(reader: reader, folders: folders)
        let certificates = items.certificates("certs", prefix: "cert", folder: "x509")
        local.certificates = certificates.certificates
        others += certificates.others
        local.publicKeys = items.publicKeys("pubkeys")
        checkIdentity(local, reader)
        return local
    }

    mutating func remote() -> RemoteAuthentication {
        guard let reader = round("remote") else { return RemoteAuthentication(method: .publicKey(schemes: [])) }
        reader.check(RemoteAuthentication.keyRules, prefixes: ["cert", "cacert"])
        let demanded = authentication(reader, isLocal: false)
        var remote = RemoteAuthentication(method: demanded.kind, identity: identity(reader) ?? .any)
        remote.chain = demanded.chain
        remote.revocation = reader.choice("revocation", default: .relaxed)
        guard remote.method != .preSharedKey else {
            warnOfNoEffect(
                reader, ["certs", "cacerts", "pubkeys"] + (remote.revocation == .relaxed ? [] : ["revocation"]))
            return remote
        }
        let items = CredentialItems(reader: reader, folders: folders)
        let certificates = items.certificates("certs", prefix: "cert", folder: "x509")
        let authorities = items.certificates("cacerts", prefix: "cacert", folder: "x509ca")
        if let other = authorities.certificates.first(where: { !$0.isAuthority }) {
            reader.fail(
                reader.value("cacerts"), "\(other)", "this certificate may not issue others (basicConstraints)",
                "name the peer's own certificate with 'certs'")
        }
        remote.certificates = certificates.certificates
        remote.authorities = authorities.certificates
        others += certificates.others + authorities.others
        remote.publicKeys = items.publicKeys("pubkeys")
        if reader.value("id") == nil, let subject = Self.subject(remote.certificates) {
            remote.identity = .distinguishedName(subject)
        }
        return remote
    }

    /// The identity of a peer of whom only the certificate is known; nil when several certificates, or an empty subject, leave
    /// that open.
    private static func subject(_ certificates: [Certificate]) -> DistinguishedName? {
        guard let subject = certificates.first?.subject, !subject.description.isEmpty,
            certificates.allSatisfy({ $0.subject == subject })
        else { return nil }
        return subject
    }

    /// The one section whose name begins so.
    private func round(_ side: String) -> SectionReader? {
        let rounds = connection.sections(prefix: side)
        if rounds.count > 1 {
            rounds[1].fail(
                rounds[1].section.name, "a second round of authentication (RFC 4739) is not supported",
                "keep one '\(side)' section")
        }
        return rounds.first
    }

    private func authentication(_ reader: SectionReader, isLocal: Bool) -> AuthenticationText.Result {
        guard let text = reader.text("auth"), let value = reader.value("auth") else { return Self.anyKey }
        do throws(Problem) {
            return try AuthenticationText.parse(text, isLocal: isLocal)
        } catch {
            reader.fail(value, text, error)
            return Self.anyKey
        }
    }

    private static let anyKey = AuthenticationText.Result(kind: .publicKey(schemes: []))

    private func identity(_ reader: SectionReader) -> Identity? {
        guard let text = reader.text("id") else { return nil }
        return reader.identity(text, of: reader.value("id"))
    }

    private func warnOfNoEffect(_ reader: SectionReader, _ keys: [String]) {
        for value in keys.compactMap(reader.value) {
            reader.warn(
                value, value.key, "has no effect: it is for certificates and public keys, and auth is psk",
                "remove it, or write auth = pubkey")
        }
        for section in reader.section.sections {
            reader.inside(section).warn(
                section.name, "has no effect: it is for certificates, and auth is psk",
                "remove it, or write auth = pubkey")
        }
    }

    /// A certificate of ours has to be for the identity that we claim (RFC 7296 section 3.5, RFC 4945 section 3.1).
    private func checkIdentity(_ local: LocalAuthentication, _ reader: SectionReader) {
        guard let identity = local.identity, let name = identity.certificateName, !local.certificates.isEmpty,
            !local.certificates.contains(where: { $0.certifies(name) })
        else { return }
        let certificate = local.certificates[0]
        let names = ([certificate.subject.description] + certificate.subjectAlternativeNames.map(\.description))
            .map { "'\($0)'" }.joined(separator: ", ")
        reader.fail(
            reader.value("id"), "\(identity)", "the certificate is not for this identity",
            "use one of its names: \(names), or another certificate")
    }
}
