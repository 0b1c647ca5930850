import Cryptography
import IKEv2

extension Authority {
    /// Throws every problem of the section. `folders` as in `ConnectionTranslation`.
    package init(_ section: SettingsSection, folders: CredentialFolders? = nil) throws(ConfigurationErrors) {
        let findings = Findings()
        let reader = SectionReader(section, path: "authorities.\(section.name)", findings: findings)
        let authority = Authority(reader, folders: folders)
        try findings.check()
        // Without an error there is a certificate.
        guard let authority else { throw ConfigurationErrors([]) }
        self = authority
    }

    /// An authority of a section; nil when there is no certificate, which is then reported.
    init?(_ reader: SectionReader, folders: CredentialFolders?) {
        reader.check(CredentialSection.authorityKeys.rules())
        let items = CredentialItems(reader: reader, folders: folders)
        let errorsBefore = reader.findings.errors.count
        let found = ["cacert", "file"].flatMap { items.certificates(in: $0, folder: "x509ca").certificates }
        let lists = Self.lists(reader)
        guard let first = found.first else {
            if reader.findings.errors.count == errorsBefore {
                reader.fail(nil, "'cacert' is missing", "add cacert = NAME, of a file in the folder x509ca")
            }
            return nil
        }
        if found.count > 1 {
            reader.fail(reader.value("file"), "file", "the certificate is named twice", "keep 'cacert' or 'file'")
        }
        if !first.isAuthority {
            reader.fail(
                reader.value("cacert") ?? reader.value("file"), "\(first)",
                "this certificate may not issue others (basicConstraints)", "name the certificate of an authority")
        }
        self.init(name: reader.section.name, certificate: first, revocationLists: lists)
    }

    private static func lists(_ reader: SectionReader) -> [RevocationList] {
        var lists: [RevocationList] = []
        for item in reader.items("crl_uris") {
            let value = reader.value("crl_uris")
            guard item.lowercased().hasPrefix("file:") else {
                reader.fail(
                    value, item, "CRLs are read from files only",
                    "fetch it by a timer into the folder x509crl, or name it as file:/path")
                continue
            }
            var path = String(item.dropFirst(5))
            if path.hasPrefix("//") { path = String(path.dropFirst(2)) }
            guard path.hasPrefix("/") else {
                reader.fail(value, item, "the path is relative", "write file:/path/of/list.crl")
                continue
            }
            lists += CredentialLoader.revocationLists(path) { reader.fail(value, item, $0, $1) }
        }
        return lists
    }
}
