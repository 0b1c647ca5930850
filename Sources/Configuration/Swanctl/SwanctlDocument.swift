import Cryptography
import IKEv2

/// The document of `sluice check --config --json`: what a swanctl.conf would set up. Never a secret.
package struct SwanctlDocument: Encodable, Hashable, Sendable {
    package struct Credentials: Encodable, Hashable, Sendable {
        package var sharedKeys: [SharedKey]
        /// Their types, "ECDSA P-256", with the certificate that goes with each.
        package var privateKeys: [PrivateKey]
        package var certificates: [Certificate]
        package var authorities: [Certificate]
        package var revocationLists: [RevocationList]
    }

    package struct SharedKey: Encodable, Hashable, Sendable {
        package var name: String
        /// The identities of a key; none: everybody.
        package var identities: [String]
    }

    package struct PrivateKey: Encodable, Hashable, Sendable {
        package var type: String
        package var certificate: String?
    }

    package struct Certificate: Encodable, Hashable, Sendable {
        package var subject: String
        package var alternativeNames: [String]
        package var issuer: String
        package var notBefore: String
        package var notAfter: String
    }

    package struct RevocationList: Encodable, Hashable, Sendable {
        package var issuer: String
        package var thisUpdate: String
        package var nextUpdate: String?
    }

    /// Each with what `Connection.keys`, `Child.keys` and those of its authentication say.
    package var connections: [ListedValue]
    package var credentials: Credentials
    package var warnings: [String]
    package var errors: [String]

    /// - `replayWindow`: of children that name none.
    package init(_ configuration: SwanctlConfiguration, replayWindow: Int = 1024) {
        connections = configuration.connections.map { Self.listed($0, replayWindow: replayWindow) }
        credentials = Credentials(configuration.credentials)
        warnings = configuration.warnings.map(\.description)
        errors = configuration.errors.map(\.description)
    }
}

extension SwanctlDocument {
    private static func listed(_ connection: Connection, replayWindow: Int) -> ListedValue {
        var members: [ListedValue.Member] = [
            // False: it has an error, and its children's packets are closed.
            .init("name", .text(connection.name)), .init("served", .flag(!connection.isRefused)),
        ]
        members += Connection.keys.members(of: connection)
        members.append(.init("local", .object(LocalAuthentication.keys.members(of: connection.local))))
        members.append(.init("remote", .object(RemoteAuthentication.keys.members(of: connection.remote))))
        let children = connection.children.map { listed($0.withReplayWindow(orElse: replayWindow)) }
        members.append(.init("children", .objects(children)))
        return .object(members)
    }

    private static func listed(_ child: Child) -> [ListedValue.Member] {
        [.init("name", .text(child.name)), .init("served", .flag(!child.isRefused))] + Child.keys.members(of: child)
    }
}

extension Child {
    /// The child with the gateway's window where it names none.
    func withReplayWindow(orElse preset: Int) -> Child {
        var child = self
        child.replayWindow = replayWindow ?? preset
        return child
    }
}

extension SwanctlDocument.Credentials {
    init(_ credentials: IKEv2.Credentials) {
        sharedKeys = credentials.sharedKeys.map { .init(name: $0.name, identities: $0.owners.map(\.description)) }
        privateKeys = credentials.privateKeys.map { key in
            let certificate = credentials.certificates.first { (try? $0.publicKey()) == key.publicKey }
            return .init(type: key.type.description, certificate: certificate?.description)
        }
        certificates = credentials.certificates.map(SwanctlDocument.Certificate.init)
        authorities = credentials.authorities.map(SwanctlDocument.Certificate.init)
        revocationLists = credentials.revocationLists.map { list in
            .init(
                issuer: list.issuer.description, thisUpdate: CertificateTime.text(list.thisUpdate),
                nextUpdate: list.nextUpdate.map(CertificateTime.text))
        }
    }
}

extension SwanctlDocument.Certificate {
    init(_ certificate: Cryptography.Certificate) {
        self.init(
            subject: certificate.description,
            alternativeNames: certificate.subjectAlternativeNames.map(\.description),
            issuer: certificate.issuer.description, notBefore: CertificateTime.text(certificate.validity.lowerBound),
            notAfter: CertificateTime.text(certificate.validity.upperBound))
    }
}
