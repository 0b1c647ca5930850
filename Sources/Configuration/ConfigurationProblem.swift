/// A place in a configuration file.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// A path; for what came without a file (VICI), the section, as in `connections.site.children.net`.
    public var file: String
    /// From 1; 0 when the whole file or section is meant.
    public var line: Int
    /// In bytes from 1; 0 when the whole line is meant.
    public var column: Int

    public init(file: String, line: Int, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { line == 0 ? file : "\(file):\(line)" }
}

/// Something in a configuration file that cannot be done as written. Never holds key material.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public var location: SourceLocation
    /// The word at fault; nil when it might be part of a key, or when there is none.
    public var word: String?
    /// What is wrong.
    public var reason: String
    /// What to do about it.
    public var remedy: String

    public init(location: SourceLocation, word: String?, reason: String, remedy: String) {
        self.location = location
        self.word = word
        self.reason = reason
        self.remedy = remedy
    }

    /// `FILE:LINE: 'word': reason; remedy`
    public var description: String {
        "\(location): \(word.map { "'\($0)': " } ?? "")\(reason); \(remedy)"
    }
}

/// Something that works as written and is probably not meant, or not wise.
public struct ConfigurationWarning: Hashable, Sendable, CustomStringConvertible {
    public var location: SourceLocation
    public var word: String?
    public var reason: String
    public var remedy: String

    public init(location: SourceLocation, word: String?, reason: String, remedy: String) {
        self.location = location
        self.word = word
        self.reason = reason
        self.remedy = remedy
    }

    /// `FILE:LINE: warning: 'word': reason; remedy`
    public var description: String {
        "\(location): warning: \(word.map { "'\($0)': " } ?? "")\(reason); \(remedy)"
    }
}

/// Every error of a file, in the order of its lines; never empty.
public struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    public var errors: [ConfigurationError]

    public init(_ errors: [ConfigurationError]) { self.errors = errors }

    /// One error per line.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
