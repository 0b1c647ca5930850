/// Fault that an operator is told of: where it is, what is wrong, and what to do about it. Never holds key material.
///
/// Configuration, command line, control socket and negotiation all report it, and it is printed in one way.
public struct Problem: Error, Hashable, Sendable {
    public enum Severity: Hashable, Sendable {
        /// A problem that cannot be done as written.
        case error
        /// A problem that works as written, and is probably not meant, or not wise.
        case warning
    }

    /// A place in a configuration file.
    public struct Location: Hashable, Sendable, CustomStringConvertible {
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

    /// The place that the operator wrote what is at fault.
    public enum Place: Hashable, Sendable {
        case file(Location)
        /// A flag of the command line.
        case flag(String)
    }

    public var severity = Severity.error
    /// nil: no place of its own.
    public var place: Place?
    /// The word at fault; nil when it might be part of a key, or when there is none.
    public var word: String?
    /// The fault in one clause.
    public var what: String
    /// More about it, one clause each: what each side offered, what differed.
    public var details: [String]
    /// What to do about it; empty: nothing that we know of.
    public var remedy: String

    public init(_ what: String, details: [String] = [], remedy: String = "") {
        self.what = what
        self.details = details
        self.remedy = remedy
    }

    /// A fault in a configuration file.
    public init(_ severity: Severity, _ location: Location, word: String?, _ what: String, remedy: String) {
        self.init(severity, location, word: word, Problem(what, remedy: remedy))
    }

    /// A fault in a configuration file, found by a reader of one word or value that does not know where it stands.
    public init(_ severity: Severity, _ location: Location, word: String?, _ problem: Problem) {
        self = problem
        self.severity = severity
        self.word = word
        place = .file(location)
    }

    /// A flag whose value cannot work.
    public init(flag: String, value: String, _ what: String, remedy: String) {
        self.init(what, remedy: remedy)
        place = .flag(flag)
        word = value.isEmpty ? nil : value
    }

    /// The place in a configuration file; without a name when it is in none.
    public var location: Location {
        get {
            guard case .file(let location) = place else { return Location(file: "", line: 0) }
            return location
        }
        set { place = .file(newValue) }
    }

    /// Whether its text begins with a place, where editors look for FILE:LINE.
    public var namesPlace: Bool { place != nil }
}

extension Problem: CustomStringConvertible {
    /// `PLACE: what; details; remedy` in one line. The place is `FILE:LINE: 'word'`, with `warning: ` before the word of
    /// a warning, or `--flag value`.
    public var description: String {
        let prefix =
            switch place {
            case .file(let location):
                "\(location): \(severity == .warning ? "warning: " : "")" + (word.map { "'\($0)': " } ?? "")
            case .flag(let flag): flag + (word.map { " \($0)" } ?? "") + ": "
            case nil: ""
            }
        return prefix + ([what] + details + (remedy.isEmpty ? [] : [remedy])).joined(separator: "; ")
    }
}

/// An error that an operator is told of, whatever else it is for.
public protocol OperatorError: Error, CustomStringConvertible {
    var problem: Problem { get }
}

extension OperatorError {
    public var description: String { problem.description }
}

extension Problem: OperatorError {
    public var problem: Problem { self }

    /// The problem that an error of whatever sort stands for.
    public init(of error: any Error) { self = (error as? any OperatorError)?.problem ?? Problem("\(error)") }
}
