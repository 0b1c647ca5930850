import Configuration
import Foundation
import IKEv2
import Packets
import Testing

/// A file that needs no other, with `connection` and `child` as additional lines.
func sites(connection: String = "", child: String = "", local: String = "auth = psk", remote: String = "auth = psk")
    -> String
{
    """
    connections {
      site {
        remote_addrs = 192.0.2.2
        \(connection)
        local { \(local) }
        remote { \(remote) }
        children { net { \(child) } }
      }
    }
    secrets { ike { secret = "0123456789abcdef0123456789abcdef" } }

    """.replacing(" }", with: "\n }").replacing("{ ", with: "{\n ")
}

func swanctl(_ text: String) throws -> SwanctlConfiguration {
    try SwanctlConfiguration.parse(text, file: "swanctl.conf").checked()
}

/// The only connection of a text.
func connection(_ text: String) throws -> Connection {
    let connections = try swanctl(text).connections
    try #require(connections.count == 1)
    return connections[0]
}

/// The only child of the only connection.
func child(_ lines: String) throws -> Child {
    let children = try connection(sites(child: lines)).children
    try #require(children.count == 1)
    return children[0]
}

/// The errors of a text that must have some.
func swanctlErrors(_ text: String) throws -> [Problem] {
    do throws(ConfigurationErrors) {
        _ = try SwanctlConfiguration.parse(text, file: "swanctl.conf").checked()
        Issue.record("no errors in: \(text)")
        return []
    } catch {
        return error.errors
    }
}

/// A folder that is gone after the test.
final class TestFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "sluice-config-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Writes a file, with the folders on its way; 0600 unless told.
    @discardableResult
    func write(_ name: String, _ text: String, permissions: Int = 0o600) throws -> String {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file)
        return file
    }

    func load(_ name: String = "swanctl.conf") throws -> SwanctlConfiguration {
        try SwanctlConfiguration.load(path: path + "/" + name, directory: path).checked()
    }

    /// The errors of a file that must have some, with paths from this folder.
    func errors(_ name: String = "swanctl.conf") throws -> [Problem] {
        do throws(ConfigurationErrors) {
            _ = try SwanctlConfiguration.load(path: path + "/" + name, directory: path).checked()
            Issue.record("no errors in \(name)")
            return []
        } catch {
            return error.errors.map { error in
                var error = error
                error.location.file = error.location.file.replacing(path + "/", with: "")
                return error
            }
        }
    }

    /// The warnings of a file without errors, with paths from this folder.
    func warnings(_ name: String = "swanctl.conf") throws -> [Problem] {
        try load(name).warnings.map { warning in
            var warning = warning
            warning.location.file = warning.location.file.replacing(path + "/", with: "")
            return warning
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
