import Cryptography

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
            /// The value of a key that always holds a secret (`SettingsSection.secretKeys`), as it is written.
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

        public var key: String
        public var content: Content
        /// nil: it came without lines, over VICI.
        public var location: SourceLocation?

        public init(key: String, content: Content, location: SourceLocation? = nil) {
            self.key = key
            self.content = content
            self.location = location
        }
    }

    /// Keys whose values never become text.
    public static let secretKeys: Set<String> = ["secret", "pin"]

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
}
