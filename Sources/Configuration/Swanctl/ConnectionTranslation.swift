import Cryptography
import IKEv2

/// From a section of `connections` (swanctl.conf or VICI's `load-conn`) to a connection.
public enum ConnectionTranslation {
    /// What a section comes to, with its faults.
    public struct Outcome: Sendable {
        /// The connection. With a fault of its own it is refused, with one of a child that child is: `isRefused` says so, and
        /// their packets stay closed.
        public var connection: Connection
        public var warnings: [ConfigurationWarning]
        public var errors: [ConfigurationError]
    }

    /// - Parameter folders: where the file names of `certs`, `cacerts` and `pubkeys` lead; nil: items are the
    ///   certificates and keys themselves (PEM or DER), as over VICI, and only absolute file names are read.
    /// Errors of sections without lines name the section instead of a file.
    public static func outcome(
        _ section: SettingsSection, folders: CredentialFolders? = nil, rules: ProposalRules = ProposalRules()
    ) -> Outcome {
        let findings = Findings(rules)
        let reader = SectionReader(section, path: "connections.\(section.name)", findings: findings)
        let result = translate(reader, folders: folders)
        return Outcome(
            connection: result.connection, warnings: findings.warnings,
            errors: ConfigurationErrors.inOrder(findings.errors))
    }

    /// The same for a connection that is to be served as it is; throws every problem of the section.
    public static func connection(
        _ section: SettingsSection, folders: CredentialFolders? = nil
    ) throws(ConfigurationErrors) -> (connection: Connection, warnings: [ConfigurationWarning]) {
        let outcome = outcome(section, folders: folders)
        guard outcome.errors.isEmpty else { throw ConfigurationErrors(outcome.errors) }
        return (outcome.connection, outcome.warnings)
    }

    static let rules: [String: KeyRule] = [
        "version": .only(["2", "0"], else: "write version = 2; IKEv1 is not supported"),
        "local_addrs": .served, "remote_addrs": .served, "local_port": .served, "remote_port": .served,
        "proposals": .served, "encap": .served, "mobike": .served, "dpd_delay": .served, "dpd_timeout": .served,
        "fragmentation": .served, "childless": .served, "send_certreq": .served, "send_cert": .served,
        "keyingtries": .served, "unique": .served, "reauth_time": .served, "rekey_time": .served,
        "over_time": .served, "rand_time": .served,
        "aggressive": .inert(
            KeyRule.no, because: "has no effect: IKEv2 has no aggressive mode", remedy: "leave it out"),
        "pull": .inert(KeyRule.yes, because: "has no effect with IKEv2", remedy: "leave it out"),
        "ocsp": .only(["never", "reply"], else: "leave it out; revocation goes by CRLs in files"),
        "dscp": .inert(
            ["000000", "0"], because: "has no effect: IKE packets carry no DSCP", remedy: "leave it out"),
        "ppk_required": .onlyNo("leave it out; postquantum pre-shared keys are not supported"),
        "ppk_id": .refused("leave it out; postquantum pre-shared keys are not supported"),
        "mediation": .onlyNo("leave it out; connections are not mediated"),
        "mediated_by": .refused("leave it out, and give the peer's address with remote_addrs"),
        "mediation_peer": .refused("leave it out, and give the peer's address with remote_addrs"),
        "if_id_in": .onlyNothing("leave it out; select by address"),
        "if_id_out": .onlyNothing("leave it out; select by address"),
        "vips": .refused("leave it out, and name the networks of both sites with local_ts and remote_ts"),
        "pools": .refused("leave it out; no addresses are assigned to peers yet"),
    ]

