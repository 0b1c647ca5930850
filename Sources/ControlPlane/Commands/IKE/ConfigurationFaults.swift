import Configuration

/// What of the loaded configuration is not served: errors of the file, and of connections that came over the control socket
/// since.
public struct ConfigurationFaults: Sendable {
    var file: [ConfigurationProblem]
    private var connections: [(name: String, errors: [ConfigurationProblem])] = []

    init(file: [ConfigurationProblem] = []) { self.file = file }

    /// In the order in which they came.
    public var errors: [ConfigurationProblem] { file + connections.flatMap(\.errors) }

    /// Replaces the errors of a connection that came over the control socket.
    mutating func set(_ errors: [ConfigurationProblem], connection: String) {
        remove(connection: connection)
        if !errors.isEmpty { connections.append((connection, errors)) }
    }

    mutating func remove(connection: String) { connections.removeAll { $0.name == connection } }
}
