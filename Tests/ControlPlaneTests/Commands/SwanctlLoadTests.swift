import IKEv2
import Testing

@testable import ControlPlane

/// Debian's `swanctl`, unchanged, loads what it has.
@Suite struct SwanctlLoadTests {
    static let configuration = """
        connections {
          moon {
            local_addrs = 10.98.0.1
            remote_addrs = 10.98.0.2,peer.example.org
            proposals = aes128gcm16-prfsha256-x25519
            local { auth = psk
                    id = a@lab }
            remote { auth = psk
                     id = b@lab }
            children {
              net { local_ts = 10.1.0.0/16
                    remote_ts = 10.2.0.0/16[tcp/80]
                    esp_proposals = aes128gcm16-x25519
                    rekey_time = 1h }
            }
          }
          sun {
            remote_addrs = 10.98.0.3
            local { auth = pubkey
                    certs = a.crt
                    id = gwa.lab }
            remote { auth = pubkey
                     cacerts = ca.crt
                     id = gwb.lab }
            children { c { local_ts = 10.9.0.0/16
                           remote_ts = 10.8.0.0/16 } }
          }
        }
        secrets {
          ike-1 { id-a = a@lab
                  id-b = b@lab
                  secret = "hello world" }
        }
        authorities { lab { cacert = ca.crt } }
        """

    static func with(_ body: (CommandServer, Swanctl) throws -> Void) throws {
        try CommandServer.with { server in
            let swanctl = try Swanctl(socket: server.path)
            try swanctl.makeCertificates()
            try swanctl.write(configuration, to: "swanctl.conf")
            try body(server, swanctl)
        }
    }