    /// The connection as far as it can be made out, and what else lay in the files of its certificates. A fault of the
    /// connection itself refuses it; one of a child only that child.
    static func translate(
        _ reader: SectionReader, folders: CredentialFolders?
    ) -> (connection: Connection, others: [Certificate]) {
        let before = reader.findings.errors.count
        let reach = SelectorReach(connection: reader)
        var ofChildren = 0
        let children = reader.section.children
        reader.check(rules, sections: [children?.name ?? "children"], prefixes: ["local", "remote"])
        var authentication = AuthenticationTranslation(reader, folders: folders)
        var connection = Connection(
            name: reader.section.name,
            proposals: reader.proposals("proposals", default: IKEProposal.default) {
                IKEProposal.reading($0, rules: $1)
            },
            local: authentication.local(),
            remote: authentication.remote())
        connection.localAddresses = addresses("local_addrs", reader)
        connection.remoteAddresses = addresses("remote_addrs", reader)
        connection.localPort = localPort(reader)
        connection.remotePort = reader.number("remote_port", default: 500, in: 1...UInt16.max)
        connection.forcesEncapsulation = reader.flag("encap", default: false)
        connection.fragmentation = reader.choice("fragmentation", default: .yes)
        connection.childless = reader.choice("childless", default: .allow)
        connection.sendsCertificateRequest = reader.flag("send_certreq", default: true)
        connection.sendCertificate = reader.choice("send_cert", default: .ifAsked)
        connection.unique = reader.choice("unique", default: .no)
        connection.keyingTries = reader.number("keyingtries", default: 1)
        connection.dpdDelay = reader.seconds("dpd_delay") ?? 0
        readTimes(reader, &connection)
        warnOfNoEffect(reader)
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

    /// Only those that the daemon listens on.
    private static func localPort(_ reader: SectionReader) -> UInt16 {
        let port: UInt16 = reader.number("local_port", default: 500, in: 1...UInt16.max)
        guard port != 500, port != 4500, let value = reader.value("local_port") else { return port }
        reader.fail(value, "\(port)", "is no port that IKE is served on", "write 500, or 4500 to begin behind a NAT")
        return 500
    }

    /// `%any` behind others is for what begins with us or them; an initiator still takes the others.
    private static func addresses(_ key: String, _ reader: SectionReader) -> [AddressPattern] {
        var patterns: [AddressPattern] = []
        for item in reader.items(key) {
            do throws(WordProblem) {
                if let pattern = try PeerAddressText.pattern(item) {
                    patterns.append(pattern)
                } else if patterns.isEmpty {
                    return []
                } else {
                    patterns += [.range(.any(.ipv4)), .range(.any(.ipv6))].filter { !patterns.contains($0) }
                }
            } catch {
                reader.fail(reader.value(key), item, error.reason, error.remedy)
            }
        }
        return patterns
    }

    /// What is left out follows from the others: a reauthentication replaces rekeying, the hard limit comes a tenth of
    /// the longer time later, and the random part is as long as that.
    private static func readTimes(_ reader: SectionReader, _ connection: inout Connection) {
        connection.reauthenticationTime = reader.seconds("reauth_time") ?? 0
        connection.rekeyTime = reader.seconds("rekey_time") ?? (connection.reauthenticationTime > 0 ? 0 : 14_400)
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

    private static func warnOfNoEffect(_ reader: SectionReader) {
        // What is not written is not asked for, although strongSwan's default is yes.
        if let value = reader.value("mobike"), reader.flag("mobike", default: false) {
            reader.warn(
                value, "mobike", "MOBIKE is not supported; addresses of the peers stay, except behind a NAT",
                "write mobike = no, or leave it out")
        }
        if let value = reader.value("dpd_timeout"), let seconds = reader.seconds("dpd_timeout"), seconds > 0 {
            reader.warn(
                value, "dpd_timeout", "has no effect with IKEv2: the retransmissions of the check decide",
                "leave it out, and set --retransmit-timeout, --retransmit-base and --retransmit-tries")
        }
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
                "start_action has no peer to go to, as remote_addrs names none: the child waits for peers",
                "give the peer's address or name in remote_addrs, or leave start_action out")
            connection.children[index].startAction = .none
        }
    }

    /// nil when names or `%any` leave it open.
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
