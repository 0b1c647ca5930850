import Foundation
import Testing

@testable import Configuration
@testable import IKEv2

/// The tables of keys are complete: every field has a key, every key does what its row says, and reports show it.
@Suite struct KeyTableTests {
    /// A value of each served key that is not its default.
    static let connectionValues = [
        "local_addrs": "192.0.2.1", "remote_addrs": "192.0.2.77", "local_port": "4500", "remote_port": "1501",
        "proposals": "aes256gcm16-prfsha384-ecp384", "encap": "yes", "dpd_delay": "2m", "fragmentation": "accept",
        "childless": "force", "send_certreq": "no", "send_cert": "always", "keyingtries": "0", "unique": "replace",
        "reauth_time": "1d", "rekey_time": "8h", "over_time": "10m", "rand_time": "5m", "mobike": "yes",
        "dpd_timeout": "30s",
    ]

    static let childValues = [
        "mode": "drop", "local_ts": "10.7.0.0/16", "remote_ts": "10.8.0.0/16", "esp_proposals": "aes256-sha512",
        "start_action": "trap", "close_action": "start", "dpd_action": "restart", "rekey_time": "30m",
        "life_time": "40h", "rand_time": "60", "rekey_bytes": "10g", "life_bytes": "20g", "rand_bytes": "1k",
        "rekey_packets": "1000000", "life_packets": "2000000", "rand_packets": "5", "replay_window": "4096",
        "sha256_96": "yes", "reqid": "7", "priority": "1000", "copy_df": "no", "copy_ecn": "no", "copy_dscp": "no",
    ]

    static let localValues = [
        "auth": "ecdsa-sha384", "id": "moon.example.org", "certs": "moon.pem", "pubkeys": "ed.pem", "round": "1",
    ]

    static let remoteValues = [
        "auth": "ecdsa-384-sha384", "id": "*.example.org", "certs": "moon.pem", "cacerts": "ca.pem",
        "pubkeys": "ed.pem", "revocation": "strict", "round": "1",
    ]

    /// Keys that only say something beside others.
    static let beside = ["rand_bytes": "rekey_bytes = 10g\n", "rand_packets": "rekey_packets = 1000000\n"]

    // MARK: Served keys

