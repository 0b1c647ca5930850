import Cryptography
import Packets

/// A section of swanctl.conf, or of a VICI message: values and sections within, in the order of the text.
///
/// Sections of one name are merged, references and includes are resolved; each key and each name occurs once.
public struct SettingsSection: Sendable {
    /// One `key = value`.
    public struct Value: Sendable {
        public enum Content: Sendable {
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
        public struct Fault: Sendable {
            /// The word; nil: it may be a piece of a secret.
            public var word: String?
            public var problem: Problem
        }

        public var key: String
        public var content: Content
        public var fault: Fault?
        /// The place of the value; nil: it came without lines, over VICI.
        public var location: SourceLocation?

        public init(key: String, content: Content, location: SourceLocation? = nil) {
            self.key = key
            self.content = content
            self.location = location
        }
    }

    /// Whether the value of a key never becomes text: `secret` with any suffix, and `pin`.
    public static func holdsSecret(_ key: String) -> Bool { key.hasPrefix("secret") || key == "pin" }

    public var name: String
    public var location: SourceLocation?
    public var values: [Value]
    public var sections: [SettingsSection]

    public init(
        name: String, location: SourceLocation? = nil, values: [Value] = [], sections: [SettingsSection] = []
    ) {
        self.name = name
        self.location = location
        self.values = values
        self.sections = sections
    }

    public func value(_ key: String) -> Value? { values.first { $0.key == key } }
    public func section(_ name: String) -> SettingsSection? { sections.first { $0.name == name } }

    /// The section `children` of a connection; capitals make no difference.
    var children: SettingsSection? { sections.first { $0.name.lowercased() == "children" } }
}
