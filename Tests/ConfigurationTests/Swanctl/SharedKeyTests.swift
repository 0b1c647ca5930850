import Configuration
import Cryptography
import IKEv2
import Testing

/// Pre-shared keys.
@Suite struct SharedKeyTests {
    private func key(_ value: String) throws -> [UInt8] {
        let keys = try swanctl("secrets {\n ike {\n secret = \(value)\n }\n}").credentials.sharedKeys
        try #require(keys.count == 1)
        return keys[0].secret.withUnsafeBytes { Array($0) }
    }

    @Test(arguments: [
        ("plain", "plain"), ("\"two words # }\"", "two words # }"), ("one  two", "one two"), ("0x48656C6c6f", "Hello"),
        ("0x48:65:6C:6c:6f", "Hello"), ("0xa4a", "\nJ"),
        ("0sSGVsbG8=", "Hello"), ("0sSGVsbG8", "Hello"), ("0sSGVsbG8h", "Hello!"), ("0sSGVsbA==", "Hell"),
        ("\"0sSGVsbG8=\"", "Hello"), ("0", "0"), ("0y", "0y"), ("\"\\\"\"", "\""),
    ])
    func forms(value: String, expected: String) throws {
        #expect(try key(value) == Array(expected.utf8))
    }

    @Test(arguments: ["0x", "0x:", "0xabg", "0xgg", "0s", "0sA", "0s====", "0sSGVsbG8==", "0sSGV*", "0sSG=VsbG8"])
    func malformed(value: String) throws {
        #expect(try swanctlErrors("secrets {\n ike {\n secret = \(value)\n }\n}").map(\.word) == ["secret"])
    }

    @Test func owners() throws {
        let configuration = try swanctl(
            """
            secrets {
              ike-1 {
                id = moon.example.org
                id-sun = 192.0.2.2
                id2 = moon.example.org
                secret = 0123456789abcdef0123456789abcdef
              }
              ike-2 {
                secret = short
              }
            }
            """)
        let keys = configuration.credentials.sharedKeys
        #expect(keys.map(\.name) == ["ike-1", "ike-2"])
        #expect(keys[0].owners.map(\.description) == ["moon.example.org", "192.0.2.2"])
        #expect(keys[1].owners.isEmpty)
        #expect(configuration.warnings.map(\.location.line) == [9])
        #expect(configuration.warnings.first?.what.contains("can be guessed") == true)
    }

    @Test func warnsOfAPeerWithoutAKey() throws {
        let text = sites(local: "auth = psk\nid = moon", remote: "auth = psk\nid = sun")
        func warnings(_ owner: String) throws -> [String] {
            try swanctl(text.replacing("ike {", with: "ike {\nid = \(owner)\n")).warnings.map(\.what)
        }
        for owner in ["sun", "%any", "sun\nid2 = moon", "*"] { #expect(try warnings(owner).isEmpty, "\(owner)") }
        for owner in ["mars", "moon\nid2 = mars"] {
            #expect(try warnings(owner) == ["no pre-shared key for 'sun' or 'moon'"], "\(owner)")
        }
    }

    /// It would be for any peer.
    @Test func warnsOfAKeyThatNamesUsAlone() throws {
        let text = sites(local: "auth = psk\nid = moon", remote: "auth = psk\nid = sun")
        let configuration = try swanctl(text.replacing("ike {", with: "ike {\nid = moon\n"))
        #expect(configuration.warnings.map(\.word) == ["ike"])
        #expect(configuration.warnings.first?.what.contains("for any peer that has it") == true)
        #expect(configuration.warnings.first?.remedy.contains("%any") == true)
    }
}
