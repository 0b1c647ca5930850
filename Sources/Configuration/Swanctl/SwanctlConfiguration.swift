import Cryptography
import IKEv2
import Packets
import Platform

/// The contents of a swanctl.conf and of the folders beside it.
///
/// A fault costs what it stands in, not more: a connection or a child with one is refused (`isRefused`; its packets stay
/// closed), a secret, certificate or key with one is left out. Only a text that cannot be parsed is nothing at all.
package struct SwanctlConfiguration: Sendable {
    /// The entries in the order of the file.
    package var connections: [Connection]
    package var credentials: Credentials
    package var warnings: [Problem]
    /// The problems in the order of files and lines.
    package var errors: [Problem] = []
    /// Some secret, key, certificate, authority or CRL could not be read.
    package internal(set) var lacksCredentials = false

    /// Connections (`site`) and children (`site/net`) that are not served, for their errors.
    package var refused: [String] { connections.refusedParts }

    /// The same configuration if all of it can be served; throws every error otherwise.
    package func checked() throws(ConfigurationErrors) -> SwanctlConfiguration {
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        return self
    }

    package init(
        connections: [Connection] = [], credentials: Credentials = Credentials(),
        warnings: [Problem] = []
    ) {
        self.connections = connections
        self.credentials = credentials
        self.warnings = warnings
    }

    /// Reads the file, what it includes, and the folders of certificates and keys.
    ///
    /// - `directory`: where the folders are; nil: the environment's SWANCTL_DIR, else where the file is.
    /// Throws when the text cannot be parsed; all other errors are in the result.
    package static func load(
        path: String, directory: String? = nil, rules: ProposalRules = ProposalRules()
    ) throws(ConfigurationErrors) -> SwanctlConfiguration {
        let file = try SettingsFile.load(path: path)
        let environment = CurrentProcess.environment("SWANCTL_DIR").flatMap { $0.isEmpty ? nil : $0 }
        let folders = CredentialFolders(directory: directory ?? environment ?? FilePath.directory(of: path))
        return translate(file, path: path, folders: folders, rules: rules)
    }

    /// Parses text that has no file: it can neither include files nor name certificates and keys by relative paths.
    package static func parse(
        _ text: String, file: String, rules: ProposalRules = ProposalRules()
    ) throws(ConfigurationErrors) -> SwanctlConfiguration {
        try parse(bytes: Array(text.utf8), file: file, rules: rules)
    }

    /// The same as `parse(_:file:)`. The bytes stay as they are.
    package static func parse(
        bytes: [UInt8], file: String, rules: ProposalRules = ProposalRules()
    ) throws(ConfigurationErrors) -> SwanctlConfiguration {
        let result: Result<SettingsFile, ConfigurationErrors> = bytes.withUnsafeBytes { buffer in
            do throws(ConfigurationErrors) {
                return .success(try SettingsFile.parse(bytes: buffer, file: file, mayInclude: false))
            } catch {
                return .failure(error)
            }
        }
        return translate(try result.get(), path: file, folders: nil, rules: rules)
    }

    private static let sections = ["connections", "secrets", "authorities", "pools"]

    private static func translate(
        _ file: SettingsFile, path: String, folders: CredentialFolders?, rules: ProposalRules
    ) -> SwanctlConfiguration {
        let findings = Findings(rules)
        for warning in file.warnings { findings.warn(warning) }
        let root = SectionReader(file.root, path: "", findings: findings)
        checkTop(root, referenced: file.referenced)
        func top(_ name: String) -> SectionReader? {
            file.root.section(name).map { SectionReader($0, path: name, findings: findings) }
        }
        var configuration = SwanctlConfiguration()
        var others: [Certificate] = []
        if let section = top("connections") {
            section.check([:], sections: section.section.sections.map(\.name))
            for inner in section.section.sections {
                let result = ConnectionTranslation.translate(section.inside(inner), folders: folders)
                configuration.connections.append(result.connection)
                others += result.others
            }
        }
        let before = findings.errors.count
        let secrets = SecretsTranslation(
            top("secrets") ?? SectionReader(SettingsSection(name: "secrets"), path: "secrets", findings: findings))
        var authorities: [Authority] = []
        if let section = top("authorities") {
            section.check([:], sections: section.section.sections.map(\.name))
            authorities = section.section.sections.compactMap { Authority(section.inside($0), folders: folders) }
        }
        warnOfPools(top("pools"))
        var store = CredentialLoader(
            folders: folders ?? CredentialFolders(directory: "/nonexistent"), findings: findings)
        store.load(secrets)
        store.add(certificates: others, authorities: authorities)
        for exposed in file.exposedFiles { store.warnOfExposure(exposed) }
        configuration.credentials = store.credentials
        configuration.lacksCredentials = findings.errors.count > before
        configuration.errors = ConfigurationErrors.inOrder(findings.errors)
        CredentialChecks(configuration: configuration, root: root).run()
        SelectorChecks(connections: configuration.connections, root: root).run()
        configuration.warnings = findings.warnings
        return configuration
    }

    /// Others make no difference, unless they are meant to be something that does.
    private static func checkTop(_ root: SectionReader, referenced: Set<String>) {
        for value in root.section.values {
            if SettingsManual.all.contains(value.key) {
                root.fail(value, value.key, "key outside any section", "move it into a section, or remove it")
            } else {
                root.warn(
                    value, value.key, "has no effect: key outside any section",
                    "move it into a section, or remove it")
            }
        }
        for section in root.section.sections
        where !sections.contains(section.name) && !referenced.contains(section.name) {
            let reader = root.inside(section)
            if let near = Spelling.nearest(to: section.name, among: sections) {
                reader.fail(
                    section.name, "unknown section, and none inherits from it",
                    "did you mean '\(near)'?")
            } else {
                reader.warn(
                    section.name, "has no effect: unknown section, and none inherits from it",
                    "use connections, secrets or authorities; to inherit from it write 'NAME : \(section.name) { … }'")
            }
        }
    }

    /// A connection that names one is an error itself.
    private static func warnOfPools(_ reader: SectionReader?) {
        for pool in reader?.section.sections ?? [] {
            let (because, remedy) = CredentialSection.unusedPools
            reader?.inside(pool).warn(pool.name, because, remedy)
        }
    }
}
