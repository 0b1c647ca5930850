import IKEv2

/// Warns of children that call for the same packets: only one of them has these at a time.
struct SelectorChecks {
    /// What decides which packets call for a child.
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
