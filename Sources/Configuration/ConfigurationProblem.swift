import Packets

/// A place in a configuration file.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// A path; for what came without a file (VICI), the section, as in `connections.site.children.net`.
    public var file: String
    /// The line, from 1 on; 0 when the whole file or section is meant.
    public var line: Int
    /// The column in bytes, from 1 on; 0 when the whole line is meant.
    public var column: Int

    public init(file: String, line: Int, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { line == 0 ? file : "\(file):\(line)" }
}

/// A fault of a configuration: where it is, what is wrong, and what to do about it. Never holds key material.
public struct ConfigurationProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Severity: Hashable, Sendable {
        /// A problem that cannot be done as written.
        case error
        /// A problem that works as written, and is probably not meant, or not wise.
        case warning
    }

    public var severity: Severity
    public var location: SourceLocation
    /// The word at fault; nil when it might be part of a key, or when there is none.
    public var word: String?
    public var problem: Problem

    public var what: String { problem.what }
    public var remedy: String { problem.remedy }

    public init(_ severity: Severity, _ location: SourceLocation, word: String?, _ problem: Problem) {
        self.severity = severity
        self.location = location
        self.word = word
        self.problem = problem
    }

    public init(_ severity: Severity, _ location: SourceLocation, word: String?, _ what: String, remedy: String) {
        self.init(severity, location, word: word, Problem(what, remedy: remedy))
    }

    /// `FILE:LINE: 'word': what; remedy`, with `warning: ` before the word of a warning.
    public var description: String {
        "\(location): \(severity == .warning ? "warning: " : "")\(word.map { "'\($0)': " } ?? "")\(problem)"
    }
}

/// Every error of a file, in the order of its lines; never empty.
public struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    public var errors: [ConfigurationProblem]

    public init(_ errors: [ConfigurationProblem]) { self.errors = errors }

    /// One error per line.
    public var description: String { errors.map(\.description).joined(separator: "\n") }
}
