import Cryptography
import IKEv2
import Packets

/// Translation of a section of `connections` (swanctl.conf or VICI's `load-conn`) to a connection.
package enum ConnectionTranslation {
    /// The connection that a section describes, with its faults.
    package struct Outcome: Sendable {
        /// The connection. With a fault of its own it is refused, with one of a child that child is: `isRefused` says so, and
        /// their packets stay closed.
        package var connection: Connection
        package var warnings: [Problem]
        package var errors: [Problem]
    }

    /// - `folders`: where the file names of `certs`, `cacerts` and `pubkeys` lead; nil: items are the
    ///   certificates and keys themselves (PEM or DER), as over VICI, and only absolute file names are read.
    /// Errors of sections without lines name the section instead of a file.
    package static func outcome(
        _ section: SettingsSection, folders: CredentialFolders? = nil, rules: ProposalRules = ProposalRules()
    ) -> Outcome {
        let findings = Findings(rules)
        let reader = SectionReader(section, path: "connections.\(section.name)", findings: findings)
        let result = translate(reader, folders: folders)
        return Outcome(
            connection: result.connection, warnings: findings.warnings,
            errors: ConfigurationErrors.inOrder(findings.errors))
    }

    /// The connection if it can be served as it is; throws every problem of the section.
    package static func connection(
        _ section: SettingsSection, folders: CredentialFolders? = nil
    ) throws(ConfigurationErrors) -> (connection: Connection, warnings: [Problem]) {
        let outcome = outcome(section, folders: folders)
        guard outcome.errors.isEmpty else { throw ConfigurationErrors(outcome.errors) }
        return (outcome.connection, outcome.warnings)
    }

    /// The connection as far as it can be made out, and what else lay in the files of its certificates. A fault of the
    /// connection itself refuses it; one of a child only that child.
    static func translate(
        _ reader: SectionReader, folders: CredentialFolders?
    ) -> (connection: Connection, others: [Certificate]) {
        let before = reader.findings.errors.count
        let reach = SelectorReach(connection: reader)
        var ofChildren = 0
        let children = reader.section.children
        reader.check(Connection.keyRules, sections: [children?.name ?? "children"], prefixes: ["local", "remote"])
        var authentication = AuthenticationTranslation(reader, folders: folders)
        var connection = Connection(
            name: reader.section.name, proposals: Connection.preset.proposals, local: authentication.local(),
            remote: authentication.remote())
        Connection.keys.read(reader, into: &connection)
        readTimes(reader, &connection)
        if let children {
            let inside = reader.inside(children)
            inside.check([:], sections: children.sections.map(\.name))
            connection.children = children.sections.map { section in
                let (child, errors) = ChildTranslation.child(inside.inside(section), reach)
                ofChildren += errors
                return child
            }
        }
        checkFamilies(connection, reader)
        forgetStartsWithoutAPeer(reader, &connection)
        let isAtFault = reader.findings.errors.count - before > ofChildren
        return (isAtFault ? connection.refused(reach) : connection, authentication.others)
    }

    /// `%any` behind others is for what begins with us or them; an initiator still takes the others.
    static func addresses(_ key: String, _ reader: SectionReader) -> [AddressPattern] {
        var patterns: [AddressPattern] = []
        for item in reader.items(key) {
            do throws(Problem) {
                if let pattern = try PeerAddressText.pattern(item) {
                    patterns.append(pattern)
                } else if patterns.isEmpty {
                    return []
                } else {
                    patterns += [.range(.any(.ipv4)), .range(.any(.ipv6))].filter { !patterns.contains($0) }
                }
            } catch {
                reader.fail(reader.value(key), item, error)
            }
        }
        return patterns
    }

    /// Times, of which those left out follow from the others: a reauthentication replaces rekeying, the hard limit comes a tenth of
    /// the longer time later, and the random part is as long as that.
    private static func readTimes(_ reader: SectionReader, _ connection: inout Connection) {
        connection.reauthenticationTime = reader.seconds("reauth_time") ?? 0
        connection.rekeyTime =
            reader.seconds("rekey_time") ?? (connection.reauthenticationTime > 0 ? 0 : Connection.preset.rekeyTime)
        connection.overTime =
            reader.seconds("over_time") ?? max(connection.rekeyTime, connection.reauthenticationTime) / 10
        let times = [connection.rekeyTime, connection.reauthenticationTime].filter { $0 > 0 }
        let shortest = times.min() ?? 0
        connection.randomTime = reader.seconds("rand_time") ?? min(connection.overTime, shortest / 2)
        guard shortest > 0, connection.randomTime > shortest else { return }
        reader.warn(
            reader.value("rand_time"), nil,
            "rand_time (\(connection.randomTime)) is more than the time that it is taken from (\(shortest)), "
                + "so that a new key may be due at once", "give at most half of \(shortest) for rand_time")
        connection.randomTime = shortest
    }

    // MARK: Contradictions

    private static func checkFamilies(_ connection: Connection, _ reader: SectionReader) {
        let local = families(connection.localAddresses)
        let remote = families(connection.remoteAddresses)
        if let local, let remote, local.isDisjoint(with: remote) {
            reader.fail(
                reader.value("remote_addrs"), nil, "local_addrs and remote_addrs are of different address families",
                "give both IPv4 or both IPv6 addresses")
        }
    }

    /// Such a connection answers peers all the same.
    private static func forgetStartsWithoutAPeer(_ reader: SectionReader, _ connection: inout Connection) {
        guard !connection.remoteAddresses.contains(where: \.isOnePeer) else { return }
        let children = reader.section.children.map(reader.inside)
        for index in connection.children.indices where connection.children[index].startAction != .none {
            let child = connection.children[index]
            let inside = children.flatMap { $0.section.section(child.name).map($0.inside) } ?? reader
            inside.warn(
                inside.value("start_action"), child.startAction.rawValue,
                "start_action needs a peer, and remote_addrs names none: the child waits for peers",
                "give the peer's address or name in remote_addrs, or leave start_action out")
            connection.children[index].startAction = .none
        }
    }

    /// The families of addresses; nil when names or `%any` leave it open.
    private static func families(_ patterns: [AddressPattern]) -> Set<Bool>? {
        var families: Set<Bool> = []
        for pattern in patterns {
            guard case .range(let range) = pattern else { return nil }
            families.insert(range.family == .ipv4)
        }
        return families.isEmpty ? nil : families
    }
}

extension AddressPattern {
    /// An address or a name, which an initiator can go to.
    var isOnePeer: Bool {
        switch self {
        case .name: true
        case .range(let range): range.first == range.last
        }
    }
}
