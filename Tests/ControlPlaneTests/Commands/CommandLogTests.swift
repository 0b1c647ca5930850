import Logging
import Testing

@testable import ControlPlane

/// What comes over the control socket is in the daemon's own log too: nobody may be listening to its events.
@Suite struct CommandLogTests {
    private func lines(_ body: (CommandServer, Swanctl) throws -> Void) throws -> [(Logger.Level, String)] {
        let records = EventLogTests.Records()
        try CommandServer.with(logger: Logger(label: "ike") { _ in records }) { server in
            try body(server, try Swanctl(socket: server.path))
        }
        return records.all.map { ($0.level, "\($0.message)") }
    }

    @Test func whatIsLoadedAndUnloadedIsLogged() throws {
        let lines = try lines { server, swanctl in
            try swanctl.makeCertificates()
            try swanctl.write(SwanctlLoadTests.configuration, to: "swanctl.conf")
            #expect(try swanctl.run("--load-all", "--noprompt").status == 0)
            try swanctl.write("", to: "swanctl.conf")
            try swanctl.remove("private/a.key")
            #expect(try swanctl.run("--load-all", "--noprompt").status == 0)
        }
        let words = lines.map(\.1)
        let end = " over the control socket"
        for what in ["connection moon", "connection sun", "secret 'ike-1'", "authority lab"] {
            #expect(
                words.contains("\(what) is loaded\(end)") && words.contains("\(what) is unloaded\(end)"), "\(words)")
        }
        #expect(words.contains("authority \"C=XX, O=Lab, CN=Lab CA\" is loaded\(end)"), "\(words)")
        #expect(words.contains("certificate \"C=XX, O=Lab, CN=gwa.lab\" is loaded\(end)"), "\(words)")
        #expect(words.contains { $0.hasPrefix("private key ") && $0.hasSuffix(" is unloaded\(end)") }, "\(words)")
        #expect(!words.contains { $0.contains("hello world") })
    }

    @Test func aWarningIsAWarning() throws {
        let lines = try lines { server, swanctl in
            let text = "connections { a { mobike = yes\n local { auth = psk\n }\n remote { auth = psk\n } } }"
            try swanctl.write(text, to: "swanctl.conf")
            #expect(try swanctl.run("--load-conns").status == 0)
        }
        #expect(lines.first?.0 == .warning && lines.first?.1.contains("MOBIKE") == true, "\(lines)")
        #expect(lines.last?.0 == .info, "\(lines)")
    }
}
