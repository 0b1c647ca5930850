import Cryptography

/// One VICI message: an ordered list of named fields, which may nest.
///
/// Order matters to readers (`swanctl` prints sections as they come) and a name may occur more than once, so this is a
/// list and not a dictionary. Values are bytes: VICI carries certificates and keys as well as text.
package struct VICIMessage: Hashable, Sendable {
    /// The contents of a field.
    package enum Content: Hashable, Sendable {
        case value([UInt8])
        case list([[UInt8]])
        case section(VICIMessage)
        /// A key or a passphrase, which is never text. Only requests that carry one have it (`VICISecrets`).
        case secret(SecretBytes)

        /// Secrets count by their length: a hash tells nothing about them.
        package func hash(into hasher: inout Hasher) {
            switch self {
            case .value(let bytes): hasher.combine(bytes)
            case .list(let items): hasher.combine(items)
            case .section(let section): hasher.combine(section)
            case .secret(let secret): hasher.combine(secret.count)
            }
        }
    }

    /// A name of at most 255 bytes, and what it holds.
    package struct Field: Hashable, Sendable {
        package var name: String
        package var content: Content

        package init(name: String, content: Content) {
            self.name = name
            self.content = content
        }
    }

    package var fields: [Field]

    package init(_ fields: [Field] = []) {
        self.fields = fields
    }

    /// The bytes of the first key/value field with this name.
    package func bytes(_ name: String) -> [UInt8]? {
        for field in fields where field.name == name {
            if case .value(let bytes) = field.content { return bytes }
        }
        return nil
    }

    /// The text of the first key/value field with this name; malformed UTF-8 is repaired.
    package subscript(name: String) -> String? {
        bytes(name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The items of the first list with this name.
    package func list(_ name: String) -> [[UInt8]]? {
        for field in fields where field.name == name {
            if case .list(let items) = field.content { return items }
        }
        return nil
    }

    /// The first section with this name.
    package func section(_ name: String) -> VICIMessage? {
        for field in fields where field.name == name {
            if case .section(let section) = field.content { return section }
        }
        return nil
    }

    /// The secret with this name. One that came as an ordinary value is copied.
    package func secret(_ name: String) -> SecretBytes? {
        for field in fields where field.name == name {
            switch field.content {
            case .secret(let secret): return secret
            case .value(let bytes): return SecretBytes(copying: bytes)
            case .list, .section: continue
            }
        }
        return nil
    }

    /// "yes" is true; "no", anything else and nothing are false.
    package func flag(_ name: String) -> Bool { self[name] == "yes" }

    package mutating func append(_ name: String, _ text: some StringProtocol) {
        fields.append(Field(name: name, content: .value(Array(text.utf8))))
    }

    package mutating func append(_ name: String, _ number: some BinaryInteger) {
        append(name, String(number))
    }

    package mutating func append(_ name: String, bytes: [UInt8]) {
        fields.append(Field(name: name, content: .value(bytes)))
    }

    package mutating func append(_ name: String, list: [String]) {
        fields.append(Field(name: name, content: .list(list.map { Array($0.utf8) })))
    }

    package mutating func append(_ name: String, secret: SecretBytes) {
        fields.append(Field(name: name, content: .secret(secret)))
    }

    package mutating func append(_ name: String, section: VICIMessage) {
        fields.append(Field(name: name, content: .section(section)))
    }
}

extension VICIMessage: ExpressibleByDictionaryLiteral {
    /// Key/value fields in the order written.
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements.map { Field(name: $0.0, content: .value(Array($0.1.utf8))) })
    }
}

/// Text as clients of libvici can show it: to them a value with anything but printable ASCII is binary, and `swanctl`
/// prints nothing of it.
enum PlainText {
    /// A line's end becomes a semicolon; characters that ASCII lacks become the nearest that it has, or "?", as in
    /// strongSwan's own answers.
    static func of(_ text: String) -> String {
        // Most text is plain already.
        guard text.utf8.contains(where: { !(0x20...0x7E).contains($0) }) else { return text }
        var plain = ""
        for character in text {
            switch character {
            case " "..."~": plain.append(character)
            case "\n", "\r\n": plain += "; "
            case "\t": plain += " "
            case "…": plain += "..."
            case "×": plain += "x"
            case "–", "—": plain += "-"
            default: plain += "?"
            }
        }
        return plain
    }
}
