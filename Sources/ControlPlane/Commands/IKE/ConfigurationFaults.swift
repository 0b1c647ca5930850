import Configuration

/// What of the loaded configuration is not served: errors of the file, and of connections that came over the control socket
/// since.
public struct ConfigurationFaults: Sendable {
    var file: [ConfigurationError]
    private var connections: [(name: String, errors: [ConfigurationError])] = []

    init(file: [ConfigurationError] = []) { self.file = file }

    /// In the order in which they came.
    public var errors: [ConfigurationError] { file + connections.flatMap(\.errors) }

    /// Replaces the errors of a connection that came over the control socket.
    mutating func set(_ errors: [ConfigurationError], connection: String) {
        remove(connection: connection)
        if !errors.isEmpty { connections.append((connection, errors)) }
    }

    mutating func remove(connection: String) { connections.removeAll { $0.name == connection } }
}
