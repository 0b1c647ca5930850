import IKEv2

/// Readable lines of what would be set up, for `sluice check`. Never a secret.
extension SwanctlConfiguration: CustomStringConvertible {
    public var description: String { description(replayWindow: 1024) }

    /// - Parameter replayWindow: of children that name none.
    public func description(replayWindow: Int) -> String {
        let document = SwanctlDocument(self, replayWindow: replayWindow)
        var lines = [Self.count(document.connections.count, "connection")]
        for connection in document.connections { lines += Self.describe(connection).map { "  " + $0 } }
        lines.append("credentials")
        lines += Self.describe(document.credentials).map { "  " + $0 }
        if !document.warnings.isEmpty {
            lines.append(Self.count(document.warnings.count, "warning"))
            // Editors look for FILE:LINE at the beginning of a line.
            lines += document.warnings
        }
        return lines.joined(separator: "\n")
    }

    private static func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }

    private static func list(_ items: [String], none: String, separator: String = ", ") -> String {
        items.isEmpty ? none : items.joined(separator: separator)
    }

    private static func describe(_ connection: SwanctlDocument.Connection) -> [String] {
        guard connection.served else {
            return ["\(connection.name): not served, for its errors"]
                + connection.children.flatMap(describe).map { "  " + $0 }
        }
        // Nobody speaks to anybody for these.
        guard
            connection.children.isEmpty
                || connection.children.contains(where: { Child.Shunt(rawValue: $0.mode) == nil })
        else { return ["\(connection.name): not negotiated"] + connection.children.flatMap(describe).map { "  " + $0 } }
        let ports = [connection.localPort, connection.remotePort]
        let port = ports == [500, 500] ? "" : ", ports \(ports[0]) -> \(ports[1])"
        var lines = [
            "\(connection.name): \(list(connection.localAddresses, none: "any address")) -> "
                + list(connection.remoteAddresses, none: "any address") + port,
            "  we are \(describe(connection.local, unnamed: "named by certificate or address"))",
            "  the peer is \(describe(connection.remote, unnamed: "anybody"))",
            "  IKE proposals: \(connection.proposals.joined(separator: ", "))",
        ]
        var times: [String] = []
        if connection.rekeyTime > 0 { times.append("rekey after \(connection.rekeyTime) s") }
        if connection.reauthenticationTime > 0 {
            times.append("reauthenticate after \(connection.reauthenticationTime) s")
        }
        if !times.isEmpty {
            times.append("up to \(connection.randomTime) s earlier")
            times.append("close \(connection.overTime) s later")
        }
        times.append(connection.dpdDelay > 0 ? "dead peer check after \(connection.dpdDelay) s" : "no dead peer check")
        times.append("ESP in UDP \(connection.udpEncapsulation)")
        lines.append("  " + times.joined(separator: ", "))
        return lines + connection.children.flatMap(describe).map { "  " + $0 }
    }

    private static func describe(_ side: SwanctlDocument.Authentication, unnamed: String) -> String {
        var text = side.identity.map { $0 == "%any" ? "anybody" : "'\($0)'" } ?? unnamed
        text += side.method == "psk" ? ", by pre-shared key" : ", by public key"
        if !side.schemes.isEmpty { text += " (\(side.schemes.joined(separator: ", ")))" }
        if !side.chainKeys.isEmpty { text += ", keys of its chain \(side.chainKeys.joined(separator: ", "))" }
        if !side.chainSchemes.isEmpty { text += ", certificates by \(side.chainSchemes.joined(separator: ", "))" }
        let parts: [(String, [String])] = [
            ("certificate", side.certificates), ("public key", side.publicKeys), ("authority", side.authorities),
        ]
        for (what, names) in parts where !names.isEmpty {
            text += ", \(what) " + names.map { "\"\($0)\"" }.joined(separator: " or ")
        }
        if let revocation = side.revocation { text += ", revocation \(revocation)" }
        return text
    }

    private static func describe(_ child: SwanctlDocument.Child) -> [String] {
        guard child.served else {
            let covered =
                "\(list(child.localSelectors, none: "nothing")) -> \(list(child.remoteSelectors, none: "nothing"))"
            return ["\(child.name): not served, for its errors; closed is \(covered)"]
        }
        if Child.Shunt(rawValue: child.mode) != nil {
            return [
                "\(child.name): \(child.localSelectors.joined(separator: ", ")) -> "
                    + "\(child.remoteSelectors.joined(separator: ", ")), \(child.mode), not negotiated"
            ]
        }
        var actions = ["at start: \(child.startAction)", "when closed: \(child.closeAction)"]
        actions.append("when the peer is dead: \(child.dpdAction)")
        var traits = [child.replayWindow == 0 ? "no replay check" : "replay window \(child.replayWindow)"]
        if child.cutsSha256 { traits.append("HMAC-SHA-256 cut to 96 bits") }
        if child.requestIdentifier > 0 { traits.append("reqid \(child.requestIdentifier)") }
        if let priority = child.priority { traits.append("priority \(priority)") }
        var lines = [
            "\(child.name): \(child.localSelectors.joined(separator: ", ")) -> "
                + "\(child.remoteSelectors.joined(separator: ", ")), \(child.mode) mode",
            "  ESP proposals: \(child.proposals.joined(separator: ", "))", "  \(actions.joined(separator: ", "))",
        ]
        let limits = [("s", child.time), ("bytes", child.bytes), ("packets", child.packets)].flatMap { unit, limit in
            [
                limit.rekey > 0 ? "rekey after \(limit.rekey) \(unit) (up to \(limit.random) earlier)" : nil,
                limit.life > 0 ? "close after \(limit.life) \(unit)" : nil,
            ].compactMap { $0 }
        }
        lines.append("  " + (limits + traits).joined(separator: ", "))
        return lines
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
