import Cryptography
import IKEv2
import Packets

/// Readable lines of what would be set up, for `sluice check`. Never a secret.
extension SwanctlConfiguration: CustomStringConvertible {
    package var description: String { description(replayWindow: 1024) }

    /// - Parameter replayWindow: of children that name none.
    package func description(replayWindow: Int) -> String {
        var lines = [Self.count(connections.count, "connection")]
        for connection in connections { lines += Self.describe(connection, replayWindow).map { "  " + $0 } }
        lines.append("credentials")
        lines += Self.describe(SwanctlDocument.Credentials(credentials)).map { "  " + $0 }
        if !warnings.isEmpty {
            lines.append(Self.count(warnings.count, "warning"))
            // Editors look for FILE:LINE at the beginning of a line.
            lines += warnings.map(\.description)
        }
        return lines.joined(separator: "\n")
    }

    private static func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }

    private static func describe(_ connection: Connection, _ replayWindow: Int) -> [String] {
        let children = connection.children.flatMap { describe($0.withReplayWindow(orElse: replayWindow)) }
            .map { "  " + $0 }
        guard !connection.isRefused else { return ["\(connection.name): not served, for its errors"] + children }
        // Nobody speaks to anybody for these.
        guard connection.children.isEmpty || connection.children.contains(where: { $0.shunt == nil }) else {
            return ["\(connection.name): not negotiated"] + children
        }
        let ports = [connection.localPort, connection.remotePort]
        let port = ports.allSatisfy { $0 == IPsecPort.keyExchange } ? "" : ", ports \(ports[0]) -> \(ports[1])"
        let (local, remote) = (connection.localAddresses, connection.remoteAddresses)
        let lines = [
            "\(connection.name): \(list(local, none: "any address")) -> \(list(remote, none: "any address"))\(port)",
            "  we are \(describe(connection.local))", "  the peer is \(describe(connection.remote))",
            "  IKE proposals: \(list(connection.proposals))",
            "  \(Connection.keys.phrases(of: connection).joined(separator: ", "))",
        ]
        return lines + settings(Connection.keys.settings(of: connection)) + children
    }

    /// Keys without words of their own, where they are not as they are by default.
    private static func settings(_ settings: [String]) -> [String] {
        settings.isEmpty ? [] : ["  " + settings.joined(separator: ", ")]
    }

    private static func list(_ items: [some CustomStringConvertible], none: String = "") -> String {
        items.isEmpty ? none : items.map(\.description).joined(separator: ", ")
    }

    private static func describe(_ local: LocalAuthentication) -> String {
        (local.identity.map { "'\($0)'" } ?? "named by certificate or address") + proof(local.method)
            + named([("certificate", local.certificates.map(\.description)), ("public key", types(local.publicKeys))])
    }

    private static func describe(_ remote: RemoteAuthentication) -> String {
        var text = (remote.identity == .any ? "anybody" : "'\(remote.identity)'") + proof(remote.method)
        if let keys = remote.chain?.keys, !keys.isEmpty {
            text += ", keys of its chain \(list(keys.map(\.boundDescription)))"
        }
        if let schemes = remote.chain?.schemes, !schemes.isEmpty { text += ", certificates by \(list(schemes))" }
        text += named([
            ("certificate", remote.certificates.map(\.description)), ("public key", types(remote.publicKeys)),
            ("authority", remote.authorities.map(\.description)),
        ])
        if case .publicKey = remote.method { text += ", revocation \(remote.revocation.rawValue)" }
        return text
    }

    private static func proof(_ method: AuthenticationKind) -> String {
        switch method {
        case .preSharedKey: ", by pre-shared key"
        case .publicKey(let schemes): ", by public key" + (schemes.isEmpty ? "" : " (\(list(schemes)))")
        }
    }

    private static func types(_ keys: [PublicKey]) -> [String] { keys.map(\.type.description) }

    private static func named(_ parts: [(String, [String])]) -> String {
        parts.filter { !$0.1.isEmpty }.map { what, names in
            ", \(what) " + names.map { "\"\($0)\"" }.joined(separator: " or ")
        }.joined()
    }

    private static func describe(_ child: Child) -> [String] {
        let (local, remote) = (child.localSelectors, child.remoteSelectors)
        guard !child.isRefused else {
            let covered = "\(list(local, none: "nothing")) -> \(list(remote, none: "nothing"))"
            return ["\(child.name): not served, for its errors; closed is \(covered)"]
        }
        let covered = "\(child.name): \(list(local)) -> \(list(remote)), \(child.modeName)"
        guard child.shunt == nil else { return ["\(covered), not negotiated"] }
        let lines = [
            "\(covered) mode", "  ESP proposals: \(list(child.proposals))",
            "  \(Child.keys.phrases(of: child).joined(separator: ", "))",
            "  \(Child.keys.phrases(of: child, line: 1).joined(separator: ", "))",
        ]
        return lines + settings(Child.keys.settings(of: child))
    }

    private static func describe(_ credentials: SwanctlDocument.Credentials) -> [String] {
        var lines = credentials.sharedKeys.map {
            "pre-shared key \($0.name) for \(list($0.identities, none: "everybody"))"
        }
        lines += credentials.privateKeys.map {
            "private key \($0.type)" + ($0.certificate.map { " of \"\($0)\"" } ?? "")
        }
        lines += credentials.certificates.map { "certificate " + describe($0) }
        lines += credentials.authorities.map { "authority " + describe($0) }
        lines += credentials.revocationLists.map {
            "CRL of \"\($0.issuer)\" of \($0.thisUpdate)" + ($0.nextUpdate.map { ", the next is due \($0)" } ?? "")
        }
        return lines.isEmpty ? ["none"] : lines
    }

    private static func describe(_ certificate: SwanctlDocument.Certificate) -> String {
        let names =
            certificate.alternativeNames.isEmpty ? "" : " (\(certificate.alternativeNames.joined(separator: ", ")))"
        return "\"\(certificate.subject)\"\(names), of \"\(certificate.issuer)\", valid until \(certificate.notAfter)"
    }
}