    @Test func loadAllLoadsEverything() throws {
        try Self.with { server, swanctl in
            let outcome = try swanctl.run("--load-all", "--noprompt")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output.contains("successfully loaded 2 connections, 0 unloaded"), "\(outcome)")
            #expect(outcome.output.contains("successfully loaded 1 authorities, 0 unloaded"), "\(outcome)")
            try server.onLoop { sessions, _ in
                #expect(sessions.connections.map(\.name) == ["moon", "sun"])
                let moon = sessions.connections.first
                #expect(moon?.local.identity == .email("a@lab"))
                #expect(moon?.children.first?.time.rekey == 3600)
                #expect(moon?.remoteAddresses.count == 2)
                let sun = sessions.connections.last
                #expect(sun?.local.certificates.first?.subject.description == "C=XX, O=Lab, CN=gwa.lab")
                #expect(sun?.remote.authorities.first?.subject.description == "C=XX, O=Lab, CN=Lab CA")
                let credentials = sessions.credentials
                #expect(credentials.sharedKeys.map(\.name) == ["ike-1"])
                #expect(credentials.sharedKeys.first?.owners == [.email("a@lab"), .email("b@lab")])
                #expect(credentials.sharedKeys.first?.secret.count == 11)
                #expect(credentials.privateKeys.count == 1)
                #expect(credentials.certificates.map(\.subject.description) == ["C=XX, O=Lab, CN=gwa.lab"])
                #expect(credentials.authorities.map(\.subject.description) == ["C=XX, O=Lab, CN=Lab CA"])
            }
        }
    }

    /// Loading twice changes nothing, and what the file has no more is gone.
    @Test func loadAllAgainChangesOnlyWhatChanged() throws {
        try Self.with { server, swanctl in
            try swanctl.run("--load-all", "--noprompt")
            let again = try swanctl.run("--load-all", "--noprompt")
            #expect(again.output.contains("successfully loaded 2 connections, 0 unloaded"), "\(again)")
            try server.onLoop { sessions, _ in
                #expect(sessions.credentials.sharedKeys.count == 1)
                #expect(sessions.credentials.privateKeys.count == 1)
                #expect(sessions.credentials.certificates.count == 1)
                #expect(sessions.credentials.authorities.count == 1)
            }
            let only =
                "connections { star { remote_addrs = 10.98.0.9\n local { auth = psk }\n remote { auth = psk } } }"
            try swanctl.write(only, to: "other.conf")
            let other = try swanctl.run("--load-conns", "--file", swanctl.directory.path + "/other.conf")
            #expect(other.output.contains("successfully loaded 1 connections, 2 unloaded"), "\(other)")
            #expect(try server.onLoop { sessions, _ in sessions.connections.map(\.name) } == ["star"])
            let secrets = try swanctl.run(
                "--load-creds", "--noprompt", "--clear", "--file", swanctl.directory.path + "/other.conf")
            #expect(secrets.status == 0, "\(secrets)")
            #expect(try server.onLoop { sessions, _ in sessions.credentials.sharedKeys.count } == 0)
            let authorities = try swanctl.run("--load-authorities", "--file", swanctl.directory.path + "/other.conf")
            #expect(authorities.status == 0, "\(authorities)")
            #expect(try server.onLoop { _, control in control.credentials.authorities.count } == 0)
        }
    }

    /// A secret and a key that are gone from the folders are unloaded without `--clear` too.
    @Test func loadCredsUnloadsWhatIsGone() throws {
        try Self.with { server, swanctl in
            try swanctl.run("--load-creds", "--noprompt")
            #expect(try server.onLoop { sessions, _ in sessions.credentials.privateKeys.count } == 1)
            try swanctl.write("secrets { ike-2 { secret = other } }", to: "swanctl.conf")
            try swanctl.remove("private/a.key")
            let outcome = try swanctl.run("--load-creds", "--noprompt")
            #expect(outcome.status == 0, "\(outcome)")
            try server.onLoop { sessions, _ in
                #expect(sessions.credentials.sharedKeys.map(\.name) == ["ike-2"])
                #expect(sessions.credentials.privateKeys.isEmpty)
            }
        }
    }

    @Test func aMistakeIsToldWhereItIs() throws {
        try CommandServer.with { server in
            let swanctl = try Swanctl(socket: server.path)
            let wrong = """
                connections { moon { remote_addrs = 10.98.0.2
                  local { auth = psk }
                  remote { auth = psk }
                  children { net { esp_proposals = rot13 } } } }
                """
            try swanctl.write(wrong, to: "swanctl.conf")
            let outcome = try swanctl.run("--load-conns")
            #expect(outcome.status != 0)
            #expect((outcome.output + outcome.errors).contains("rot13"), "\(outcome)")
            // The connection runs without the child, whose packets stay closed; `sluice status` says so.
            try server.onLoop { sessions, control in
                #expect(sessions.connections.refusedParts == ["moon/net"])
                #expect(control.faults.errors.count == 1)
            }
            try swanctl.write(wrong.replacing("rot13", with: "aes128gcm16"), to: "swanctl.conf")
            #expect(try swanctl.run("--load-conns").status == 0)
            try server.onLoop { sessions, control in
                #expect(sessions.connections.refusedParts.isEmpty && control.faults.errors.isEmpty)
            }
        }
    }

    /// One connection with a fault does not keep the others from being loaded; `list-conns` has none of it.
    @Test func aFaultOfOneConnectionCostsTheOne() throws {
        try CommandServer.with { server in
            let swanctl = try Swanctl(socket: server.path)
            let text = """
                connections { moon { version = 1
                  local { auth = psk }
                  remote { auth = psk } }
                mars { local { auth = psk }
                  remote { auth = psk } } }
                """
            try swanctl.write(text, to: "swanctl.conf")
            let outcome = try swanctl.run("--load-conns")
            #expect(outcome.status != 0 && outcome.output.contains("loaded connection 'mars'"), "\(outcome)")
            #expect(try server.onLoop { sessions, _ in sessions.connections.refusedParts } == ["moon"])
            let list = try swanctl.run("--list-conns")
            #expect(list.output.contains("mars:") && !list.output.contains("moon:"), "\(list)")
            // What the file has no more is taken away, refused or not.
            try swanctl.write("connections { }", to: "swanctl.conf")
            #expect(try swanctl.run("--load-conns").status == 0)
            try server.onLoop { sessions, control in
                #expect(sessions.connections.isEmpty && control.faults.errors.isEmpty)
            }
        }
    }

    /// `swanctl` shows nothing of a message that goes over lines, or has more than ASCII.
    @Test func severalMistakesAreAllTold() throws {
        try CommandServer.with { server in
            let swanctl = try Swanctl(socket: server.path)
            try swanctl.write(
                "connections { moon { remote_adrs = 10.98.0.2\n version = 1\n locl { id = m\u{FC}ller } } }",
                to: "swanctl.conf")
            let outcome = try swanctl.run("--load-conns")
            #expect(outcome.status != 0)
            for mistake in ["did you mean 'remote_addrs'?; ", "IKEv1 is not supported; ", "did you mean 'local'?"] {
                #expect(outcome.errors.contains(mistake), "\(outcome)")
            }
        }
    }

    /// Nothing uses them, and `--load-all` loads no connections when something before them fails.
    @Test func poolsAndSecretsForRoamingUsersKeepNothingDown() throws {
        try Self.with { server, swanctl in
            let more = """
                secrets { eap-carol { id = carol
                                      secret = secret-of-carol } }
                pools { p { addrs = 10.0.0.0/24 } }
                """
            try swanctl.write(Self.configuration + "\n" + more, to: "swanctl.conf")
            let outcome = try swanctl.run("--load-all", "--noprompt")
            #expect(outcome.status == 0, "\(outcome)")
            try server.onLoop { sessions, _ in
                #expect(sessions.connections.map(\.name) == ["moon", "sun"])
                #expect(sessions.credentials.sharedKeys.map(\.name) == ["ike-1"])
            }
        }
    }
}
