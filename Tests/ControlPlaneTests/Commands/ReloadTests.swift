import Configuration
import Cryptography
import IKEv2
import NIOCore
import Testing

@testable import ControlPlane

/// The configuration file is read again, by SIGHUP or by `reload-settings`: what came over the socket stays.
@Suite struct ReloadTests {
    /// A configuration file with these connections and secrets.
    private static func file(_ connections: [String], _ secrets: [String: String]) -> SwanctlConfiguration {
        var credentials = Credentials()
        credentials.sharedKeys = secrets.sorted { $0.key < $1.key }.map { name, secret in
            .init(name: name, owners: [], secret: SecretBytes(copying: Array(secret.utf8)))
        }
        return SwanctlConfiguration(
            connections: connections.compactMap { try? Samples.connection($0) }, credentials: credentials)
    }

    private static func secrets(_ sessions: FakeSessions) -> [String: SecretBytes] {
        Dictionary(sessions.credentials.sharedKeys.map { ($0.name, $0.secret) }) { first, _ in first }
    }

    private static func load(_ client: borrowing VICIClient, secret name: String, _ secret: String) throws {
        _ = try client.request("load-shared", ["id": name, "type": "IKE", "data": secret])
    }

    private static func bytes(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }

    private static let connection: VICIMessage = {
        var child = VICIMessage()
        child.append("net", section: ["esp_proposals": "aes128gcm16"])
        var section: VICIMessage = ["version": "2", "remote_addrs": "192.0.2.9"]
        section.append("local", section: ["auth": "psk", "id": "a.test"])
        section.append("remote", section: ["auth": "psk", "id": "b.test"])
        section.append("children", section: child)
        return section
    }()

    private static func load(_ client: borrowing VICIClient, connection name: String) throws {
        var message = VICIMessage()
        message.append(name, section: connection)
        _ = try client.request("load-conn", message)
    }

    @Test func reloadSettingsUnloadsNothingThatTheSocketBrought() throws {
        try CommandServer.with { server in
            try server.onLoop { _, control in
                control.load(Self.file(["file"], ["ike-file": "one"]))
                let eventLoop = server.eventLoop
                let bound = NIOLoopBound(control, eventLoop: eventLoop)
                control.reload = {
                    bound.value.load(Self.file([], ["ike-file": "two"]))
                    return eventLoop.makeSucceededVoidFuture()
                }
            }
            let client = try server.client()
            try Self.load(client, connection: "socket")
            try Self.load(client, secret: "ike-socket", "three")
            #expect(try client.request("reload-settings") == ["success": "yes"])
            try server.onLoop { sessions, _ in
                #expect(sessions.connections.map(\.name) == ["socket"], "the file has no connection any more")
                #expect(Self.secrets(sessions) == ["ike-file": Self.bytes("two"), "ike-socket": Self.bytes("three")])
            }
            // Taken away over the socket is taken away for good.
            _ = try client.request("unload-conn", ["name": "socket"])
            _ = try client.request("unload-shared", ["id": "ike-socket"])
            _ = try client.request("reload-settings")
            try server.onLoop { sessions, _ in
                #expect(sessions.connections.isEmpty)
                #expect(Array(Self.secrets(sessions).keys) == ["ike-file"])
            }
        }
    }

    /// `swanctl --load-all` of the same file brings what is there already: it is the file's all the same.
    @Test func whatTheFileHasIsTheFiles() throws {
        try CommandServer.with { server in
            try server.onLoop { _, control in
                control.load(Self.file(["site"], ["ike-site": "one"]))
            }
            let client = try server.client()
            try Self.load(client, connection: "site")
            try Self.load(client, secret: "ike-site", "other")
            try server.onLoop { sessions, control in
                control.load(Self.file(["site"], ["ike-site": "one"]))
                #expect(Self.secrets(sessions) == ["ike-site": Self.bytes("one")])
                control.load(Self.file([], [:]))
                #expect(sessions.connections.isEmpty && sessions.credentials.sharedKeys.isEmpty)
            }
        }
    }

    /// A connection that came over the socket first, and is in the file later.
    @Test func theFileTakesOver() throws {
        try CommandServer.with { server in
            let client = try server.client()
            try Self.load(client, connection: "site")
            try Self.load(client, secret: "ike-site", "other")
            try server.onLoop { sessions, control in
                control.load(Self.file(["site"], ["ike-site": "one"]))
                #expect(sessions.connections.count == 1)
                #expect(Self.secrets(sessions) == ["ike-site": Self.bytes("one")])
                control.load(Self.file([], [:]))
                #expect(sessions.connections.isEmpty && sessions.credentials.sharedKeys.isEmpty)
            }
        }
    }
}
