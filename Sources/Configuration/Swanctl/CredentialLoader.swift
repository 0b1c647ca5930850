import Cryptography
import IKEv2
import Packets
import Platform

/// Reads the folders of certificates, keys and CRLs.
struct CredentialLoader {
    /// Folders of private keys; sections of passphrases begin with these names.
    static let keyFolders = ["private", "rsa", "ecdsa", "pkcs8"]

    let folders: CredentialFolders
    let findings: Findings
    private var store = CredentialStore()
    /// Raw public keys of the folder `pubkey` are named by connections; they are read here to find broken ones.
    private(set) var publicKeys: [PublicKey] = []

    var credentials: Credentials { store.merged }

    init(folders: CredentialFolders, findings: Findings) {
        self.folders = folders
        self.findings = findings
    }

    mutating func load(_ secrets: SecretsTranslation) {
        for key in secrets.sharedKeys { store.add(key, from: .file) }
        loadCertificates()
        for path in files("x509crl") {
            store.add(Self.revocationLists(path) { skip(path, $0, $1) }, from: .file)
        }
        for path in files("pubkey") { loadPublicKey(path) }
        for folder in Self.keyFolders {
            for path in files(folder) { loadPrivateKey(path, folder, secrets.passphrases) }
        }
        for passphrase in secrets.passphrases {
            let path = folders.path(passphrase.file, in: passphrase.folder)
            guard !Files.exists(path) else { continue }
            passphrase.reader.warn(
                passphrase.reader.value("file"), passphrase.file,
                "no such file in the folder '\(passphrase.folder)'",
                "name the key file that the passphrase is for, or remove the section")
        }
        for container in files("pkcs12") {
            skip(
                container, "PKCS#12 containers are not supported",
                "unpack it into x509, x509ca and private: openssl pkcs12 -in FILE -nodes -out FILE.pem")
        }
    }

    /// Adds what sections name besides the folders.
    mutating func add(certificates: [Certificate], authorities: [Authority]) {
        for certificate in certificates { store.add(certificate, from: .file) }
        for authority in authorities { store.add(authority, from: .file) }
    }

    // MARK: Certificates

    private mutating func loadCertificates() {
        for path in files("x509") {
            for certificate in certificates(path) { store.add(certificate, from: .file) }
        }
        for path in files("x509ca") {
            for certificate in certificates(path) {
                guard certificate.isAuthority else {
                    skip(
                        path, "\"\(certificate)\" may not issue other certificates (basicConstraints)",
                        "move it to the folder x509")
                    continue
                }
                store.add(authority: certificate, from: .file)
            }
        }
    }

    private func certificates(_ path: String) -> [Certificate] {
        guard let content = content(path) else { return [] }
        do throws(CredentialError) {
            return try CredentialContent.certificates(Array(content.bytes))
        } catch {
            skip(path, error)
            return []
        }
    }

    static func revocationLists(_ path: String, _ report: (String, String) -> Void) -> [RevocationList] {
        do throws(Problem) {
            let content = try FileContent(path: path, maximum: CredentialItems.maximumLength)
            do throws(CredentialError) {
                return try CredentialContent.revocationLists(Array(content.bytes))
            } catch {
                report(error.problem.what, error.problem.remedy)
            }
        } catch {
            report("cannot be read: \(error.what)", "check the path and its permissions")
        }
        return []
    }

    // MARK: Keys

    private mutating func loadPublicKey(_ path: String) {
        guard let content = content(path) else { return }
        do throws(CredentialError) {
            publicKeys.append(try CredentialContent.publicKey(Array(content.bytes)))
        } catch {
            skip(path, error)
        }
    }

    private mutating func loadPrivateKey(
        _ path: String, _ folder: String, _ passphrases: [SecretsTranslation.Passphrase]
    ) {
        guard let content = content(path) else { return }
        if content.isExposed { warnOfExposure(path) }
        let passphrase = passphrases.first { $0.folder == folder && folders.path($0.file, in: folder) == path }
        do throws(CredentialError) {
            let key = try CredentialContent.privateKey(
                SecretBytes(copying: content.bytes), passphrases: passphrase?.secrets ?? [])
            store.add(key, from: .file)
        } catch {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            switch error.kind {
            case .passphraseNeeded:
                skip(
                    path, error.problem.what,
                    "add '\(folder)-1 { file = \(name) secret = \"…\" }' to the section secrets")
            case .wrongPassphrase:
                let location = passphrase.map { $0.reader.location($0.reader.value("secret")) }
                skip(path, error.problem.what, "correct the secret at \(location.map(\.description) ?? folder)")
            default: skip(path, error)
            }
        }
    }

    func warnOfExposure(_ path: String) {
        findings.warn(
            Problem(
                .warning, SourceLocation(file: path, line: 0), word: nil,
                "holds secrets and others may read it",
                remedy: "chmod 600 \(path)"))
    }

    // MARK: Files

    /// Regular files of a folder in the order of their names, without hidden ones; none when there is no such folder.
    private func files(_ folder: String) -> [String] {
        let path = "\(folders.directory)/\(folder)"
        let all: [String]
        do throws(Errno) { all = try Files.names(in: path) } catch {
            if error != .noSuchFileOrDirectory { skip(path, "cannot be read: \(error)", "check its permissions") }
            return []
        }
        var names: [String] = []
        for name in all where !name.hasPrefix(".") {
            do throws(Errno) {
                if try Files.status("\(path)/\(name)").kind == .regular { names.append(name) }
            } catch {
                skip("\(path)/\(name)", "cannot be read: \(error)", "check where the link leads to, or remove it")
            }
        }
        return names.sorted().map { "\(path)/\($0)" }
    }

    private func content(_ path: String) -> FileContent? {
        do throws(Problem) {
            return try FileContent(path: path, maximum: CredentialItems.maximumLength)
        } catch {
            skip(path, "cannot be read: \(error.what)", "check its permissions, or remove it")
            return nil
        }
    }

    private func skip(_ path: String, _ error: CredentialError) {
        skip(path, error.problem.what, "\(error.problem.remedy), or remove the file")
    }

    /// A file that cannot be used keeps nothing else down: connections that need it are warned of by name.
    private func skip(_ path: String, _ reason: String, _ remedy: String) {
        findings.warn(
            Problem(
                .warning, SourceLocation(file: path, line: 0), word: nil, "is not used: \(reason)",
                remedy: remedy))
    }
}
