import Packets

/// A place in a configuration file.
package struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// A path; for what came without a file (VICI), the section, as in `connections.site.children.net`.
    package var file: String
    /// The line, from 1 on; 0 when the whole file or section is meant.
    package var line: Int
    /// The column in bytes, from 1 on; 0 when the whole line is meant.
    package var column: Int

    package init(file: String, line: Int, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    package var description: String { line == 0 ? file : "\(file):\(line)" }
}

/// A fault of a configuration: where it is, what is wrong, and what to do about it. Never holds key material.
package struct ConfigurationProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Severity: Hashable, Sendable {
        /// A problem that cannot be done as written.
        case error
        /// A problem that works as written, and is probably not meant, or not wise.
        case warning
    }

    package var severity: Severity
    package var location: SourceLocation
    /// The word at fault; nil when it might be part of a key, or when there is none.
    package var word: String?
    package var problem: Problem

    package var what: String { problem.what }
    package var remedy: String { problem.remedy }

    package init(_ severity: Severity, _ location: SourceLocation, word: String?, _ problem: Problem) {
        self.severity = severity
        self.location = location
        self.word = word
        self.problem = problem
    }

    package init(_ severity: Severity, _ location: SourceLocation, word: String?, _ what: String, remedy: String) {
        self.init(severity, location, word: word, Problem(what, remedy: remedy))
    }

    /// `FILE:LINE: 'word': what; remedy`, with `warning: ` before the word of a warning.
    package var description: String {
        "\(location): \(severity == .warning ? "warning: " : "")\(word.map { "'\($0)': " } ?? "")\(problem)"
    }
}

/// Every error of a file, in the order of its lines; never empty.
package struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    package var errors: [ConfigurationProblem]

    package init(_ errors: [ConfigurationProblem]) { self.errors = errors }

    /// One error per line.
    package var description: String { errors.map(\.description).joined(separator: "\n") }
}
