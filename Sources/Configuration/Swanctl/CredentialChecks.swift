import Cryptography
import IKEv2

#if canImport(Glibc)
    import Glibc
#endif

/// Warns of connections that cannot come up with the credentials of the files alone.
///
/// These are no errors: keys may still be loaded over VICI.
struct CredentialChecks {
    let configuration: SwanctlConfiguration
    let root: SectionReader

    private var credentials: Credentials { configuration.credentials }

    func run() {
        let now = Int64(time(nil))
        for connection in configuration.connections {
            guard let section = root.section.section("connections")?.section(connection.name) else { continue }
            let reader = SectionReader(section, path: "connections.\(connection.name)", findings: root.findings)
            if connection.local.method == .preSharedKey {
                checkSharedKey(connection, reader)
            } else {
                checkPrivateKey(connection, reader)
            }
            if connection.remote.method != .preSharedKey { checkTrust(connection, reader) }
            for certificate in connection.local.certificates { checkValidity(certificate, now, reader) }
        }
        for authority in credentials.authorities { checkValidity(authority, now, root) }
    }

    /// Some key has to be for the peer, or for us, or for everybody.
    private func checkSharedKey(_ connection: Connection, _ reader: SectionReader) {
        let peers: [Identity] =
            connection.remote.identity == .any
            ? connection.remoteAddresses.compactMap(\.identity) : [connection.remote.identity]
        let identities = peers + (connection.local.identity.map { [$0] } ?? [])
        let isFound = credentials.sharedKeys.contains { key in
            key.owners.isEmpty || identities.isEmpty
                || key.owners.contains { owner in identities.contains { $0.matches(owner) != nil } }
        }
        guard !isFound else { return }
        reader.warn(
            connection.name, "there is no pre-shared key for \(identities.map { "'\($0)'" }.joined(separator: " or "))",
            "add 'ike-\(connection.name) { id = … secret = … }' to the section secrets")
    }

    private func checkPrivateKey(_ connection: Connection, _ reader: SectionReader) {
        let local = connection.local
        let named = local.certificates.compactMap { try? $0.publicKey() } + local.publicKeys
        let isFound = credentials.privateKeys.contains { key in named.isEmpty || named.contains(key.publicKey) }
        guard !isFound else { return }
        reader.warn(
            connection.name,
            named.isEmpty ? "there is no private key" : "there is no private key of the certificate or public key",
            "put it into the folder 'private'")
    }

    private func checkTrust(_ connection: Connection, _ reader: SectionReader) {
        let remote = connection.remote
        guard
            remote.certificates.isEmpty && remote.publicKeys.isEmpty && remote.authorities.isEmpty
                && credentials.authorities.isEmpty
        else { return }
        reader.warn(
            connection.name, "there is no authority to check the peer's certificate with",
            "put its certificate into the folder x509ca, or name the peer's with certs or pubkeys")
    }

    private func checkValidity(_ certificate: Certificate, _ now: Int64, _ reader: SectionReader) {
        let problem: CertificateError
        if now > certificate.validity.upperBound {
            problem = .expired(subject: "\(certificate)", since: certificate.validity.upperBound)
        } else if now < certificate.validity.lowerBound {
            problem = .notYetValid(subject: "\(certificate)", until: certificate.validity.lowerBound)
        } else {
            return
        }
        reader.warn(nil, "\(problem)", "replace it with a valid one")
    }
}

extension AddressPattern {
    /// Who a peer is that does not say: its address.
    fileprivate var identity: Identity? {
        if case .range(let range) = self, range.first == range.last { .address(range.first) } else { nil }
    }
}
