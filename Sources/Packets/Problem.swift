/// Something that is wrong, and what to do about it.
public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in one clause.
    public var what: String
    /// More about it, line by line.
    public var details: [String]
    /// What to do about it; empty: nothing that we know of.
    public var remedy: String

    public init(_ what: String, details: [String] = [], remedy: String = "") {
        self.what = what
        self.details = details
        self.remedy = remedy
    }

    /// `what; remedy`, and the details below.
    public var description: String {
        ([remedy.isEmpty ? what : "\(what); \(remedy)"] + details).joined(separator: "\n")
    }
}
