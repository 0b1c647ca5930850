import Cryptography
import IKEv2

/// The document of `sluice check --config --json`: what a swanctl.conf would set up. Never a secret.
public struct SwanctlDocument: Encodable, Hashable, Sendable {
    public struct Credentials: Encodable, Hashable, Sendable {
        public var sharedKeys: [SharedKey]
        /// Their types, "ECDSA P-256", with the certificate that goes with each.
        public var privateKeys: [PrivateKey]
        public var certificates: [Certificate]
        public var authorities: [Certificate]
        public var revocationLists: [RevocationList]
    }

    public struct SharedKey: Encodable, Hashable, Sendable {
        public var name: String
        /// The identities of a key; none: everybody.
        public var identities: [String]
    }

    public struct PrivateKey: Encodable, Hashable, Sendable {
        public var type: String
        public var certificate: String?
    }

    public struct Certificate: Encodable, Hashable, Sendable {
        public var subject: String
        public var alternativeNames: [String]
        public var issuer: String
        public var notBefore: String
        public var notAfter: String
    }

    public struct RevocationList: Encodable, Hashable, Sendable {
        public var issuer: String
        public var thisUpdate: String
        public var nextUpdate: String?
    }

    /// Each with what `Connection.keys`, `Child.keys` and those of its authentication say.
    public var connections: [ListedValue]
    public var credentials: Credentials
    public var warnings: [String]
    public var errors: [String]

    /// - `replayWindow`: of children that name none.
    public init(_ configuration: SwanctlConfiguration, replayWindow: Int = 1024) {
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
