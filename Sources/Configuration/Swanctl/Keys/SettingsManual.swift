import IKEv2

/// One row of the manual: a key of swanctl.conf.
package struct ManualEntry: Hashable, Sendable {
    package var key: String
    /// Its values, or the reason why it has none.
    package var form: String
    package var preset: String
    package var meaning: String
    /// Its values are used.
    package var isServed: Bool
    /// Its values are read, if only to warn of them.
    var isRead: Bool

    init<Target>(_ key: SettingsKey<Target>) {
        self.key = key.name
        preset = key.preset
        meaning = key.meaning
        isServed = key.rule.isServed && key.remark.isEmpty
        isRead = key.rule.isServed
        form = key.rule.isServed ? key.form : key.rule.manual
        if !key.remark.isEmpty { form += "; with a warning: \(key.remark)" }
    }
}

/// Everything that swanctl.conf may hold, as the tables of keys have it.
package enum SettingsManual {
    /// A section, with the name that the manual has for it.
    package struct Section: Sendable {
        package var title: String
        /// The section as messages name it, where a key belongs to it.
        var place: String
        package var entries: [ManualEntry]
        /// The effect of a changed value on what runs.
        package var reload = ""
        /// Sentences below the table.
        package var notes: [String] = []
    }

    package static let sections: [Section] = [
        Section(
            title: "connections.NAME", place: "the section of the connection",
            entries: Connection.keys.map { ManualEntry($0) }, reload: Connection.reload),
        Section(
            title: "connections.NAME.local", place: "the 'local' section",
            entries: LocalAuthentication.keys.map { ManualEntry($0) }, reload: LocalAuthentication.reload,
            notes: ["One round of authentication: one section whose name begins with `local`, one with `remote`."]),
        Section(
            title: "connections.NAME.remote", place: "the 'remote' section",
            entries: RemoteAuthentication.keys.map { ManualEntry($0) }, reload: RemoteAuthentication.reload),
        Section(
            title: "connections.NAME.children.NAME", place: "a section of 'children'",
            entries: Child.keys.map { ManualEntry($0) }, reload: Child.reload,
            notes: [
                "Where `mode` is pass or drop, keys that are about SAs only have no effect, with a warning: "
                    + Child.keys.filter(\.isAboutSAsOnly).map { "`\($0.name)`" }.joined(separator: ", ") + "."
            ]),
        Section(
            title: "cert… and cacert… of local and remote", place: "a section 'cert…'",
            entries: CredentialSection.certificateKeys.map { ManualEntry($0) }, reload: Connection.reload),
        Section(
            title: "secrets.ike…", place: "a section 'ike…' of 'secrets'",
            entries: CredentialSection.sharedKeyKeys.map { ManualEntry($0) }, reload: CredentialSection.reload),
        Section(
            title: "secrets.private…, rsa…, ecdsa…, pkcs8…", place: "a section 'private…' of 'secrets'",
            entries: CredentialSection.passphraseKeys.map { ManualEntry($0) }, reload: CredentialSection.reload,
            notes: CredentialSection.unusedSecrets.map { "`\($0.prefix)…` is not used, with a warning: \($0.remedy)." }),
        Section(
            title: "authorities.NAME", place: "a section of 'authorities'",
            entries: CredentialSection.authorityKeys.map { ManualEntry($0) }, reload: CredentialSection.reload),
        Section(
            title: "pools.NAME", place: "a section of 'pools'", entries: [],
            notes: ["Any key, with a warning: \(CredentialSection.unusedPools.because)."]),
    ]

    /// All of it as Markdown, one table for each section.
    package static var markdown: String {
        var output = "# Keys of swanctl.conf\n\nMade from the tables that the gateway reads by: `sluice keys`.\n"
        for section in sections {
            output += "\n## \(section.title)\n\n"
            if !section.reload.isEmpty { output += "A changed value \(section.reload).\n\n" }
            let served = section.entries.filter(\.isServed)
            if !served.isEmpty {
                output += "| key | value | default | meaning |\n|---|---|---|---|\n"
                for entry in served {
                    output += row(["`\(entry.key)`", entry.form, entry.preset, entry.meaning])
                }
            }
            let others = section.entries.filter { !$0.isServed }
            if !others.isEmpty {
                output += (served.isEmpty ? "" : "\n") + "| not served | meaning | what it may hold |\n|---|---|---|\n"
                for entry in others { output += row(["`\(entry.key)`", entry.meaning, entry.form]) }
            }
            if !section.entries.isEmpty, !section.notes.isEmpty { output += "\n" }
            for note in section.notes { output += "- \(note)\n" }
        }
        return output
    }

    private static func row(_ cells: [String]) -> String {
        "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
    }

    // MARK: Where keys belong

    /// The place of a key that stands in the wrong section; nil: nowhere, or in several places.
    static func place(of key: String) -> String? {
        let fitting = sections.prefix(4).filter { section in
            section.entries.contains { $0.key == key && $0.isRead }
        }.map(\.place)
        if fitting == ["the 'local' section", "the 'remote' section"] { return "'local' or 'remote'" }
        return fitting.count == 1 ? fitting[0] : nil
    }

    /// Every key of connections, children and their authentication, and of secrets.
    static let all = Set(sections.prefix(4).flatMap { $0.entries.map(\.key) }).union(["secret", "file", "cacert"])
}
