import Foundation

/// What a test's `swanctl.conf` says, once for both ends: the text of one end is the mirror of the other's.
public struct IKEConfiguration: Sendable {
    public var connections: [IKEConnection]
    /// PEM files of authorities that both ends trust.
    public var authorities: [String] = []
    /// PEM files of revocation lists that both ends have.
    public var revocationLists: [String] = []

    public init(_ connections: IKEConnection..., authorities: [CertificateAuthority] = []) {
        self.init(connections, authorities: authorities)
    }

    public init(_ connections: [IKEConnection], authorities: [CertificateAuthority] = []) {
        self.connections = connections
        self.authorities = authorities.map(\.authority.certificate)
    }

    /// The whole file for one end.
    public func text(_ side: Side) -> String {
        """
        connections {
        \(connections.map { $0.section(side) }.joined())}
        secrets {
        \(connections.map { $0.secret }.joined())}

        """
    }
}

/// A section of `connections`.
public struct IKEConnection: Sendable {
    /// How both ends prove who they are.
    public enum Authentication: Sendable {
        case preSharedKey(String)
        case certificates(a: IssuedCertificate, b: IssuedCertificate)
        /// Each end knows the other's public key.
        case rawKeys(a: RawKey, b: RawKey)
    }

    public var name: String
    /// In strongSwan's notation, e.g. `aes256gcm16-prfsha384-ecp384`.
    public var proposals = "default"
    public var authentication: Authentication
    public var children: [IKEChild]
    /// Further lines, e.g. `encap = yes`, for both ends.
    public var settings: [String] = []
    /// `auth` of `remote`, e.g. `ecdsa-384`; nil: what goes with `authentication`.
    public var demand: String?
    /// Further lines of `local` and `remote`, e.g. `revocation = strict`.
    public var localSettings: [String] = []
    public var remoteSettings: [String] = []
    /// The WAN addresses of both ends as each end sees them; nil: those of the address plan, over IPv4.
    public var addresses: [Side: (local: String, remote: String)] = [:]
    /// Whom each end says it is, and whom it expects the other to be.
    public var identities: [Side: String] = [.a: "a.sluice.test", .b: "b.sluice.test"]
    /// PEM files of authorities that one end alone has, to send them along.
    public var intermediates: [Side: [String]] = [:]

    public init(
        _ name: String = "site", _ authentication: Authentication = .preSharedKey("correct horse battery staple"),
        proposals: String = "default", children: [IKEChild] = [IKEChild()], settings: [String] = []
    ) {
        self.name = name
        self.authentication = authentication
        self.proposals = proposals
        self.children = children
        self.settings = settings
    }

    /// Both ends have these IPv6 addresses instead of the IPv4 ones.
    public mutating func useIPv6() {
        for side in Side.allCases { addresses[side] = (side.outer(.ipv6), side.other.outer(.ipv6)) }
    }

    func section(_ side: Side) -> String {
        let (local, remote) = addresses[side] ?? (side.outer(.ipv4), side.other.outer(.ipv4))
        let (kind, own, other) = proof(side)
        let lines =
            [
                "version = 2", "mobike = no", "local_addrs = \(local)", "remote_addrs = \(remote)",
                "proposals = \(proposals)",
            ] + settings
        return """
              \(name) {
            \(lines.map { "    \($0)\n" }.joined())\
                local {
            \((["auth = \(kind)", "id = \(identities[side] ?? "%any")"] + own + localSettings)
                .map { "      \($0)\n" }.joined())\
                }
                remote {
            \((["auth = \(demand ?? kind)", "id = \(identities[side.other] ?? "%any")"] + other + remoteSettings)
                .map { "      \($0)\n" }.joined())\
                }
                children {
            \(children.map { $0.section(side) }.joined())\
                }
              }

            """
    }

    /// `auth`, and the lines of `local` and `remote` that go with it.
    private func proof(_ side: Side) -> (kind: String, local: [String], remote: [String]) {
        func file(_ path: String) -> String { URL(filePath: path).lastPathComponent }
        switch authentication {
        case .preSharedKey: return ("psk", [], [])
        case .certificates(let a, let b):
            return ("pubkey", ["certs = \(file((side == .a ? a : b).certificate))"], [])
        case .rawKeys(let a, let b):
            let (own, other) = side == .a ? (a, b) : (b, a)
            return ("pubkey", ["pubkeys = \(file(own.publicKey))"], ["pubkeys = \(file(other.publicKey))"])
        }
    }

    var secret: String {
        guard case .preSharedKey(let secret) = authentication else { return "" }
        let owners = Set(identities.values).sorted().enumerated().map { "    id-\($0) = \($1)\n" }.joined()
        return "  ike-\(name) {\n\(owners)    secret = \"\(secret)\"\n  }\n"
    }
}

/// A section of `children`.
public struct IKEChild: Sendable {
    public var name: String
    public var proposals: String
    /// The families of the LANs behind the gateways.
    public var inner: [IPVersion]
    /// Further lines, e.g. `mode = transport`.
    public var settings: [String]

    public init(
        _ name: String = "net", proposals: String = "default", inner: [IPVersion] = [.ipv4], settings: [String] = []
    ) {
        self.name = name
        self.proposals = proposals
        self.inner = inner
        self.settings = settings
    }

    func section(_ side: Side) -> String {
        var lines: [String] = []
        if !inner.isEmpty {
            lines.append("local_ts = \(inner.map { side.prefix($0) }.joined(separator: ", "))")
            lines.append("remote_ts = \(inner.map { side.other.prefix($0) }.joined(separator: ", "))")
        }
        if !proposals.isEmpty { lines.append("esp_proposals = \(proposals)") }
        return "      \(name) {\n\((lines + settings).map { "        \($0)\n" }.joined())      }\n"
    }
}
