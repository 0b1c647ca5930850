import Cryptography
import IKEv2
import Platform

/// Warns of connections that cannot come up with the credentials of the files alone.
///
/// These are no errors: keys may still be loaded over VICI.
struct CredentialChecks {
    private let configuration: SwanctlConfiguration
    private let root: SectionReader
    private let sections: [String: SettingsSection]
    /// Identities that some pre-shared key is for.
    private let owners: Set<Identity>
    /// Some pre-shared key is for everybody.
    private let hasCommonKey: Bool

    private var credentials: Credentials { configuration.credentials }

    init(configuration: SwanctlConfiguration, root: SectionReader) {
        self.configuration = configuration
        self.root = root
        let connections = root.section.section("connections")?.sections ?? []
        sections = Dictionary(connections.map { ($0.name, $0) }) { first, _ in first }
        let keys = configuration.credentials.sharedKeys
        owners = Set(keys.flatMap(\.owners))
        hasCommonKey = owners.contains(.any) || keys.contains { $0.owners.isEmpty }
    }

    func run() {
        let now = SystemClock.wallSeconds()
        for connection in configuration.connections where !connection.isRefused {
            guard let section = sections[connection.name], connection.isNegotiated else { continue }
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
        checkOwners()
        checkRevocationLists()
    }

    /// Some key has to be for the peer, or for us alone, or for everybody.
    private func checkSharedKey(_ connection: Connection, _ reader: SectionReader) {
        let peers: [Identity] =
            connection.remote.identity == .any
            ? connection.remoteAddresses.compactMap(\.identity) : [connection.remote.identity]
        // Nearly always one is named exactly; patterns are tried only when none is.
        let isFound =
            hasCommonKey || (peers.isEmpty && !owners.isEmpty) || peers.contains(where: owners.contains)
            || peers.contains { identity in
                owners.contains { identity.matches($0) != nil || $0.matches(identity) != nil }
            } || credentials.sharedKeys.contains { $0.isFor(connection.ownIdentities) }
        guard !isFound else { return }
        let names = (peers + (connection.local.identity.map { [$0] } ?? [])).map { "'\($0)'" }
        reader.warn(
            connection.name,
            "no pre-shared key" + (names.isEmpty ? "" : " for \(names.joined(separator: " or "))"),
            "add 'ike-\(connection.name) { id = … secret = … }' to the section secrets")
    }

    /// A key that names nobody but us is for every peer, which is more than many expect.
    private func checkOwners() {
        let identities = Set(
            configuration.connections.filter { $0.local.method == .preSharedKey }.map(\.ownIdentities))
        for key in credentials.sharedKeys where !key.owners.contains(.any) {
            guard identities.contains(where: key.isFor) else { continue }
            let section = root.section.section("secrets")?.section(key.name) ?? root.section
            SectionReader(section, path: "secrets.\(key.name)", findings: root.findings).warn(
                key.name, "the only identity of this pre-shared key is ours, so that it is for any peer that has it",
                "name the peers with 'id' too, or write id-any = %any to say so")
        }
    }

    // MARK: CRLs

    private func checkRevocationLists() {
        let issuers =
            credentials.authorities + credentials.certificates + configuration.connections.flatMap(\.remote.authorities)
        for list in credentials.revocationLists {
            let what = "the \(list.isDelta ? "delta CRL" : "CRL") of \"\(list.issuer)\""
            if !issuers.contains(where: list.isSigned) {
                root.warn(
                    nil, "\(what) of \(CertificateTime.text(list.thisUpdate)) has no known signer",
                    "put the certificate of its issuer into x509ca, or replace the CRL")
            } else if list.isDelta, !credentials.revocationLists.contains(where: list.continues) {
                root.warn(
                    nil, "\(what) is a delta to a complete CRL that is missing",
                    "put the complete CRL with number \(list.baseNumber?.description ?? "?") or later into x509crl too")
            }
        }
    }

    private func checkPrivateKey(_ connection: Connection, _ reader: SectionReader) {
        let local = connection.local
        let named = local.certificates.compactMap { try? $0.publicKey() } + local.publicKeys
        let isFound = credentials.privateKeys.contains { key in named.isEmpty || named.contains(key.publicKey) }
        guard !isFound else { return }
        reader.warn(
            connection.name,
            named.isEmpty ? "no private key" : "no private key of the certificate or public key",
            "put it into the folder 'private'")
    }

    private func checkTrust(_ connection: Connection, _ reader: SectionReader) {
        let remote = connection.remote
        guard
            remote.certificates.isEmpty && remote.publicKeys.isEmpty && remote.authorities.isEmpty
                && credentials.authorities.isEmpty
        else { return }
        reader.warn(
            connection.name, "no authority to check the peer's certificate with",
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
    /// The identity of a peer that does not say: its address.
    fileprivate var identity: Identity? {
        if case .range(let range) = self, range.first == range.last { .address(range.first) } else { nil }
    }
}

extension Connection {
    /// Whether it does not only hold packets that pass or are dropped.
    fileprivate var isNegotiated: Bool { children.isEmpty || !negotiated.isEmpty }

    /// Our identities, as far as shared keys may name us.
    fileprivate var ownIdentities: [Identity] {
        let named = local.identity.map { $0 == .any ? [] : [$0] } ?? []
        return named + localAddresses.compactMap(\.identity)
    }
}

extension Credentials.SharedKey {
    /// Whether it names somebody, and nobody but these.
    fileprivate func isFor(_ identities: [Identity]) -> Bool {
        !owners.isEmpty && owners.allSatisfy { owner in identities.contains { $0.matches(owner) != nil } }
    }
}

/// Warns of children that call for the same packets: only one of them has these at a time.
struct SelectorChecks {
    /// The packets that call for a child, and its rank among those of the same.
    private struct Claim: Hashable {
        let local: Set<SelectorSide>
        let remote: Set<SelectorSide>
        let priority: UInt32?
    }

    let connections: [Connection]
    /// The whole file.
    let root: SectionReader

    func run() {
        var owners: [Claim: String] = [:]
        for connection in connections {
            // What somebody starts by hand, or the peer, is meant to stand in for another.
            for child in connection.children where child.startAction != .none && !child.isRefused {
                let sides = child.localSelectors + child.remoteSelectors
                guard !sides.contains(where: { $0.addresses == nil }) else { continue }
                let claim = Claim(
                    local: Set(child.localSelectors), remote: Set(child.remoteSelectors), priority: child.priority)
                let name = "\(connection.name)/\(child.name)"
                if let owner = owners[claim] { warn(child, of: connection, owner) } else { owners[claim] = name }
            }
        }
    }

    private func warn(_ child: Child, of connection: Connection, _ owner: String) {
        let children = root.section.section("connections")?.section(connection.name)?.children
        guard let section = children?.section(child.name) else { return }
        let path = "connections.\(connection.name).children.\(child.name)"
        SectionReader(section, path: path, findings: root.findings).warn(
            child.name,
            "has the same local_ts and remote_ts as \(owner): packets take this one only while that one is not up",
            "leave it so if the two are gateways of one site; else give it networks of its own, or another 'priority'")
    }
}
