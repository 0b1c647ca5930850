import Configuration
import IKEv2

/// Connections in the shape of strongSwan's `list-conn`. The tables of keys say what VICI has words for.
enum ConnectionListing {
    static func message(_ connection: Connection) -> VICIMessage {
        var section = VICIMessage()
        section.append(Connection.keys.listing(of: connection))
        section.append("local-1", section: authentication(LocalAuthentication.keys.listing(of: connection.local)))
        section.append("remote-1", section: authentication(RemoteAuthentication.keys.listing(of: connection.remote)))
        var children = VICIMessage()
        for child in connection.children where !child.isRefused {
            var section = VICIMessage()
            section.append(Child.keys.listing(of: child))
            children.append(child.name, section: section)
        }
        section.append("children", section: children)
        var message = VICIMessage()
        message.append(connection.name, section: section)
        return message
    }

    /// The message with lists that VICI's clients look for, although no key fills them.
    private static func authentication(_ members: [ListedValue.Member]) -> VICIMessage {
        var section = VICIMessage()
        section.append(members)
        for name in ["groups", "cert_policy", "cacerts"] where !members.contains(where: { $0.name == name }) {
            section.append(name, list: [])
        }
        return section
    }
}

extension VICIMessage {
    fileprivate mutating func append(_ members: [ListedValue.Member]) {
        for member in members {
            switch member.value {
            case .list(let items): append(member.name, list: items.map { PlainText.of($0) })
            default: append(member.name, PlainText.of(member.value.description))
            }
        }
    }
}

extension ChildCover {
    /// A child in the shape of strongSwan's `list-policy`.
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
