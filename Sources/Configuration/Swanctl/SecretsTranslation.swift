import Cryptography
import IKEv2

/// Translation of the section `secrets` to pre-shared keys, and to the passphrases of key files.
struct SecretsTranslation {
    /// Passphrases with the folder and file that they are for.
    struct Passphrase {
        let folder: String
        let file: String
        /// The passphrases that may fit; none: the key is not encrypted.
        let secrets: [SecretBytes]
        let reader: SectionReader
    }

    private(set) var sharedKeys: [Credentials.SharedKey] = []
    private(set) var passphrases: [Passphrase] = []

    /// The words that the name of a section may begin with.
    static let kinds = ["ike"] + CredentialLoader.keyFolders + CredentialSection.unusedSecrets.map(\.prefix)

    /// `reader`: the whole section.
    init(_ reader: SectionReader) {
        reader.check([:], sections: reader.section.sections.map(\.name), hidesWords: true)
        for section in reader.section.sections { read(reader.inside(section)) }
    }

    private mutating func read(_ reader: SectionReader) {
        let name = reader.section.name
        let kind = name.lowercased()
        if kind.hasPrefix("ike") {
            readSharedKey(reader)
        } else if let folder = CredentialLoader.keyFolders.first(where: kind.hasPrefix) {
            readPassphrase(reader, folder)
        } else if let (_, remedy) = CredentialSection.unusedSecrets.first(where: { kind.hasPrefix($0.prefix) }) {
            reader.warn(name, "this kind of secret is not supported, and not used", remedy)
        } else {
            let near = Spelling.nearest(to: name, among: ["ike", "private", "rsa", "ecdsa", "pkcs8"])
            reader.fail(
                near == nil ? nil : name, "unknown kind of secret",
                near.map { "did you mean '\($0)'?" }
                    ?? "begin the name with ike for a pre-shared key, with private for a passphrase")
        }
    }

    private mutating func readSharedKey(_ reader: SectionReader) {
        // `id`, `id-moon`, `id2`: any suffix tells several identities apart.
        let identities = reader.section.values.filter { $0.key.hasPrefix("id") }
        var rules = CredentialSection.sharedKeyKeys.rules()
        for value in identities { rules[value.key] = .served }
        reader.check(rules, hidesWords: true)
        guard let secret = secret(reader) else { return }
        guard let key = SecretText.decode(secret), key.count > 0 else {
            reader.fail(
                reader.value("secret"), "secret", "the text after 0x or 0s is not hexadecimal or base64",
                "write it between quotes, with a character before it, if it is text")
            return
        }
        if key.count < 16 {
            reader.warn(
                reader.value("secret"), "secret", "a pre-shared key of \(key.count) bytes can be guessed",
                "take 32 random bytes: echo 0s$(head -c 32 /dev/urandom | base64)")
        }
        var owners: [Identity] = []
        for value in identities {
            guard let text = reader.text(value.key),
                let owner = reader.identity(text, of: value), !owners.contains(owner)
            else { continue }
            owners.append(owner)
        }
        sharedKeys.append(Credentials.SharedKey(name: reader.section.name, owners: owners, secret: key))
    }

    /// `secret`, `secret-2`, …: whichever fits. What else such a section has makes no difference.
    private mutating func readPassphrase(_ reader: SectionReader, _ folder: String) {
        let section = reader.section
        let secrets = section.values.filter { SettingsSection.holdsSecret($0.key) }
        for value in section.values where value.key != "file" && !SettingsSection.holdsSecret(value.key) {
            let near = Spelling.nearest(to: value.key, among: CredentialSection.passphraseKeys.map(\.name))
            reader.warn(
                value, near == nil && value.key != "id" ? nil : value.key,
                "unknown key in '\(section.name)', which is not used",
                near.map { "did you mean '\($0)'?" } ?? "remove it; a passphrase has 'file' and 'secret' only")
        }
        for fault in section.values.compactMap(\.fault) { reader.fail(nil, nil, fault.problem) }
        guard let file = reader.text("file") else {
            reader.warn(
                section.name, "has no effect: 'file' is missing",
                "add file = NAME, of a key in the folder '\(folder)', or remove the section")
            return
        }
        let passphrases = secrets.compactMap { value -> SecretBytes? in
            guard case .secret(let secret) = reader.value(value.key)?.content else { return nil }
            return secret
        }
        self.passphrases.append(Passphrase(folder: folder, file: file, secrets: passphrases, reader: reader))
    }

    private func secret(_ reader: SectionReader) -> SecretBytes? {
        if case .secret(let secret) = reader.value("secret")?.content { return secret }
        // A damaged one was reported.
        if reader.section.value("secret")?.fault == nil {
            reader.fail(
                nil, "the key 'secret' is missing in '\(reader.section.name)'",
                "add secret = \"…\", 0x and hexadecimal digits, or 0s and base64")
        }
        return nil
    }
}

/// The value of a `secret`: text as it is, hexadecimal digits behind 0x, or base64 behind 0s.
enum SecretText {
    /// The secret of a text; nil when what stands behind the prefix is not of that form.
    static func decode(_ secret: SecretBytes) -> SecretBytes? {
        secret.withUnsafeBytes { bytes in
            guard bytes.count >= 2, bytes[0] == UInt8(ascii: "0") else { return secret }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[2...])
            switch bytes[1] {
            case UInt8(ascii: "x"), UInt8(ascii: "X"): return hexadecimal(rest)
            case UInt8(ascii: "s"), UInt8(ascii: "S"): return base64(rest)
            default: return secret
            }
        }
    }

    /// The bytes of hexadecimal digits, with ":" between them or not; of an odd number of digits, the first stands for
    /// a byte by itself.
    private static func hexadecimal(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        let separator = UInt8(ascii: ":")
        let count = text.count { $0 != separator }
        guard count > 0 else { return nil }
        var isValid = true
        let result = SecretBytes(count: (count + 1) / 2) { bytes in
            var index = count % 2
            for digit in text where digit != separator {
                guard let value = nibble(digit) else {
                    isValid = false
                    return
                }
                bytes[index / 2] = bytes[index / 2] << 4 | value
                index += 1
            }
        }
        return isValid ? result : nil
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// RFC 4648 section 4; the padding may be left out.
    private static func base64(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        let digits = text.count - padding
        guard digits > 0, padding <= 2, digits % 4 != 1, padding == 0 || text.count.isMultiple(of: 4) else {
            return nil
        }
        var isValid = true
        let result = SecretBytes(count: digits * 6 / 8) { bytes in
            var (bits, held, next) = (UInt32(0), 0, 0)
            for byte in text.prefix(digits) {
                guard let value = sextet(byte) else {
                    isValid = false
                    return
                }
                bits = (bits << 6 | UInt32(value)) & 0xFFFF
                held += 6
                guard held >= 8 else { continue }
                held -= 8
                bytes[next] = UInt8(truncatingIfNeeded: bits >> UInt32(held))
                next += 1
            }
        }
        return isValid ? result : nil
    }

    private static func sextet(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
