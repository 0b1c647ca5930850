import Configuration
import Cryptography
import Foundation
import IKEv2
import Testing

@testable import ControlPlane

/// Credentials that come over the control socket, one by one.
@Suite struct CredentialCommandTests {
    static func shared(_ id: String, _ secret: String, type: String = "IKE", owners: [String] = []) -> VICIMessage {
        var message: VICIMessage = ["id": id, "type": type, "data": secret]
        message.append("owners", list: owners)
        return message
    }

    @Test func aSecretReplacesTheOneOfItsName() throws {
        try CommandServer.with { server in
            let client = try server.client()
            _ = try client.request("load-shared", Self.shared("ike-1", "first", owners: ["a@lab", "192.0.2.1"]))
            _ = try client.request("load-shared", Self.shared("ike-1", "second"))
            _ = try client.request("load-shared", Self.shared("ike-2", "third"))
            #expect(try client.request("get-shared").list("keys") == [Array("ike-1".utf8), Array("ike-2".utf8)])
            try server.onLoop { sessions, _ in
                let keys = sessions.credentials.sharedKeys
                #expect(keys.map(\.secret) == ["second", "third"].map { SecretBytes(copying: Array($0.utf8)) })
                #expect(keys.first?.owners == [])
            }
            #expect(try client.request("unload-shared", ["id": "ike-1"]) == ["success": "yes"])
            // As with strongSwan, what is not there needs no unloading.
            #expect(try client.request("unload-shared", ["id": "ike-1"]) == ["success": "yes"])
            #expect(try client.request("clear-creds") == ["success": "yes"])
            #expect(try client.request("get-shared").list("keys") == [])
        }
    }

    static let refused: [(command: String, request: VICIMessage, reason: String)] = [
        ("load-shared", shared("x", "y", type: "FOO"), "not supported"),
        ("load-shared", shared("x", ""), "data is missing"),
        ("load-shared", shared("x", "y", owners: ["10.0.0.0/8"]), "subnet"),
        ("load-key", ["type": "any", "data": "no key"], "no private key in it"),
        ("load-key", ["type": "any"], "data is missing"),
        ("load-cert", ["type": "X509", "flag": "NONE", "data": "no certificate"], "certificate"),
        ("load-cert", ["type": "X509_AC", "flag": "NONE", "data": "x"], "not supported"),
        ("load-token", ["slot": "0"], "not supported"),
        ("unload-key", ["id": "00"], "unknown private key '00'"),
        ("load-conn", [:], "one connection"),
        ("unload-conn", ["name": "x"], "unknown connection 'x'"),
        ("unload-conn", [:], "name is missing"),
        ("load-authority", [:], "one authority"),
        ("unload-authority", ["name": "x"], "unknown authority 'x'"),
        ("load-pool", [:], "one pool"),
        ("get-counters", ["name": "x"], "no counters of a connection"),
        ("initiate", ["child": "net", "timeout": "soon"], "invalid number 'soon' of 'timeout'"),
    ]

