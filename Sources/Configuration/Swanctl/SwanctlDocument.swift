import Cryptography
import IKEv2
import Packets

/// What `sluice check --config --json` prints: what a swanctl.conf would set up. Never a secret.
public struct SwanctlDocument: Codable, Hashable, Sendable {
    public struct Connection: Codable, Hashable, Sendable {
        public var name: String
        /// False: it has an error, and its children's packets are closed.
        public var served: Bool
        /// Addresses, subnets, ranges and names; none: any.
        public var localAddresses: [String]
        public var remoteAddresses: [String]
        public var localPort: UInt16
        public var remotePort: UInt16
        public var proposals: [String]
        public var local: Authentication
        public var remote: Authentication
        public var children: [Child]
        public var udpEncapsulation: String
        public var fragmentation: String
        public var childless: String
        public var unique: String
        /// 0: forever.
        public var keyingTries: UInt32
        /// Seconds; 0: never.
        public var dpdDelay: UInt64
        public var rekeyTime: UInt64
        public var reauthenticationTime: UInt64
        public var overTime: UInt64
        public var randomTime: UInt64
    }

    public struct Authentication: Codable, Hashable, Sendable {
        public var method: String
        /// Signatures that are allowed; none: all.
        public var schemes: [String]
        /// Kinds of keys in the peer's trust chain, with their least bits; none: any.
        public var chainKeys: [String]
        /// Signatures of the certificates in it; none: any.
        public var chainSchemes: [String]
        /// nil: that of the certificate, or the address.
        public var identity: String?
        public var certificates: [String]
        public var publicKeys: [String]
        public var authorities: [String]
        public var revocation: String?
    }

    public struct Child: Codable, Hashable, Sendable {
        public var name: String
        /// False: it has an error, and its packets are closed.
        public var served: Bool
        public var mode: String
        public var localSelectors: [String]
        public var remoteSelectors: [String]
        public var proposals: [String]
        public var startAction: String
        public var closeAction: String
        public var dpdAction: String
        public var time: Limit
        public var bytes: Limit
        public var packets: Limit
        /// HMAC-SHA-256 is cut to 96 bits (`sha256_96`).
        public var cutsSha256: Bool
        /// Packets; 0: no replay protection.
        public var replayWindow: Int
        /// 0: chosen by the gateway.
        public var requestIdentifier: UInt32
        public var priority: UInt32?
    }

    /// 0: never.
    public struct Limit: Codable, Hashable, Sendable {
        public var rekey: UInt64
        public var life: UInt64
        public var random: UInt64
    }

    public struct Credentials: Codable, Hashable, Sendable {
        public var sharedKeys: [SharedKey]
        /// What they are, "ECDSA P-256", with the certificate that goes with them.
        public var privateKeys: [PrivateKey]
        public var certificates: [Certificate]
        public var authorities: [Certificate]
        public var revocationLists: [RevocationList]
    }

    public struct SharedKey: Codable, Hashable, Sendable {
        public var name: String
        /// None: everybody.
        public var identities: [String]
    }

    public struct PrivateKey: Codable, Hashable, Sendable {
        public var type: String
        public var certificate: String?
    }

    public struct Certificate: Codable, Hashable, Sendable {
        public var subject: String
        public var alternativeNames: [String]
        public var issuer: String
        public var notBefore: String
        public var notAfter: String
    }

    public struct RevocationList: Codable, Hashable, Sendable {
        public var issuer: String
        public var thisUpdate: String
        public var nextUpdate: String?
    }

    public var connections: [Connection]
    public var credentials: Credentials
    public var warnings: [String]
    public var errors: [String]

    /// - Parameter replayWindow: of children that name none.
    public init(_ configuration: SwanctlConfiguration, replayWindow: Int = 1024) {
        connections = configuration.connections.map { Connection($0, replayWindow: replayWindow) }
        credentials = Credentials(configuration.credentials)
        warnings = configuration.warnings.map(\.description)
        errors = configuration.errors.map(\.description)
    }
}

extension SwanctlDocument.Connection {
    init(_ connection: IKEv2.Connection, replayWindow: Int) {
        name = connection.name
        served = !connection.isRefused
        localAddresses = connection.localAddresses.map(\.description)
        remoteAddresses = connection.remoteAddresses.map(\.description)
        localPort = connection.localPort
        remotePort = connection.remotePort
        proposals = connection.proposals.map(\.description)
        local = .init(connection.local)
        remote = .init(connection.remote)
        children = connection.children.map { SwanctlDocument.Child($0, replayWindow: replayWindow) }
        udpEncapsulation = connection.forcesEncapsulation ? "always" : "behind a NAT"
        fragmentation = connection.fragmentation.rawValue
        childless = connection.childless.rawValue
        unique = connection.unique.rawValue
        keyingTries = connection.keyingTries
        dpdDelay = connection.dpdDelay
        rekeyTime = connection.rekeyTime
        reauthenticationTime = connection.reauthenticationTime
        overTime = connection.overTime
        randomTime = connection.randomTime
    }
}

extension SwanctlDocument.Authentication {
    init(_ local: LocalAuthentication) {
        self.init(local.method)
        identity = local.identity?.description
        certificates = local.certificates.map(\.description)
        publicKeys = local.publicKeys.map(\.type.description)
    }

    init(_ remote: RemoteAuthentication) {
        self.init(remote.method)
        identity = remote.identity.description
        certificates = remote.certificates.map(\.description)
        publicKeys = remote.publicKeys.map(\.type.description)
        chainKeys = remote.chain?.keys.map(\.boundDescription) ?? []
        chainSchemes = remote.chain?.schemes.map(\.description) ?? []
        authorities = remote.authorities.map(\.description)
        if case .publicKey = remote.method { revocation = remote.revocation.rawValue }
    }

    private init(_ kind: AuthenticationKind) {
        (identity, certificates, publicKeys, authorities, revocation) = (nil, [], [], [], nil)
        (chainKeys, chainSchemes) = ([], [])
        switch kind {
        case .preSharedKey: (method, schemes) = ("psk", [])
        case .publicKey(let schemes): (method, self.schemes) = ("pubkey", schemes.map(\.description))
        }
    }
}

extension SwanctlDocument.Child {
    init(_ child: IKEv2.Child, replayWindow: Int) {
        name = child.name
        served = !child.isRefused
        mode = child.modeName
        localSelectors = child.localSelectors.map(\.description)
        remoteSelectors = child.remoteSelectors.map(\.description)
        proposals = child.proposals.map(\.description)
        startAction = child.startAction.rawValue
        closeAction = child.closeAction.rawValue
        dpdAction = child.deadPeerAction.rawValue
        time = .init(child.time)
        bytes = .init(child.bytes)
        packets = .init(child.packets)
        cutsSha256 = child.cutsSHA256To96Bits
        self.replayWindow = child.replayWindow ?? replayWindow
        requestIdentifier = child.requestID
        priority = child.priority
    }
}

extension SwanctlDocument.Limit {
    init(_ limit: IKEv2.Child.Limit) { self.init(rekey: limit.rekey, life: limit.life, random: limit.random) }
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