    @Test func everyKeyOfAConnectionIsReadAndShown() throws {
        let changed = try check(Connection.keys, Self.connectionValues) { line in
            try swanctl(sites(connection: line))
        } target: {
            $0.connections[0]
        }
        #expect(
            changed
                == Self.fields(of: Connection.preset).subtracting(["name", "isRefused", "local", "remote", "children"]))
    }

    @Test func everyKeyOfAChildIsReadAndShown() throws {
        let changed = try check(Child.keys, Self.childValues) { line in
            try swanctl(sites(child: line))
        } target: {
            $0.connections[0].children[0]
        }
        // `mode` is what SAs have, which is tunnel mode; a shunt has none.
        #expect(changed == Self.fields(of: Child.preset).subtracting(["name", "isRefused", "mode"]))
    }

    @Test func everyKeyOfAuthenticationIsReadAndShown() throws {
        let folder = try TestFolder()
        try folder.write("x509/moon.pem", TestCertificates.shared["moon.crt"])
        try folder.write("x509ca/ca.pem", TestCertificates.shared["ca.crt"])
        try folder.write("pubkey/ed.pem", TestCertificates.shared["ed.pub"])
        func load(local: String = "auth = pubkey", remote: String = "auth = pubkey") throws -> SwanctlConfiguration {
            try folder.write("swanctl.conf", sites(local: local, remote: remote))
            return try folder.load()
        }
        let local = try check(LocalAuthentication.keys, Self.localValues) { line in
            try load(local: line.hasPrefix("auth") ? line : "auth = pubkey\n\(line)")
        } target: {
            $0.connections[0].local
        }
        #expect(local == Self.fields(of: LocalAuthentication.preset))
        let remote = try check(RemoteAuthentication.keys, Self.remoteValues) { line in
            try load(remote: line.hasPrefix("auth") ? line : "auth = pubkey\n\(line)")
        } target: {
            $0.connections[0].remote
        }
        #expect(remote == Self.fields(of: RemoteAuthentication.preset))
    }

    private static func fields(of target: Any) -> Set<String> {
        Set(Mirror(reflecting: target).children.compactMap(\.label))
    }

    /// Sets each served key of a table by itself, and returns the names of the fields that this has changed.
    private func check<Target: SettingsTarget>(
        _ keys: [SettingsKey<Target>], _ values: [String: String], load: (String) throws -> SwanctlConfiguration,
        target: (SwanctlConfiguration) -> Target
    ) throws -> Set<String> {
        var changed: Set<String> = []
        for key in keys where key.rule.isServed {
            let value = try #require(values[key.name], "no value for \(key.name)")
            let others = Self.beside[key.name] ?? ""
            let (before, after) = (try load(others), try load("\(others)\(key.name) = \(value)"))
            let fields = zip(Mirror(reflecting: target(before)).children, Mirror(reflecting: target(after)).children)
                .filter { "\($0.value)" != "\($1.value)" }.compactMap(\.0.label)
            changed.formUnion(fields)
            if !key.remark.isEmpty {
                #expect(after.warnings.contains { $0.word == key.name }, "\(key.name)")
            } else if case .never = key.shown {
                #expect(fields.isEmpty, "\(key.name)")
            } else {
                #expect(!fields.isEmpty, "\(key.name) changes nothing")
                #expect(before.description != after.description, "check does not show \(key.name)")
                #expect(SwanctlDocument(before).connections != SwanctlDocument(after).connections, "\(key.name)")
            }
        }
        #expect(Set(values.keys) == Set(keys.filter(\.rule.isServed).map(\.name)))
        return changed
    }

    // MARK: Other keys

    @Test func keysThatAreNotServedSaySo() throws {
        try checkOthers(Connection.keys) { sites(connection: $0) }
        try checkOthers(Child.keys) { sites(child: $0) }
        try checkOthers(LocalAuthentication.keys) { sites(local: "auth = psk\n\($0)") }
        try checkOthers(RemoteAuthentication.keys) { sites(remote: "auth = psk\n\($0)") }
        try checkOthers(CredentialSection.sharedKeyKeys) {
            "secrets {\n ike {\n secret = 0123456789abcdef\n\($0)\n}\n}"
        }
        try checkOthers(CredentialSection.authorityKeys) { "authorities {\n ca {\n\($0)\n}\n}" }
        try checkOthers(CredentialSection.certificateKeys) { sites(local: "auth = pubkey\ncert1 {\n\($0)\n}") }
    }

    private func checkOthers<Target>(_ keys: [SettingsKey<Target>], text: (String) -> String) throws {
        for key in keys where !key.rule.isServed {
            let configuration = try SwanctlConfiguration.parse(text("\(key.name) = other"), file: "swanctl.conf")
            if case .inert(_, let because, _) = key.rule {
                #expect(configuration.warnings.contains { $0.word == key.name && $0.what == because }, "\(key.name)")
            } else {
                #expect(configuration.errors.contains { $0.word == key.name }, "\(key.name)")
            }
        }
    }

    /// As `reload` of the tables says: a connection's keys end its IKE SAs, a child's its CHILD_SAs, and nothing else does.
    @Test func aChangedKeyEndsWhatItsSectionIsFor() throws {
        let before = try connection(sites())
        for key in Connection.keys where key.rule.isServed && key.remark.isEmpty {
            let value = try #require(Self.connectionValues[key.name])
            let after = try connection(sites(connection: "\(key.name) = \(value)"))
            #expect(ConnectionChange(from: before, to: after).extent == .everything, "\(key.name)")
        }
        for key in Child.keys where key.rule.isServed {
            let (others, value) = (Self.beside[key.name] ?? "", try #require(Self.childValues[key.name]))
            let before = try connection(sites(child: others))
            let change = ConnectionChange(
                from: before, to: try connection(sites(child: "\(others)\(key.name) = \(value)")))
            #expect(change.extent == .children && change.endedChildren == ["net"], "\(key.name)")
        }
        #expect(ConnectionChange(from: before, to: before).extent == .none)
    }

    // MARK: The manual

    /// `sluice keys` writes the file anew.
    @Test func theManualIsThatOfTheTables() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../")
        let file = root.appending(path: "deploy/examples/swanctl-keys.md").standardizedFileURL
        let committed = try String(contentsOf: file, encoding: .utf8)
        #expect(committed == SettingsManual.markdown, "run: sluice keys > \(file.path)")
    }

    @Test func everyRowIsComplete() {
        for section in SettingsManual.sections {
            #expect(Set(section.entries.map(\.key)).count == section.entries.count, "\(section.title)")
            for entry in section.entries {
                #expect(!entry.meaning.isEmpty && !entry.meaning.hasSuffix("."), "\(entry.key)")
                #expect(!entry.form.isEmpty, "\(entry.key)")
            }
        }
    }
}