    @Test(arguments: refused)
    func refusesWithAReason(_ pair: (command: String, request: VICIMessage, reason: String)) throws {
        try CommandServer.with { server in
            let error = #expect(throws: VICIClientError.self) {
                try server.client().request(pair.command, pair.request)
            }
            #expect(error?.description.contains(pair.reason) == true, "\(pair.command): \(String(describing: error))")
        }
    }

    @Test func keysAndCertificatesAreThereOnce() throws {
        try CommandServer.with { server in
            let files = try Swanctl(socket: server.path)
            try files.makeCertificates()
            let client = try server.client()
            var key: VICIMessage = ["type": "any"]
            key.append("data", bytes: [UInt8](try Data(contentsOf: files.directory.appending(path: "private/a.key"))))
            var certificate: VICIMessage = ["type": "X509", "flag": "NONE"]
            certificate.append(
                "data", bytes: [UInt8](try Data(contentsOf: files.directory.appending(path: "x509/a.crt"))))
            let id = try #require(try client.request("load-key", key)["id"])
            #expect(try client.request("load-key", key)["id"] == id)
            #expect(id.count == 40)
            for _ in 0..<2 { _ = try client.request("load-cert", certificate) }
            #expect(try client.request("get-keys").list("keys") == [Array(id.utf8)])
            try client.register("list-cert")
            var listed: [VICIMessage] = []
            _ = try client.request("list-certs", ["type": "X509"]) { listed.append($1) }
            #expect(listed.map { $0["has_privkey"] } == ["yes"])
            _ = try client.request("unload-key", ["id": id])
            listed = []
            _ = try client.request("list-certs", ["type": "X509"]) { listed.append($1) }
            #expect(listed.map { $0["has_privkey"] } == [nil])
        }
    }

    /// As by files: what a list does not make superfluous stays beside it.
    @Test func listsReplaceOnlyWhatTheyMakeSuperfluous() throws {
        try CommandServer.with { server in
            let files = try Swanctl(socket: server.path)
            try files.makeCertificates()
            try files.makeRevocationLists()
            let client = try server.client()
            func load(_ type: String, _ flag: String, _ file: String) throws {
                var message: VICIMessage = ["type": type, "flag": flag]
                message.append("data", bytes: [UInt8](try Data(contentsOf: files.directory.appending(path: file))))
                _ = try client.request("load-cert", message)
            }
            func numbers() throws -> [String] {
                try server.onLoop { sessions, _ in
                    sessions.credentials.revocationLists.map { $0.number?.description ?? "nil" }
                }
            }
            try load("X509", "CA", "x509ca/ca.crt")
            try load("X509_CRL", "NONE", "lists/1.crl")
            try load("X509_CRL", "NONE", "lists/2.crl")
            #expect(try numbers() == ["1", "2"], "a complete one, and a delta to it")
            try load("X509_CRL", "NONE", "lists/foreign.crl")
            #expect(try numbers() == ["1", "2", "4"], "another key signed it, though it is newer")
            try load("X509_CRL", "NONE", "lists/3.crl")
            #expect(try Set(numbers()) == ["3", "4"])
            try load("X509_CRL", "NONE", "lists/1.crl")
            #expect(try Set(numbers()) == ["3", "4"])
        }
    }

    @Test func whatMayNotIssueIsNoAuthority() throws {
        try CommandServer.with { server in
            let files = try Swanctl(socket: server.path)
            try files.makeCertificates()
            var message: VICIMessage = ["type": "X509", "flag": "CA"]
            message.append("data", bytes: [UInt8](try Data(contentsOf: files.directory.appending(path: "x509/a.crt"))))
            let error = #expect(throws: VICIClientError.self) { try server.client().request("load-cert", message) }
            #expect(error?.description.contains("may not issue other certificates") == true)
            try server.onLoop { sessions, _ in #expect(sessions.credentials.authorities.isEmpty) }
        }
    }

    /// The file, read again, replaces what it had; what came over the socket stays beside it.
    @Test func aFileReplacesWhatItHad() throws {
        try CommandServer.with { server in
            let client = try server.client()
            _ = try client.request("load-shared", Self.shared("ike-1", "first"))
            try server.onLoop { sessions, control in
                var credentials = Credentials()
                credentials.sharedKeys = [.init(name: "ike-9", owners: [], secret: SecretBytes(copying: [1]))]
                control.load(
                    SwanctlConfiguration(connections: [try Samples.connection()], credentials: credentials))
                #expect(sessions.credentials.sharedKeys.map(\.name) == ["ike-9", "ike-1"])
                #expect(sessions.calls == ["load moon replacing all"])
            }
            #expect(try client.request("get-conns").list("conns") == [Array("moon".utf8)])
            // What swanctl does to a connection that its file has no more.
            _ = try client.request("unload-shared", ["id": "ike-9"])
            #expect(try server.onLoop { sessions, _ in sessions.credentials.sharedKeys.map(\.name) } == ["ike-1"])
        }
    }

    /// Requests to load a connection, damaged at random: refused or loaded, never a trap.
    @Test func loadConnStaysUprightUnderRandomDamage() throws {
        var generator = SplitMix64(seed: 0x10AD)
        var local: VICIMessage = ["auth": "pubkey", "id": "gw1@lab"]
        local.append("certs", list: ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
        var child: VICIMessage = ["mode": "tunnel", "rekey_time": "1h", "start_action": "trap"]
        child.append("local_ts", list: ["10.1.0.0/16[tcp/80]", "dynamic"])
        child.append("esp_proposals", list: ["aes128gcm16-x25519", "default"])
        var children = VICIMessage()
        children.append("net", section: child)
        var section: VICIMessage = ["version": "2", "dpd_delay": "30s", "encap": "yes"]
        section.append("remote_addrs", list: ["10.98.0.2", "peer.example.org"])
        section.append("local", section: local)
        section.append("remote", section: ["auth": "psk"])
        section.append("children", section: children)
        var message = VICIMessage()
        message.append("moon", section: section)
        let seed = try VICIPacket.commandRequest("load-conn", message).encoded().dropFirst(4)
        var (loaded, refused) = (0, 0)
        for _ in 0..<5000 {
            var bytes = Array(seed)
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let at = Int.random(in: 11..<bytes.count, using: &generator)
                bytes[at] = UInt8.random(in: 0...255, using: &generator)
            }
            guard case .commandRequest(_, let request) = try? VICIPacket(decoding: bytes) else { continue }
            for (name, message) in request.sections {
                do {
                    _ = try ConnectionTranslation.connection(SettingsSection(name: name, message))
                    loaded += 1
                } catch {
                    #expect(!error.errors.isEmpty)
                    refused += 1
                }
            }
        }
        #expect(refused > 100)
        #expect(loaded + refused > 1000)
    }
}
