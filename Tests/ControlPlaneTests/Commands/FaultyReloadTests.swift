import Configuration
import Cryptography
import IKEv2
import Testing

@testable import ControlPlane

/// A file with faults loses nothing of what was there.
@Suite struct FaultyReloadTests {
    private static func text(secret: String) -> String {
        """
        secrets {
          ike-1 {
            secret = \(secret)
          }
          ike-2 {
            secret = "0123456789abcdef0123456789abcdef"
          }
        }
        """
    }

    @Test func secretsThatCannotBeReadStay() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, control in
                control.load(
                    try SwanctlConfiguration.parse(Self.text(secret: "\"first secret of the lab\""), file: "a"))
                #expect(sessions.credentials.sharedKeys.map(\.name) == ["ike-1", "ike-2"])
                let before = sessions.credentials.sharedKeys.first?.secret
                control.load(try SwanctlConfiguration.parse(Self.text(secret: "0xnonsense"), file: "a"))
                #expect(sessions.credentials.sharedKeys.map(\.name) == ["ike-2", "ike-1"])
                #expect(sessions.credentials.sharedKeys.last?.secret == before)
                #expect(control.faults.errors.count == 1)
                // A file without faults is taken as it is.
                control.load(try SwanctlConfiguration.parse("secrets { }", file: "a"))
                #expect(sessions.credentials.sharedKeys.isEmpty && control.faults.errors.isEmpty)
            }
        }
    }
}
