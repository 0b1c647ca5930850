import Cryptography
import Packets

/// A section of swanctl.conf, or of a VICI message: values and sections within, in the order of the text.
///
/// Sections of one name are merged, references and includes are resolved; each key and each name occurs once.
package struct SettingsSection: Sendable {
    /// One `key = value`.
    package struct Value: Sendable {
        package enum Content: Sendable {
            /// Text; lists are separated by commas.
            case text(String)
            /// The items of a VICI list, or one VICI value that is no text: names, certificates, keys.
            case list([[UInt8]])
            /// The value of a key that always holds a secret (`SettingsSection.holdsSecret`), as it is written.
            case secret(SecretBytes)

            func isSame(as other: Content) -> Bool {
                switch (self, other) {
                case (.text(let text), .text(let other)): text == other
                case (.list(let items), .list(let other)): items == other
                case (.secret(let secret), .secret(let other)): secret == other
                default: false
                }
            }
        }

        /// A fault in how a value is written; it then stands for nothing.
        package struct Fault: Sendable {
            /// The word; nil: it may be a piece of a secret.
            package var word: String?
            package var problem: Problem
        }

        package var key: String
        package var content: Content
        package var fault: Fault?
        /// The place of the value; nil: it came without lines, over VICI.
        package var location: SourceLocation?

        package init(key: String, content: Content, location: SourceLocation? = nil) {
            self.key = key
            self.content = content
            self.location = location
        }
    }

    /// Whether the value of a key never becomes text: `secret` with any suffix, and `pin`.
    package static func holdsSecret(_ key: String) -> Bool { key.hasPrefix("secret") || key == "pin" }

    package var name: String
    package var location: SourceLocation?
    package var values: [Value]
    package var sections: [SettingsSection]

    package init(
        name: String, location: SourceLocation? = nil, values: [Value] = [], sections: [SettingsSection] = []
    ) {
        self.name = name
        self.location = location
        self.values = values
        self.sections = sections
    }

    package func value(_ key: String) -> Value? { values.first { $0.key == key } }
    package func section(_ name: String) -> SettingsSection? { sections.first { $0.name == name } }

    /// The section `children` of a connection; capitals make no difference.
    var children: SettingsSection? { sections.first { $0.name.lowercased() == "children" } }
}
