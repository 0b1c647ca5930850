import Cryptography
import IKEv2

/// Connections in the shape of strongSwan's `list-conn`.
enum ConnectionListing {
    static func message(_ connection: Connection) -> VICIMessage {
        var section = VICIMessage()
        section.append("local_addrs", list: addresses(connection.localAddresses))
        section.append("remote_addrs", list: addresses(connection.remoteAddresses))
        section.append("version", "IKEv2")
        section.append("reauth_time", connection.reauthenticationTime)
        section.append("rekey_time", connection.rekeyTime)
        if connection.dpdDelay > 0 { section.append("dpd_delay", connection.dpdDelay) }
        section.append("unique", "UNIQUE_\(connection.unique.rawValue.uppercased())")
        section.append("local-1", section: local(connection.local))
        section.append("remote-1", section: remote(connection.remote))
        var children = VICIMessage()
        for child in connection.children where !child.isRefused {
            children.append(child.name, section: self.child(child))
        }
        section.append("children", section: children)
        var message = VICIMessage()
        message.append(connection.name, section: section)
        return message
    }

    private static func addresses(_ patterns: [AddressPattern]) -> [String] {
        patterns.isEmpty ? ["%any"] : patterns.map(\.description)
    }

    private static func local(_ local: LocalAuthentication) -> VICIMessage {
        authentication(local.identity, local.method, certificates: local.certificates, authorities: [])
    }

    private static func remote(_ remote: RemoteAuthentication) -> VICIMessage {
        var section = authentication(
            remote.identity == .any ? nil : remote.identity, remote.method, certificates: remote.certificates,
            authorities: remote.authorities)
        if remote.revocation != .relaxed { section.append("revocation", remote.revocation.rawValue) }
        return section
    }

    private static func authentication(
        _ identity: Identity?, _ method: AuthenticationKind, certificates: [Certificate], authorities: [Certificate]
    ) -> VICIMessage {
        var section = VICIMessage()
        if let identity { section.append("id", PlainText.of("\(identity)")) }
        section.append("class", method == .preSharedKey ? "pre-shared key" : "public key")
        section.append("groups", list: [])
        section.append("cert_policy", list: [])
        section.append("certs", list: certificates.map(\.subject.description))
        section.append("cacerts", list: authorities.map(\.subject.description))
        return section
    }

    private static func child(_ child: Child) -> VICIMessage {
        var section: VICIMessage = [
            "mode": child.modeName.uppercased(),
            "rekey_time": "\(child.time.rekey)",
            "rekey_bytes": "\(child.bytes.rekey)",
            "rekey_packets": "\(child.packets.rekey)",
            "dpd_action": child.deadPeerAction == .clear ? "none" : child.deadPeerAction.rawValue,
            "close_action": child.closeAction.rawValue,
        ]
        section.append("local-ts", list: ListedSelector.list(child.localSelectors))
        section.append("remote-ts", list: ListedSelector.list(child.remoteSelectors))
        return section
    }
}

extension ChildCover {
    /// In the shape of strongSwan's `list-policy`.
    var listing: VICIMessage {
        var section: VICIMessage = [
            "child": child.name, "ike": connectionName, "mode": child.modeName.uppercased(),
        ]
        section.append("local-ts", list: ListedSelector.list(child.localSelectors))
        section.append("remote-ts", list: ListedSelector.list(child.remoteSelectors))
        var message = VICIMessage()
        message.append("\(connectionName)/\(child.name)", section: section)
        return message
    }
}
