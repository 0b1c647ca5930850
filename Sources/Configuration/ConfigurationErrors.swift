import Packets

/// A place in a configuration file.
package typealias SourceLocation = Problem.Location

/// Every error of a file, in the order of its lines; never empty.
package struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    package var errors: [Problem]

    package init(_ errors: [Problem]) { self.errors = errors }

    /// One error per line.
    package var description: String { errors.map(\.description).joined(separator: "\n") }
}
