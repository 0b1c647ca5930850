import Cryptography
import IKEv2

/// From the section `secrets` to pre-shared keys, and to the passphrases of key files.
struct SecretsTranslation {
    /// A passphrase with the folder and file that it is for.
    struct Passphrase {
        let folder: String
        let file: String
        let secret: SecretBytes
        let reader: SectionReader
    }

    private(set) var sharedKeys: [Credentials.SharedKey] = []
    private(set) var passphrases: [Passphrase] = []

    private static let refused: [(prefix: String, remedy: String)] = [
        ("eap", "remove it; EAP is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("xauth", "remove it; XAuth is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("ntlm", "remove it; EAP is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("ppk", "remove it; postquantum pre-shared keys are not supported"),
        ("pkcs12", "unpack it into x509, x509ca and private: openssl pkcs12 -in FILE -nodes -out FILE.pem"),
        ("token", "put the key into a file in the folder 'private'; tokens are not supported"),
    ]

    /// `reader`: the whole section.
    init(_ reader: SectionReader) {
        reader.check([:], sections: reader.section.sections.map(\.name), hidesWords: true)
        for section in reader.section.sections { read(reader.inside(section)) }
    }

    private mutating func read(_ reader: SectionReader) {
        let name = reader.section.name
        if name.hasPrefix("ike") {
            readSharedKey(reader)
        } else if let folder = CredentialStore.keyFolders.first(where: name.hasPrefix) {
            readPassphrase(reader, folder)
        } else if let (_, remedy) = Self.refused.first(where: { name.hasPrefix($0.prefix) }) {
            reader.fail(name, "this kind of secret is not supported", remedy)
        } else {
            let near = Spelling.nearest(to: name, among: ["ike", "private", "rsa", "ecdsa", "pkcs8"])
            reader.fail(
                near == nil ? nil : name, "this is no kind of secret that is known",
                near.map { "did you mean '\($0)'?" }
                    ?? "begin the name with ike for a pre-shared key, with private for a passphrase")
        }
    }

    private mutating func readSharedKey(_ reader: SectionReader) {
        // `id`, `id-moon`, `id2`: any suffix tells several identities apart.
        let identities = reader.section.values.filter { $0.key.hasPrefix("id") }
        var rules: [String: KeyRule] = ["secret": .served, "id": .served]
        for value in identities { rules[value.key] = .served }
        reader.check(rules, hidesWords: true)
        guard let secret = secret(reader, "secret = \"…\", 0x and hexadecimal digits, or 0s and base64") else { return }
        guard let key = SecretText.decode(secret), key.count > 0 else {
            reader.fail(
                reader.value("secret"), "secret", "what stands behind 0x or 0s is not hexadecimal or base64",
                "write it between quotes with a character before it if it is text that begins so")
            return
        }
        if key.count < 16 {
            reader.warn(
                reader.value("secret"), "secret", "a pre-shared key of \(key.count) bytes can be guessed",
                "take 32 random bytes: echo 0s$(head -c 32 /dev/urandom | base64)")
        }
        var owners: [Identity] = []
        for value in identities {
            guard let text = reader.text(value.key) else { continue }
            do throws(IdentityTextError) {
                let owner = try Identity(parsing: text)
                if !owners.contains(owner) { owners.append(owner) }
            } catch {
                reader.fail(value, text, error.problem, error.remedy)
            }
        }
        sharedKeys.append(Credentials.SharedKey(name: reader.section.name, owners: owners, secret: key))
    }

    private mutating func readPassphrase(_ reader: SectionReader, _ folder: String) {
        reader.check(["file": .served, "secret": .served], hidesWords: true)
        guard let file = reader.text("file") else {
            reader.fail(nil, "'file' is missing", "add file = NAME, of a key in the folder '\(folder)'")
            return
        }
        guard let secret = secret(reader, "secret = \"the passphrase\"") else { return }
        passphrases.append(Passphrase(folder: folder, file: file, secret: secret, reader: reader))
    }

    private func secret(_ reader: SectionReader, _ form: String) -> SecretBytes? {
        if case .secret(let secret) = reader.value("secret")?.content { return secret }
        reader.fail(nil, "'secret' is missing", "add \(form)")
        return nil
    }
}
