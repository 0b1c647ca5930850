import Cryptography
import IKEv2
import Packets

/// The folders of swanctl: `x509`, `x509ca`, `x509crl`, `pubkey`, `private`, `rsa`, `ecdsa`, `pkcs8`.
package struct CredentialFolders: Hashable, Sendable {
    /// The folder that holds them.
    package var directory: String

    package init(directory: String) { self.directory = directory }

    /// A file in a folder; an absolute path stays as it is.
    func path(_ name: String, in folder: String) -> String {
        name.hasPrefix("/") ? name : "\(directory)/\(folder)/\(name)"
    }
}

/// Reads the certificates and public keys that the values of a section name, or hold.
struct CredentialItems {
    /// The most bytes of one file: far more than a chain or a large CRL needs.
    static let maximumLength = 64 * 1024 * 1024

    let reader: SectionReader
    /// The folders of files; nil: values are the things themselves.
    let folders: CredentialFolders?

    /// The content of each item of `key`, with a name for messages.
    private func contents(_ key: String, folder: String) -> [(name: String, bytes: [UInt8])] {
        guard let value = reader.value(key) else { return [] }
        if case .list(let items) = value.content {
            return items.enumerated().compactMap { index, item in
                if Self.isCredential(item) { return ("number \(index + 1)", item) }
                return read(String(decoding: item, as: UTF8.self), folder, value)
            }
        }
        return reader.items(key).compactMap { read($0, folder, value) }
    }

    /// PEM or DER, and not the name of a file, which is printable text.
    private static func isCredential(_ bytes: [UInt8]) -> Bool {
        bytes.contains { $0 < 0x20 || $0 == 0x7F } || String(validating: bytes, as: UTF8.self) == nil
    }

    private func read(
        _ name: String, _ folder: String, _ value: SettingsSection.Value
    ) -> (name: String, bytes: [UInt8])? {
        guard let path = folders?.path(name, in: folder) ?? (name.hasPrefix("/") ? name : nil) else {
            reader.fail(
                value, name, "'\(value.key)' names a file by a relative path", "give an absolute path, or the content")
            return nil
        }
        do throws(Problem) {
            let content = try FileContent(path: path, maximum: Self.maximumLength)
            return (path, Array(content.bytes))
        } catch {
            reader.fail(
                value, name, "\(path) cannot be read: \(error.what)", "put the file into \(folder), or name another")
            return nil
        }
    }

    /// The certificates that `key` and the sections `prefix…` name: the first of each file, and what else is in them.
    func certificates(
        _ key: String, prefix: String, folder: String
    ) -> (certificates: [Certificate], others: [Certificate]) {
        var found = certificates(in: key, folder: folder)
        for section in reader.sections(prefix: prefix) {
            section.check(CredentialSection.certificateKeys.rules())
            if section.value("file") == nil {
                section.fail(nil, "'file' is missing", "add file = /path/of/certificate.pem")
            }
            let more = CredentialItems(reader: section, folders: folders).certificates(in: "file", folder: folder)
            found.certificates += more.certificates
            found.others += more.others
        }
        return found
    }

    func certificates(in key: String, folder: String) -> (certificates: [Certificate], others: [Certificate]) {
        var result: (certificates: [Certificate], others: [Certificate]) = ([], [])
        for (name, bytes) in contents(key, folder: folder) {
            do throws(CredentialError) {
                let certificates = try CredentialContent.certificates(bytes)
                result.certificates += certificates.prefix(1)
                result.others += certificates.dropFirst()
            } catch {
                reader.fail(reader.value(key), name, error.problem)
            }
        }
        return result
    }

    func publicKeys(_ key: String) -> [PublicKey] {
        var keys: [PublicKey] = []
        for (name, bytes) in contents(key, folder: "pubkey") {
            do throws(CredentialError) {
                keys.append(try CredentialContent.publicKey(bytes))
            } catch {
                reader.fail(reader.value(key), name, error.problem)
            }
        }
        return keys
    }
}
